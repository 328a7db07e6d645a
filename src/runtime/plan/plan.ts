import type { OPS, OpName, Section } from './ops.ts';

type ArgValue<K> = K extends 'int' | 'slot' ? number | bigint
  : K extends 'str' | 'inroot' ? string
  : K extends 'list' ? readonly string[]
  : K extends 'bytes' ? Uint8Array | string
  : K extends 'ints' ? readonly number[]
  : never;

/** The arguments of an operation as an object: `{ path: '/x', mode: 0o755 }`. */
export type OpArgs<N extends OpName> = {
  readonly [A in (typeof OPS)[N]['args'][number] as A[0]]: ArgValue<A[1]>;
};

/** One operation with what a person needs to know of it. */
export interface PlanOp<N extends OpName = OpName> {
  readonly name: N;
  readonly section: Section;
  readonly args: OpArgs<N>;
  /** Errno values (at most two) that count as success; or ANY_ERRNO. */
  readonly tolerate?: readonly number[];
  /** How many of the following operations are skipped when an error was tolerated. */
  readonly skip?: number;
  /** Why this operation stands here, in a few words: `default /proc`, `rlimit`. */
  readonly why: string;
  /** The user's flag or the config.json pointer that caused it: `--volume /a:/b`, `/mounts/3`. */
  readonly source?: string;
  /** The config.json pointer alone, for messages. */
  readonly pointer?: string;
}

export interface Plan {
  readonly ops: readonly PlanOp[];
  /** Its first `count` operations as encodeOps wrote them, where they were in a plan before. */
  readonly encoded?: { readonly count: number; readonly bytes: Uint8Array };
  /** All of it as encodePlan would write it. */
  readonly whole?: Uint8Array;
}

/** In `tolerate`, first: whatever goes wrong. */
export const ANY_ERRNO = 0xffff;
