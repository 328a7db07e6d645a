import { readdirSync, readlinkSync } from 'node:fs';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { readPids } from '#runtime/cgroups/read-pids.ts';
import { NaruError } from '#spec/errors.ts';
import type { ContainerRecord } from './container-record.ts';
import { containerStatus } from './container-status.ts';

/** The processes of a container: of its group, or (it has none) of its pid namespace. */
export function containerPids(root: string, record: ContainerRecord): number[] {
  if (record.noCgroup !== true) return readPids(detectCgroups(), record.cgroupPath);
  const { pid } = containerStatus(root, record);
  const own = pidNamespace('self');
  const wanted = pid === 0 ? undefined : pidNamespace(String(pid));
  if (wanted === undefined || wanted === own) return pid === 0 ? [] : [pid];
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && pidNamespace(name) === wanted).map(Number).sort((a, b) => a - b);
}

function pidNamespace(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** For what only a group can do. */
export function needGroup(record: ContainerRecord, verb: string): void {
  if (record.noCgroup === true) throw new NaruError('unsupported', `${verb}: container ${record.id} has no cgroup of its own`, { hint: 'it was made by a user without rights over cgroups' });
}
