/** What kind of failure it is. Each protocol maps kinds to its own codes in one table (api/statuses.ts, cli/exit-codes.ts). */
export type ErrorKind =
  | 'invalid' // the request is wrong: a flag, a field, a name
  | 'not-found'
  | 'conflict' // a name is taken, a state forbids it
  | 'not-modified' // already so
  | 'forbidden'
  | 'unauthorized'
  | 'unsupported' // understood, but not here (kernel, platform, not built yet)
  | 'unavailable' // a peer does not answer, a deadline passed
  | 'too-large'
  | 'corrupt' // digest mismatch, malformed archive
  | 'no-space'
  | 'canceled'
  | 'internal';

export interface NaruErrorOptions {
  /** What the person can do, one sentence. */
  hint?: string;
  cause?: unknown;
  /** The failing operating system error, when there is one. */
  errno?: number;
  /** Container start failures: the exit status that Docker's CLI gives (125, 126, 127). */
  exitCode?: number;
}

/** The one error class: `message` says what failed and on what, in Docker's words where clients match on them. */
export class NaruError extends Error {
  override readonly name = 'NaruError';
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly errno: number | undefined;
  readonly exitCode: number | undefined;

  constructor(kind: ErrorKind, message: string, options: NaruErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options.hint;
    this.errno = options.errno;
    this.exitCode = options.exitCode;
  }
}

export const isKind = (error: unknown, kind: ErrorKind): boolean =>
  error instanceof NaruError && error.kind === kind;
