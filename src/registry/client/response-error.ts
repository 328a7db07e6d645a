import { NaruError, type ErrorKind } from '#spec/errors.ts';
import { parseErrorBody } from '../protocol/error-codes.ts';
import { readBody, type RegistryResponse } from './dispatch.ts';

const MAX_ERROR = 64 << 10;

const KIND_OF_STATUS: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid', 401: 'unauthorized', 403: 'forbidden', 404: 'not-found', 405: 'unsupported', 409: 'conflict', 413: 'too-large', 416: 'invalid', 429: 'unavailable',
};
const KIND_OF_CODE: Readonly<Record<string, ErrorKind>> = { UNAUTHORIZED: 'unauthorized', DENIED: 'forbidden', TOOMANYREQUESTS: 'unavailable' };
const CODES: Readonly<Record<string, string>> = {
  DENIED: 'requested access to the resource is denied', UNAUTHORIZED: 'authentication required', MANIFEST_UNKNOWN: 'manifest unknown', NAME_UNKNOWN: 'repository name not known to registry',
  TOOMANYREQUESTS: 'You have reached your pull rate limit.',
};

/** A refusal as an error, in the words of Docker's daemon: the registry's own code and sentence. Reads the body. */
export async function responseError(response: RegistryResponse, { what, unauthorized }: { what: string; unauthorized?: string }): Promise<NaruError> {
  const { status } = response;
  let text = '';
  try {
    text = (await readBody(response, MAX_ERROR)).toString('utf8');
  } catch {
    // The status says enough.
  }
  const said = parseErrorBody(text);
  const kind = KIND_OF_CODE[said?.code ?? ''] ?? KIND_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'internal');
  if (said !== undefined) {
    const code = said.code.toLowerCase().replaceAll('_', ' ');
    const message = clean(said.message) || (CODES[said.code] ?? code);
    return new NaruError(kind, `${what.startsWith('Get ') && kind === 'unauthorized' ? `${what}: ` : ''}${code}: ${kind === 'unauthorized' && unauthorized !== undefined ? unauthorized : message}`, hintOf(kind));
  }
  if (kind === 'unauthorized') return new NaruError(kind, `${what}: unauthorized: ${unauthorized ?? 'authentication required'}`, hintOf(kind));
  if (status === 429) return new NaruError(kind, `${what}: toomanyrequests: ${clean(text).slice(0, 200) || 'too many requests'}`, hintOf(kind));
  return new NaruError(kind, `${what}: received unexpected HTTP status: ${status}`);
}

/** The registry's words go to terminals: no control characters. */
const clean = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').trim().slice(0, 1000);

const hintOf = (kind: ErrorKind): { hint?: string } => (kind === 'unauthorized' ? { hint: 'log in with `naru login`' } : {});
