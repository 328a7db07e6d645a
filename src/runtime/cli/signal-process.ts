import { closeQuietly, pidfdOpen, pidfdSignal } from '#sys/descriptors.ts';
import { readProcessStat } from './process-stat.ts';

/** Signals the process that began at startTime, and no other that has its number by now: the descriptor is taken first and
 *  the time looked at then. False when it is gone. */
export function signalProcess({ pid, startTime }: { readonly pid: number; readonly startTime: number }, signal: number): boolean {
  let pidfd: number;
  try {
    pidfd = pidfdOpen(pid);
  } catch {
    return false;
  }
  try {
    return readProcessStat(pid)?.startTime === startTime && pidfdSignal(pidfd, signal);
  } finally {
    closeQuietly(pidfd);
  }
}
