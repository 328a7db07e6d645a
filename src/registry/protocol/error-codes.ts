import { NaruError, type ErrorKind, type NaruErrorOptions } from '#spec/errors.ts';

/**
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes with the status and the kind that each
 * stands for; the ones after TOOMANYREQUESTS are Docker's, for what the specification has no code for.
 */
export const REGISTRY_CODES = {
  BLOB_UNKNOWN: { status: 404, kind: 'not-found' },
  BLOB_UPLOAD_INVALID: { status: 400, kind: 'invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, kind: 'not-found' },
  DIGEST_INVALID: { status: 400, kind: 'invalid' },
  MANIFEST_BLOB_UNKNOWN: { status: 404, kind: 'not-found' },
  MANIFEST_INVALID: { status: 400, kind: 'invalid' },
  MANIFEST_UNKNOWN: { status: 404, kind: 'not-found' },
  NAME_INVALID: { status: 400, kind: 'invalid' },
  NAME_UNKNOWN: { status: 404, kind: 'not-found' },
  SIZE_INVALID: { status: 400, kind: 'invalid' },
  UNAUTHORIZED: { status: 401, kind: 'unauthorized' },
  DENIED: { status: 403, kind: 'forbidden' },
  UNSUPPORTED: { status: 405, kind: 'unsupported' },
  TOOMANYREQUESTS: { status: 429, kind: 'unavailable' },
  TAG_INVALID: { status: 400, kind: 'invalid' },
  RANGE_INVALID: { status: 416, kind: 'invalid' },
  PAGINATION_NUMBER_INVALID: { status: 400, kind: 'invalid' },
  UNAVAILABLE: { status: 503, kind: 'unavailable' },
  UNKNOWN: { status: 500, kind: 'internal' },
} as const satisfies Record<string, { status: number; kind: ErrorKind }>;

export type RegistryCode = keyof typeof REGISTRY_CODES;

/** What the wire needs beyond kind and message. */
export interface RegistryFault {
  code: RegistryCode;
  status: number;
  detail?: unknown;
  headers?: Record<string, string>;
}
export type RegistryError = NaruError & { readonly fault: RegistryFault };

export interface RegistryErrorOptions extends NaruErrorOptions {
  detail?: unknown;
  /** Where the usual status of the code does not fit: a blob in use (405), an out-of-order chunk (416), a full disk (507). */
  status?: number;
  headers?: Record<string, string>;
}

/** The one error class with the registry's code on it. */
export function registryError(code: RegistryCode, message: string, options: RegistryErrorOptions = {}): RegistryError {
  const { status, kind } = REGISTRY_CODES[code];
  const fault: RegistryFault = { code, status: options.status ?? status };
  if (options.detail !== undefined) fault.detail = options.detail;
  if (options.headers !== undefined) fault.headers = options.headers;
  return Object.assign(new NaruError(options.status === 507 ? 'no-space' : kind, message, options), { fault });
}

export const faultOf = (error: unknown): RegistryFault | undefined =>
  error instanceof NaruError ? (error as Partial<RegistryError>).fault : undefined;

/** Codes of errors that were thrown without one, by kind: a new kind fails the type check until it has a row. */
const CODE_OF_KIND: Record<ErrorKind, { code: RegistryCode; status: number }> = {
  invalid: { code: 'UNSUPPORTED', status: 400 },
  'not-found': { code: 'NAME_UNKNOWN', status: 404 },
  conflict: { code: 'DENIED', status: 409 },
  'not-modified': { code: 'UNSUPPORTED', status: 304 },
  forbidden: { code: 'DENIED', status: 403 },
  unauthorized: { code: 'UNAUTHORIZED', status: 401 },
  unsupported: { code: 'UNSUPPORTED', status: 405 },
  unavailable: { code: 'UNAVAILABLE', status: 503 },
  'too-large': { code: 'SIZE_INVALID', status: 413 },
  corrupt: { code: 'DIGEST_INVALID', status: 400 },
  'no-space': { code: 'BLOB_UPLOAD_INVALID', status: 507 },
  canceled: { code: 'UNAVAILABLE', status: 499 },
  internal: { code: 'UNKNOWN', status: 500 },
};

/** The wire's view of any failure. What is not a NaruError says nothing of its inside. */
export function asFault(error: unknown): RegistryFault & { message: string } {
  if (!(error instanceof NaruError)) return { code: 'UNKNOWN', status: 500, message: 'the registry failed; its log says why' };
  const fault = faultOf(error) ?? CODE_OF_KIND[error.kind];
  return { ...fault, message: error.hint === undefined ? error.message : `${error.message}: ${error.hint}` };
}

/** The body of a refusal: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
export const errorBody = (fault: { code: string; message: string; detail?: unknown }): string =>
  JSON.stringify({ errors: [{ code: fault.code, message: fault.message, ...(fault.detail === undefined ? {} : { detail: fault.detail }) }] });

/** The other end's reading of such a body: its first error, or nothing when it is something else (a proxy's HTML). */
export function parseErrorBody(text: string): { code: string; message: string } | undefined {
  try {
    const parsed = JSON.parse(text) as { errors?: { code?: unknown; message?: unknown }[] };
    const first = Array.isArray(parsed?.errors) ? parsed.errors[0] : undefined;
    if (typeof first?.code !== 'string') return undefined;
    return { code: first.code, message: typeof first.message === 'string' ? first.message : '' };
  } catch {
    return undefined;
  }
}
