import type { Comparator } from './seccomp-numbers.ts';

/** A comparison of one 64-bit argument. MASKED_EQ: `(argument & value) == valueTwo`. */
export interface Condition {
  readonly index: number;
  readonly op: Comparator;
  readonly value: bigint;
  readonly valueTwo: bigint;
}

/** What happens to a call when all conditions hold (none: always). `result` is the filter's return value. */
export interface Rule {
  readonly conditions: readonly Condition[];
  readonly result: number;
}
