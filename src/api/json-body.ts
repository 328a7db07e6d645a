import type { HttpRequest } from '#api/http/request.ts';
import { NaruError } from '#spec/errors.ts';

/** Largest JSON body, and how deep it may nest (Docker's own types nest to 8). */
export const MAX_JSON_BYTES = 4 * 1024 * 1024;
export const MAX_JSON_DEPTH = 64;

/**
 * The request's JSON; undefined when there is no body. Errors: invalid (not `application/json`, malformed, too deep, a
 * `__proto__` key), too-large.
 */
export async function readJson(request: HttpRequest): Promise<unknown> {
  const type = request.header('content-type');
  if (!request.hasBody) return undefined;
  requireJson(type ?? '');
  const bytes = await request.readAll(MAX_JSON_BYTES);
  if (bytes.byteLength === 0) throw new NaruError('invalid', 'invalid JSON: got EOF while reading request body');
  return parseJson(bytes);
}

/** Browsers send cross-site posts without a preflight only with other types: this check is the CSRF protection. */
export function requireJson(type: string): void {
  const media = type.split(';', 1)[0]!.trim().toLowerCase();
  if (media === 'application/json') return;
  throw new NaruError('invalid', `unsupported Content-Type header (${type}): must be 'application/json'`);
}

export function parseJson(bytes: Buffer): unknown {
  checkDepth(bytes);
  const text = bytes.toString('utf8');
  try {
    // JSON.parse makes `__proto__` an own property, harmless until somebody copies it: never let it in. An escape could
    // spell it too.
    return text.includes('__proto__') || /\\u005f/i.test(text) ? JSON.parse(text, refuseProto) : JSON.parse(text);
  } catch (cause) {
    if (cause instanceof NaruError) throw cause;
    throw new NaruError('invalid', `invalid JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new NaruError('invalid', 'invalid JSON: the key "__proto__" is not accepted');
  return value;
}

/** How often the byte is there; counts no further than it must. */
function opens(bytes: Buffer, bracket: number): number {
  let count = 0;
  for (let at = bytes.indexOf(bracket); at >= 0 && count <= MAX_JSON_DEPTH; at = bytes.indexOf(bracket, at + 1)) count++;
  return count;
}

const QUOTE = 0x22, BACKSLASH = 0x5c, OPEN_BRACKET = 0x5b, CLOSE_BRACKET = 0x5d, OPEN_BRACE = 0x7b, CLOSE_BRACE = 0x7d;

/** Before parsing: the parser recurses. Few requests have more brackets than may be open at once, wherever they stand. */
function checkDepth(bytes: Buffer): void {
  if (opens(bytes, OPEN_BRACE) + opens(bytes, OPEN_BRACKET) <= MAX_JSON_DEPTH) return;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < bytes.byteLength; i++) {
    const byte = bytes[i];
    if (quoted) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > MAX_JSON_DEPTH) throw new NaruError('invalid', `invalid JSON: nested deeper than ${MAX_JSON_DEPTH} levels`);
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
  }
}
