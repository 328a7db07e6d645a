import type { BodyFraming } from './parse-head.ts';

/** Longest chunk-size line with its extensions, and all trailer fields together. */
export const MAX_CHUNK_LINE_BYTES = 1024;
export const MAX_TRAILER_BYTES = 8 * 1024;
/** Bytes of chunk extensions that one request may spend altogether. */
export const MAX_EXTENSION_BYTES = 16 * 1024;

/**
 * Cuts a request body out of the connection's bytes (RFC 9112, 6 and 7). `push` gives the payload to `sink` and returns how
 * many bytes belonged to the body; once `done`, the rest is the next request's. `failed` says why the framing is broken.
 */
export interface BodyDecoder {
  readonly done: boolean;
  readonly failed: string | undefined;
  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): number;
}

export function createBodyDecoder(framing: BodyFraming): BodyDecoder {
  if (framing.kind === 'chunked') return new ChunkedDecoder();
  return new LengthDecoder(framing.kind === 'length' ? framing.bytes : 0);
}

class LengthDecoder implements BodyDecoder {
  readonly failed = undefined;
  #left: number;
  constructor(bytes: number) {
    this.#left = bytes;
  }
  get done(): boolean {
    return this.#left === 0;
  }
  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): number {
    const taken = Math.min(this.#left, bytes.byteLength);
    if (taken === 0) return 0;
    this.#left -= taken;
    sink(taken === bytes.byteLength ? bytes : bytes.subarray(0, taken));
    return taken;
  }
}

type ChunkState = 'size' | 'data' | 'data-end' | 'trailer' | 'done' | 'failed';
const CHUNK_LINE = /^([0-9A-Fa-f]{1,12})[ \t]*(;[\x09\x20-\x7e\x80-\xff]*)?$/;
const TRAILER_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\x09\x20-\x7e\x80-\xff]*$/;
const CR = 13;
const LF = 10;

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

class ChunkedDecoder implements BodyDecoder {
  #state: ChunkState = 'size';
  #left = 0;
  #line = '';
  #extensions = 0;
  #trailers = 0;
  failed: string | undefined;

  get done(): boolean {
    return this.#state === 'done';
  }

  push(bytes: Uint8Array, sink: (payload: Uint8Array) => void): number {
    let at = 0;
    while (at < bytes.byteLength && this.#state !== 'done' && this.#state !== 'failed') {
      if (this.#state === 'data') {
        const taken = Math.min(this.#left, bytes.byteLength - at);
        sink(bytes.subarray(at, at + taken));
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#state = 'data-end';
      } else {
        const after = this.#line === '' ? this.#plainLine(bytes, at) : at;
        at = after > at ? after : this.#takeLine(bytes, at);
      }
    }
    return at;
  }

  /** The usual lines, whole within `bytes`, without making strings: the CRLF after data, a size without extensions. Returns
   *  the position after it, or `from` when it is another line. */
  #plainLine(bytes: Uint8Array, from: number): number {
    if (this.#state === 'data-end') {
      if (bytes[from] !== CR || bytes[from + 1] !== LF) return from;
      this.#state = 'size';
      return from + 2;
    }
    if (this.#state !== 'size') return from;
    let size = 0;
    let at = from;
    for (let digit = hexDigit(bytes[at]); digit >= 0 && at - from < 12; digit = hexDigit(bytes[at])) {
      size = size * 16 + digit;
      at++;
    }
    if (at === from || bytes[at] !== CR || bytes[at + 1] !== LF) return from;
    this.#startChunk(size);
    return at + 2;
  }

  #startChunk(size: number): void {
    this.#left = size;
    this.#state = size === 0 ? 'trailer' : 'data';
  }

  /** Collects bytes up to LF, and acts on the line once it is whole. Returns the position after what it took. */
  #takeLine(bytes: Uint8Array, from: number): number {
    const end = bytes.indexOf(LF, from);
    const stop = end < 0 ? bytes.byteLength : end + 1;
    if (this.#line.length + stop - from > MAX_CHUNK_LINE_BYTES) {
      this.#fail('chunk line too long');
      return stop;
    }
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + from, stop - from).toString('latin1');
    if (end < 0) return stop;
    const line = this.#line;
    this.#line = '';
    if (line.endsWith('\r\n')) this.#onLine(line.slice(0, -2));
    else this.#fail('chunk line without CRLF');
    return stop;
  }

  #onLine(line: string): void {
    if (this.#state === 'data-end') {
      if (line === '') this.#state = 'size';
      else this.#fail('chunk longer than its size');
    } else if (this.#state === 'size') {
      const match = CHUNK_LINE.exec(line);
      this.#extensions += match?.[2]?.length ?? 0;
      if (match === null) return this.#fail('malformed chunk size');
      if (this.#extensions > MAX_EXTENSION_BYTES) return this.#fail('too many chunk extensions');
      this.#startChunk(Number.parseInt(match[1]!, 16));
    } else if (line === '') {
      this.#state = 'done';
    } else {
      this.#trailers += line.length;
      if (!TRAILER_LINE.test(line)) return this.#fail('malformed trailer');
      if (this.#trailers > MAX_TRAILER_BYTES) this.#fail('too many trailers');
    }
  }

  #fail(reason: string): void {
    this.#state = 'failed';
    this.failed = reason;
  }
}
