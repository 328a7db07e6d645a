/** A response's head. Header names are lower case; repeated headers are joined by `, `. */
export interface ResponseHead { readonly status: number; readonly reason: string; readonly headers: ReadonlyMap<string, string> }

/** What the parser reports, in order: head, body*, end. */
export interface ResponseSink {
  /** Returns true when the bytes after the head are no HTTP any more (101, hijack): they come by `raw`. */
  head(head: ResponseHead): boolean;
  body(chunk: Uint8Array): void;
  end(): void;
  raw(chunk: Uint8Array): void;
}

/** A head larger than this is an attack or no HTTP. */
const MAX_HEAD = 64 << 10;
const MAX_CHUNK_LINE = 4096;
const CR = 13;
const LF = 10;

type State = 'head' | 'length' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer' | 'until-close' | 'raw' | 'idle';

/**
 * An incremental parser of HTTP/1.1 responses (RFC 9112), strict: it throws on what it does not understand. `expectBody` false
 * is for answers to HEAD. Call `reset` before each request.
 */
export class ResponseParser {
  #state: State = 'idle';
  #held: Uint8Array | undefined; // an unfinished head or line
  #left = 0;
  #expectBody = true;
  readonly #sink: ResponseSink;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  reset(expectBody: boolean): void {
    this.#state = 'head';
    this.#held = undefined;
    this.#expectBody = expectBody;
  }

  push(input: Uint8Array): void {
    let bytes = input;
    while (bytes.length > 0) {
      switch (this.#state) {
        case 'raw':
          this.#sink.raw(bytes);
          return;
        case 'until-close':
          this.#sink.body(bytes);
          return;
        case 'length':
        case 'chunk-data': {
          const take = Math.min(this.#left, bytes.length);
          this.#left -= take;
          this.#sink.body(take === bytes.length ? bytes : bytes.subarray(0, take));
          bytes = bytes.subarray(take);
          if (this.#left === 0) {
            if (this.#state === 'length') this.#finish();
            else this.#state = 'chunk-end';
          }
          break;
        }
        case 'idle':
          throw new Error('the daemon sent bytes that nobody asked for');
        case 'head':
          bytes = this.#takeHead(bytes);
          break;
        default:
          bytes = this.#takeLine(bytes);
      }
    }
  }

  /** The peer closed. Throws when that cuts an answer short. */
  close(): void {
    if (this.#state === 'until-close') this.#finish();
    else if (this.#state !== 'raw' && this.#state !== 'idle') throw new Error('the daemon closed the connection in the middle of an answer');
  }

  #finish(): void {
    this.#state = 'idle';
    this.#sink.end();
  }

  #takeHead(input: Uint8Array): Uint8Array {
    const bytes = this.#held === undefined ? input : concat(this.#held, input);
    const end = findHeadEnd(bytes);
    if (end < 0) {
      if (bytes.length > MAX_HEAD) throw new Error('the answer of the daemon has no end of its headers');
      this.#held = bytes;
      return new Uint8Array(0);
    }
    this.#held = undefined;
    const head = parseHead(bytes.subarray(0, end));
    const rest = bytes.subarray(end + 4);
    if (head.status >= 100 && head.status < 200 && head.status !== 101) return rest; // interim: the real one follows
    const raw = this.#sink.head(head);
    if (raw) this.#state = 'raw';
    else this.#frame(head);
    return rest;
  }

  #frame(head: ResponseHead): void {
    const encoding = head.headers.get('transfer-encoding');
    const length = head.headers.get('content-length');
    if (!this.#expectBody || head.status === 204 || head.status === 304) this.#finish();
    else if (encoding !== undefined) {
      if (encoding.toLowerCase() !== 'chunked') throw new Error(`the daemon used an unknown transfer encoding: ${encoding}`);
      this.#state = 'chunk-size';
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new Error(`the daemon sent a malformed content length: ${length}`);
      this.#left = Number(length);
      this.#state = 'length';
      if (this.#left === 0) this.#finish();
    } else this.#state = 'until-close';
  }

  #takeLine(input: Uint8Array): Uint8Array {
    const bytes = this.#held === undefined ? input : concat(this.#held, input);
    const end = bytes.indexOf(LF);
    if (end < 0) {
      if (bytes.length > MAX_CHUNK_LINE) throw new Error('the daemon sent a malformed chunk');
      this.#held = bytes;
      return new Uint8Array(0);
    }
    this.#held = undefined;
    if (end === 0 || bytes[end - 1] !== CR) throw new Error('the daemon sent a malformed chunk');
    const rest = bytes.subarray(end + 1);
    if (this.#state === 'chunk-size') {
      const match = /^([0-9a-fA-F]{1,13})[ \t]*(?:;.*)?$/.exec(latin1(bytes.subarray(0, end - 1)));
      if (match === null) throw new Error('the daemon sent a malformed chunk');
      this.#left = Number.parseInt(match[1] as string, 16);
      this.#state = this.#left === 0 ? 'trailer' : 'chunk-data';
    } else if (this.#state === 'chunk-end') {
      if (end !== 1) throw new Error('the daemon sent a malformed chunk');
      this.#state = 'chunk-size';
    } else if (end === 1) this.#finish(); // the empty line after the trailers
    return rest;
  }
}

function findHeadEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) {
    if (bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) return at;
  }
  return -1;
}

function parseHead(bytes: Uint8Array): ResponseHead {
  const lines = latin1(bytes).split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(lines[0] ?? '');
  if (status === null) throw new Error('malformed HTTP response');
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] as string;
    const colon = line.indexOf(':');
    if (colon <= 0 || line[colon - 1] === ' ') throw new Error('malformed HTTP response header');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status[1]), reason: status[2] ?? '', headers };
}

const decoder = new TextDecoder('latin1');
const latin1 = (bytes: Uint8Array): string => decoder.decode(bytes);

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
