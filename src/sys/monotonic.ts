import { NR } from './numbers.ts';
import { check, syscall } from './syscalls.ts';

const CLOCK_MONOTONIC = 1;
let offset: bigint | undefined;

/** CLOCK_MONOTONIC in nanoseconds, comparable between processes: Bun's hrtime counts from the start of its own process. */
export function monotonicNow(): bigint {
  const now = process.hrtime.bigint();
  if (offset === undefined) {
    const time = new BigUint64Array(2);
    check(syscall(NR.clock_gettime, CLOCK_MONOTONIC, time), 'clock_gettime');
    offset = time[0]! * 1_000_000_000n + time[1]! - now;
  }
  return now + offset;
}
