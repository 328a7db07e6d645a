import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { isFrozen } from '#runtime/cgroups/cgroup-control.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { containerDirectory, type ContainerRecord } from './container-record.ts';
import { readProcessStat } from './process-stat.ts';

export type ContainerStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';
/** `pid`: of the first process, 0 when there is none. */
export interface StatusReport { readonly status: ContainerStatus; readonly pid: number; readonly startTime: number }

const STOPPED: StatusReport = { status: 'stopped', pid: 0, startTime: 0 };
/** What the kernel says a process runs before its exec: the helper's sealed copy. */
const BEFORE_EXEC = '/memfd:naru-helper';

/** What a container is now: read from the kernel, not from what somebody meant to write down. */
export function containerStatus(root: string, record: ContainerRecord): StatusReport {
  const found = findInit(root, record);
  if (found === undefined) {
    const creator = readProcessStat(record.creator.pid);
    return record.init === undefined && creator?.startTime === record.creator.startTime ? { ...STOPPED, status: 'creating' } : STOPPED;
  }
  if (record.noCgroup !== true && isFrozenNow(record.cgroupPath)) return { status: 'paused', ...found };
  return { status: isBeforeExec(found.pid) && existsSync(containerDirectory(root, record.id).startSocket) ? 'created' : 'running', ...found };
}

function findInit(root: string, record: ContainerRecord): { pid: number; startTime: number } | undefined {
  if (record.init !== undefined) {
    const stat = readProcessStat(record.init.pid);
    return stat?.startTime === record.init.startTime ? record.init : undefined;
  }
  // Whoever made it was killed before the record was complete; the helper's note is there.
  const { pid: file } = containerDirectory(root, record.id);
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    const stat = readProcessStat(pid);
    return stat !== undefined && startedBefore(stat.startTime, statSync(file).mtimeMs) && (record.noCgroup === true || isMember(pid, record.cgroupPath)) ? { pid, startTime: stat.startTime } : undefined;
  } catch {
    return undefined;
  }
}

const TICKS_PER_SECOND = 100;
const SLACK_MS = 1000;

/** Whether a process is older than what was written about it: a number that was given again is younger. */
function startedBefore(ticks: number, writtenMs: number): boolean {
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? 0) * 1000;
  return boot + (ticks * 1000) / TICKS_PER_SECOND <= writtenMs + SLACK_MS;
}

const isMember = (pid: number, cgroupPath: string): boolean =>
  readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n').some((line) => line.endsWith(cgroupPath));

function isBeforeExec(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).startsWith(BEFORE_EXEC);
  } catch {
    return false;
  }
}

function isFrozenNow(cgroupPath: string): boolean {
  try {
    return isFrozen(detectCgroups(), cgroupPath);
  } catch {
    return false;
  }
}
