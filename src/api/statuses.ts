import { type ErrorKind, NaruError } from '#spec/errors.ts';

/** Every kind of failure and the status that it gets: a new kind does not compile until it is here. */
export const STATUS_OF: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  'not-found': 404,
  conflict: 409,
  'not-modified': 304,
  forbidden: 403,
  unauthorized: 401,
  unsupported: 501,
  unavailable: 503,
  'too-large': 413,
  corrupt: 400,
  'no-space': 507,
  canceled: 500,
  internal: 500,
};

export interface ErrorBody { message: string; hint?: string; exitCode?: number }

/** `message` is Docker's field; `hint` and `exitCode` are naru's. */
export function errorBody(error: unknown): ErrorBody {
  if (!(error instanceof NaruError)) return { message: error instanceof Error ? error.message : String(error) };
  const body: ErrorBody = { message: error.message };
  if (error.hint !== undefined) body.hint = error.hint;
  if (error.exitCode !== undefined) body.exitCode = error.exitCode;
  return body;
}

export const errorStatus = (error: unknown): number => (error instanceof NaruError ? STATUS_OF[error.kind] : 500);
