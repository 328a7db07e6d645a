import { signalIf } from '#sys/descriptors.ts';
import { readProcessStat } from './process-stat.ts';

/** Signals the process that began at startTime, and no other that has its number by now. False when it is gone. */
export const signalProcess = ({ pid, startTime }: { readonly pid: number; readonly startTime: number }, signal: number): boolean =>
  signalIf(pid, signal, () => readProcessStat(pid)?.startTime === startTime);
