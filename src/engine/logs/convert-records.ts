import { FRAME_BYTES, HEADER_BYTES, isHeader, OVERHEAD_BYTES, readTime, readU32, STDERR, STDOUT, TRAILER_BYTES } from './log-record.ts';

/** What of the records goes out, and how. */
export interface Conversion {
  /** Docker's frames; false: the bytes alone (a terminal). */
  readonly framed: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds; 0n: unset. */
  readonly since: bigint;
  readonly until: bigint;
  /** What stands before each line of a record of this time. */
  readonly prefix: ((time: bigint) => Uint8Array) | undefined;
}

export interface Converted {
  /** Bytes of input that were whole records. */
  readonly consumed: number;
  readonly output: Uint8Array;
  /** `until` was reached, or the rest cannot be read (damage): nothing more is to come of this file. */
  readonly end: 'until' | 'damaged' | undefined;
}

/** Streams whose last line has no end yet: a prefix belongs at the start of a line only. Kept from piece to piece. */
export interface LineState { readonly open: Set<number> }

/** Small records of one stream go out as one frame up to this size. */
const FRAME_LIMIT = 256 * 1024;

/**
 * Records at the beginning of `bytes` to output. Without prefixes this happens in place (a frame's header is smaller than a record's):
 * `bytes` is overwritten, and the output is a view of it.
 */
export function convertRecords(bytes: Uint8Array, conversion: Conversion, state: LineState): Converted {
  return conversion.prefix === undefined ? convertInPlace(bytes, conversion) : convertLines(bytes, conversion, state);
}

const writeU32BigEndian = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
};

function convertInPlace(bytes: Uint8Array, { framed, stdout, stderr, since, until }: Conversion): Converted {
  const timed = since !== 0n || until !== 0n;
  let at = 0;
  let out = 0;
  let frame = -1; // start of the frame that still may grow
  let frameStream = 0;
  let end: Converted['end'];
  while (at + HEADER_BYTES <= bytes.length) {
    if (!isHeader(bytes, at)) {
      end = 'damaged';
      break;
    }
    const length = readU32(bytes, at);
    const stream = bytes[at + 4]!;
    const next = at + OVERHEAD_BYTES + length;
    if (next > bytes.length) break;
    if (timed) {
      const time = readTime(bytes, at);
      if (until !== 0n && time > until) {
        end = 'until';
        break;
      }
      if (time < since) {
        at = next;
        continue;
      }
    }
    if (stream === STDOUT ? stdout : stderr) {
      const payload = at + HEADER_BYTES;
      if (framed && (frame < 0 || frameStream !== stream || out - frame + length > FRAME_LIMIT)) {
        if (frame >= 0) writeU32BigEndian(bytes, frame + 4, out - frame - FRAME_BYTES);
        frame = out;
        frameStream = stream;
        bytes[out] = stream;
        bytes[out + 1] = bytes[out + 2] = bytes[out + 3] = 0;
        out += FRAME_BYTES;
      }
      bytes.copyWithin(out, payload, payload + length);
      out += length;
    }
    at = next;
  }
  if (frame >= 0) writeU32BigEndian(bytes, frame + 4, out - frame - FRAME_BYTES);
  return { consumed: at, output: bytes.subarray(0, out), end };
}

const NEWLINE = 10;

function convertLines(bytes: Uint8Array, { framed, stdout, stderr, since, until, prefix }: Conversion, { open }: LineState): Converted {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const push = (piece: Uint8Array): void => {
    pieces.push(piece);
    size += piece.length;
  };
  let at = 0;
  let end: Converted['end'];
  while (at + HEADER_BYTES <= bytes.length) {
    if (!isHeader(bytes, at)) {
      end = 'damaged';
      break;
    }
    const length = readU32(bytes, at);
    const stream = bytes[at + 4] as typeof STDOUT | typeof STDERR;
    const next = at + OVERHEAD_BYTES + length;
    if (next > bytes.length) break;
    const time = readTime(bytes, at);
    if (until !== 0n && time > until) {
      end = 'until';
      break;
    }
    if (time >= since && length > 0 && (stream === STDOUT ? stdout : stderr)) {
      const head = prefix!(time);
      const payload = bytes.subarray(at + HEADER_BYTES, next - TRAILER_BYTES);
      const lines: Uint8Array[] = [];
      let total = 0;
      for (let from = 0; from < payload.length; ) {
        const newline = payload.indexOf(NEWLINE, from);
        const to = newline < 0 ? payload.length : newline + 1;
        if (!open.has(stream)) {
          lines.push(head);
          total += head.length;
        }
        lines.push(payload.subarray(from, to));
        total += to - from;
        if (newline < 0) open.add(stream);
        else open.delete(stream);
        from = to;
      }
      if (framed) {
        const header = new Uint8Array(FRAME_BYTES);
        header[0] = stream;
        writeU32BigEndian(header, 4, total);
        push(header);
      }
      for (const line of lines) push(line);
    }
    at = next;
  }
  const output = new Uint8Array(size);
  let to = 0;
  for (const piece of pieces) {
    output.set(piece, to);
    to += piece.length;
  }
  return { consumed: at, output, end };
}
