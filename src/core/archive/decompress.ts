import { createGunzip, createZstdDecompress } from 'node:zlib';
import type { Duplex } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import { ByteSource } from './byte-source.ts';
import { drained } from './drained.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/** More output than this for each byte of input is a bomb: deflate cannot do more than 1032:1, and what is honestly that empty
 *  is small. Counts only from FREE_OUTPUT on. */
export const MAX_RATIO = 2000;
export const FREE_OUTPUT = 64 << 20;

const REFUSED: readonly (readonly [string, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]], ['bzip2', [0x42, 0x5a, 0x68]], ['lz4', [0x04, 0x22, 0x4d, 0x18]], ['lzip', [0x4c, 0x5a, 0x49, 0x50]],
];

const begins = (bytes: Uint8Array, magic: readonly number[]): boolean => magic.every((byte, i) => bytes[i] === byte);

/** By the first bytes (6 are enough). Throws `unsupported` for what is compressed in another way. */
export function detectCompression(head: Uint8Array): Compression {
  if (begins(head, [0x1f, 0x8b])) return 'gzip';
  if (begins(head, [0x28, 0xb5, 0x2f, 0xfd])) return 'zstd';
  for (const [name, magic] of REFUSED) {
    if (begins(head, magic)) {
      throw new NaruError('unsupported', `archive is compressed with ${name}, which naru does not read`, { hint: `decompress it first: ${name} -dc archive | naru load` });
    }
  }
  return 'none';
}

/** The uncompressed bytes of a source that may be compressed. Throws `corrupt` for damaged input and `too-large` for a bomb. */
export async function* decompressed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const source = new ByteSource(chunks);
  try {
    const compression = detectCompression(await source.peek(6));
    if (compression === 'none') yield* source.rest();
    else yield* inflate(source.rest(), compression);
  } finally {
    await source.cancel();
  }
}

async function* inflate(chunks: AsyncIterable<Uint8Array>, compression: 'gzip' | 'zstd'): AsyncGenerator<Uint8Array, void, undefined> {
  let input = 0;
  let output = 0;
  let stopped = false;
  let broken: unknown;
  const inflater: Duplex = compression === 'gzip' ? createGunzip({ chunkSize: 1 << 18 }) : createZstdDecompress({ chunkSize: 1 << 18 });
  // Fed by hand rather than by pipe(): when the reader gives up, nobody may go on pulling from the source behind its back.
  const pump = (async () => {
    for await (const chunk of chunks) {
      if (stopped) return;
      input += chunk.byteLength;
      // A copy: the decompressor's thread reads it while the source goes on.
      if (!inflater.write(Buffer.from(chunk)) && !inflater.destroyed) await drained(inflater);
    }
    inflater.end();
  })();
  pump.catch((error: Error) => {
    broken = error;
    inflater.destroy(error);
  });
  try {
    for await (const chunk of inflater as AsyncIterable<Buffer>) {
      output += chunk.byteLength;
      if (output > FREE_OUTPUT && output > input * MAX_RATIO) {
        throw new NaruError('too-large', `archive unpacks to more than ${MAX_RATIO} times its size`, { hint: 'it looks like a decompression bomb' });
      }
      yield chunk;
    }
  } catch (error) {
    // What broke is the source: its own words. Otherwise it is zlib that complains.
    if (error === broken) throw error;
    if (error instanceof NaruError) throw error;
    throw new NaruError('corrupt', `malformed archive: ${compression} data is damaged (${(error as Error).message})`, { cause: error });
  } finally {
    stopped = true;
    inflater.destroy();
    await pump.catch(() => {});
  }
}
