import { NaruError, type ErrorKind } from '#spec/errors.ts';

/** An error body larger than this is cut. */
export const MAX_ERROR_BODY = 1 << 20;

const KINDS: Readonly<Record<number, ErrorKind>> = {
  304: 'not-modified', 400: 'invalid', 401: 'unauthorized', 403: 'forbidden', 404: 'not-found', 405: 'unsupported',
  406: 'invalid', 408: 'unavailable', 409: 'conflict', 413: 'too-large', 422: 'corrupt', 499: 'canceled', 501: 'unsupported',
  502: 'unavailable', 503: 'unavailable', 504: 'unavailable', 507: 'no-space',
};

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable', 408: 'Request Timeout', 409: 'Conflict', 413: 'Request Entity Too Large',
  422: 'Unprocessable Entity', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout', 507: 'Insufficient Storage',
};

/** The error of an answer with a status of 400 or more, in the words of Docker's client. */
export function errorFromResponse(status: number, contentType: string | undefined, body: string, request: string): NaruError {
  const kind = KINDS[status] ?? 'internal';
  if (body.trim() === '') {
    return new NaruError(kind, `request returned ${status} for API route and version ${request}, check if the server supports the requested API version`);
  }
  let message = body.trim();
  let hint: string | undefined;
  let exitCode: number | undefined;
  if (contentType?.startsWith('application/json') === true) {
    let parsed: { message?: unknown; hint?: unknown; exitCode?: unknown };
    try {
      parsed = JSON.parse(body) as typeof parsed;
    } catch (cause) {
      return new NaruError(kind, `Error response from daemon: Error reading JSON: ${(cause as Error).message}`, { cause });
    }
    message = typeof parsed.message === 'string' && parsed.message !== '' ? parsed.message.trim() : `API returned a ${status} (${REASONS[status] ?? ''}) but provided no error-message`;
    if (typeof parsed.hint === 'string') hint = parsed.hint;
    if (typeof parsed.exitCode === 'number') exitCode = parsed.exitCode;
  }
  return new NaruError(kind, `Error response from daemon: ${message}`, { ...(hint === undefined ? {} : { hint }), ...(exitCode === undefined ? {} : { exitCode }) });
}
