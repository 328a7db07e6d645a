import type { ByteStream } from './byte-stream.ts';

/** Takes stdout (1) and stderr (2) bytes; they are the sink's only until it returns, or its promise settles. */
export type FrameSink = (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;

const HEADER = 8;

/**
 * Takes Docker's multiplexed stream apart: frames of `[stream, 0, 0, 0, length (big endian)]` and the payload (stream 0 is
 * written to stdout). Neighbouring frames of one stream in one read reach the sink as one piece: they are moved together in
 * place, over the headers between them. Throws on a malformed frame, and the daemon's own words on stream 3.
 */
export async function demultiplex(source: ByteStream, sink: FrameSink): Promise<void> {
  const header = new Uint8Array(HEADER);
  let headerHave = 0;
  let kind = 0;
  let left = 0;
  let complaint = '';

  for (let chunk = await source.read(); chunk !== undefined; chunk = await source.read()) {
    // The piece gathered so far: chunk[start, end) of `stream`.
    let start = 0;
    let end = 0;
    let stream: 1 | 2 = 1;
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        if (headerHave === 0 && chunk.length - at >= HEADER) {
          kind = chunk[at] as number;
          left = (((chunk[at + 4] as number) << 24) | ((chunk[at + 5] as number) << 16) | ((chunk[at + 6] as number) << 8) | (chunk[at + 7] as number)) >>> 0;
          at += HEADER;
        } else {
          const take = Math.min(HEADER - headerHave, chunk.length - at);
          header.set(chunk.subarray(at, at + take), headerHave);
          headerHave += take;
          at += take;
          if (headerHave < HEADER) break;
          headerHave = 0;
          kind = header[0] as number;
          left = new DataView(header.buffer).getUint32(4);
        }
        if (kind > 3) throw new Error(`Unrecognized input header: ${kind}`);
        continue;
      }
      const size = Math.min(left, chunk.length - at);
      left -= size;
      if (kind === 3) {
        complaint += new TextDecoder().decode(chunk.subarray(at, at + size));
        if (left === 0) throw new Error(`error from daemon in stream: ${complaint}`);
      } else {
        const target = kind === 2 ? 2 : 1;
        if (end > start && target === stream) {
          if (end !== at) chunk.copyWithin(end, at, at + size);
          end += size;
        } else {
          if (end > start) {
            const wait = sink(stream, chunk.subarray(start, end));
            if (wait !== undefined) await wait;
          }
          stream = target;
          start = at;
          end = at + size;
        }
      }
      at += size;
    }
    if (end > start) {
      const wait = sink(stream, chunk.subarray(start, end));
      if (wait !== undefined) await wait;
    }
  }
}
