import { readFileSync } from 'node:fs';

export interface ProcessStat {
  /** One letter, as ps shows it. */
  readonly state: string;
  readonly parent: number;
  /** In clock ticks after the machine's start: with the pid it names a process for ever. */
  readonly startTime: number;
}

const PF_EXITING = 0x4;

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; undefined when there is no such process, or it has ended and
 *  only waits to be reaped (or is on its way there). */
export function readProcessStat(pid: number): ProcessStat | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name may hold anything, parentheses too.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0]!;
  if (state === 'Z' || state === 'X' || (Number(fields[6]) & PF_EXITING) !== 0) return undefined;
  return { state, parent: Number(fields[1]), startTime: Number(fields[19]) };
}
