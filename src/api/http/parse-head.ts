/**
 * The head of an HTTP/1.x request, read strictly (RFC 9112): whatever two parsers could understand differently is refused,
 * so that no proxy or authorisation layer in front can be made to see another request than we serve.
 */
export const MAX_REQUEST_LINE_BYTES = 32 * 1024;
export const MAX_HEAD_BYTES = 64 * 1024;
export const MAX_HEADER_FIELDS = 128;

export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' };

export interface RequestHead {
  readonly method: string;
  /** As sent: still percent-encoded, begins with '/', without the query. */
  readonly path: string;
  /** Without the '?', '' when there is none. */
  readonly query: string;
  readonly minorVersion: 0 | 1;
  /** Lower-case names; repeated fields are joined with ', '. */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: BodyFraming;
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

/** What was wrong, and the status to answer before closing the connection. */
export interface Refusal { readonly refused: number; readonly message: string }

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BAD_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
const TARGET = /^\/[\x21\x22\x24-\x7e]*$/; // printable, no '#'
const ABSOLUTE = /^https?:\/\/([^/?#@]+)(\/.*)?$/i;
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?$/;
const DECIMAL = /^[0-9]{1,15}$/;
const SINGLE = new Set(['content-length', 'transfer-encoding', 'host', 'expect', 'content-type', 'upgrade']);
const NO_BODY: BodyFraming = { kind: 'none' };
const CHUNKED: BodyFraming = { kind: 'chunked' };

const refuse = (refused: number, message: string): Refusal => ({ refused, message });

/** `text`: the head in latin1 without the empty line that ends it. */
export function parseHead(text: string): RequestHead | Refusal {
  const lines = text.split('\r\n');
  const first = parseRequestLine(lines[0]!);
  if ('refused' in first) return first;
  if (lines.length - 1 > MAX_HEADER_FIELDS) return refuse(431, 'too many header fields');
  const headers = parseFields(lines);
  if ('refused' in headers) return headers;
  if (first.authority !== undefined) headers.set('host', first.authority);
  const host = headers.get('host');
  if (host === undefined ? first.minorVersion === 1 : !HOST.test(host)) return refuse(400, 'missing or malformed Host header');
  const framing = parseFraming(headers, first.minorVersion);
  if ('refused' in framing) return framing;
  const expect = headers.get('expect');
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') return refuse(417, 'unknown expectation');
  const mark = first.target.indexOf('?');
  return {
    method: first.method,
    path: mark < 0 ? first.target : first.target.slice(0, mark),
    query: mark < 0 ? '' : first.target.slice(mark + 1),
    minorVersion: first.minorVersion,
    headers,
    framing,
    keepAlive: keepsAlive(headers.get('connection'), first.minorVersion),
    expectsContinue: expect !== undefined && first.minorVersion === 1 && framing.kind !== 'none',
  };
}

interface RequestLine { method: string; target: string; minorVersion: 0 | 1; authority: string | undefined }

function parseRequestLine(line: string): RequestLine | Refusal {
  if (line.length > MAX_REQUEST_LINE_BYTES) return refuse(414, 'request line too long');
  const parts = line.split(' ');
  if (parts.length !== 3) return refuse(400, 'malformed request line');
  const [method, given, version] = parts as [string, string, string];
  if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') {
    return /^HTTP\/[0-9]\.[0-9]$/.test(version) ? refuse(505, 'HTTP version not supported') : refuse(400, 'malformed request line');
  }
  if (!METHODS.has(method)) return FIELD_NAME.test(method) ? refuse(501, 'method not implemented') : refuse(400, 'malformed method');
  let target = given;
  let authority: string | undefined;
  if (!target.startsWith('/')) {
    const absolute = ABSOLUTE.exec(target);
    if (absolute === null) return refuse(400, 'malformed request target');
    authority = absolute[1];
    target = absolute[2] ?? '/';
  }
  if (!TARGET.test(target)) return refuse(400, 'malformed request target');
  return { method, target, minorVersion: version === 'HTTP/1.1' ? 1 : 0, authority };
}

function parseFields(lines: readonly string[]): Map<string, string> | Refusal {
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const colon = line.indexOf(':');
    // A line that begins with white space (obs-fold) has no valid name, so it is refused here too.
    const given = line.slice(0, Math.max(0, colon));
    if (!FIELD_NAME.test(given)) return refuse(400, 'malformed header field');
    const name = given.toLowerCase();
    const value = trimOws(line, colon + 1);
    if (BAD_IN_VALUE.test(value)) return refuse(400, 'forbidden character in a header field');
    const before = headers.get(name);
    if (before !== undefined && SINGLE.has(name)) return refuse(400, `repeated ${name} header`);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

function trimOws(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function parseFraming(headers: ReadonlyMap<string, string>, minorVersion: 0 | 1): BodyFraming | Refusal {
  const length = headers.get('content-length');
  const coding = headers.get('transfer-encoding');
  if (coding !== undefined) {
    if (length !== undefined) return refuse(400, 'both Content-Length and Transfer-Encoding');
    if (minorVersion === 0) return refuse(400, 'Transfer-Encoding in an HTTP/1.0 request');
    return coding.toLowerCase() === 'chunked' ? CHUNKED : refuse(501, 'unsupported Transfer-Encoding');
  }
  if (length === undefined) return NO_BODY;
  if (!DECIMAL.test(length)) return refuse(400, 'malformed Content-Length');
  return length === '0' ? NO_BODY : { kind: 'length', bytes: Number(length) };
}

function keepsAlive(connection: string | undefined, minorVersion: 0 | 1): boolean {
  if (connection === undefined) return minorVersion === 1;
  const words = connection.toLowerCase().split(',').map((word) => word.trim());
  if (words.includes('close')) return false;
  return minorVersion === 1 || words.includes('keep-alive');
}
