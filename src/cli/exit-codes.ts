import { NaruError, type ErrorKind } from '#spec/errors.ts';

/** Exit statuses by the kind of failure. A command's own (`run`: 125) goes before. */
export const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  invalid: 1, 'not-found': 1, conflict: 1, 'not-modified': 0, forbidden: 1, unauthorized: 1, unsupported: 1, unavailable: 1,
  'too-large': 1, corrupt: 1, 'no-space': 1, canceled: 1, internal: 1,
};

/** Wrong flags, and everything that keeps `run` from starting a container. */
export const USAGE_FAILURE = 125;

export function exitCodeOf(error: unknown): number {
  if (error instanceof NaruError) return error.exitCode ?? EXIT_CODES[error.kind];
  return 1;
}
