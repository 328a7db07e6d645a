import { availableParallelism } from 'node:os';
import { constants, crc32, deflateRaw, zstdCompress } from 'node:zlib';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { GzipThreads } from '#sys/gzip-threads.ts';
import { digester } from '../content/digest.ts';
import { layerTar } from './write-layer-tar.ts';

/**
 * A layer's tar, compressed: the same layer gives the same bytes always, so that a registry that has it is found to have it.
 * Blocks of a fixed size are compressed by themselves, several at a time in other threads. They join to a sequence of gzip members or
 * zstd frames, which is one stream to every reader, or at a level that was asked for to one gzip member (each block ends on a byte
 * boundary, https://www.rfc-editor.org/rfc/rfc1951#section-3.2.4). Throws `corrupt` when the layer is not what it was.
 */
export async function* compressLayer({ layer, recipe, diffId }: { layer: string; recipe: string; diffId: Digest }, compression: 'gzip' | 'zstd', level = 0): AsyncGenerator<Uint8Array, void, undefined> {
  if (compression === 'gzip' && level === 0) return yield* compressFast({ layer, recipe, diffId });
  const hash = digester();
  let crc = 0;
  let length = 0;
  const pending: Promise<Uint8Array>[] = [];
  const add = (block: Buffer, last: boolean): void => {
    if (compression === 'gzip') crc = crc32(block, crc);
    length += block.byteLength;
    const compressed = compression === 'gzip' ? deflate(block, { last, level }) : zstd(block, level || ZSTD_LEVEL);
    compressed.catch(() => {});
    pending.push(compressed);
  };
  if (compression === 'gzip') yield GZIP_HEAD;
  for (const { block, last } of blocksOf(hashed(layerTar(layer, recipe), hash))) {
    add(block, last);
    if (pending.length >= IN_FLIGHT) yield await pending.shift()!;
  }
  for (const compressed of pending) yield await compressed;
  if (compression === 'gzip') {
    const tail = Buffer.alloc(8);
    tail.writeUInt32LE(crc, 0);
    tail.writeUInt32LE(length % 2 ** 32, 4);
    yield tail;
  }
  if (hash.digest() !== diffId) throw new NaruError('corrupt', `layer ${diffId} in the store is damaged`, { hint: 'remove the image and pull or load it again' });
}

async function* compressFast({ layer, recipe, diffId }: { layer: string; recipe: string; diffId: Digest }): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = digester();
  // One processor has enough to do with reading and hashing; each thread costs a start.
  using threads = new GzipThreads(Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1)));
  const pending: Promise<Uint8Array>[] = [];
  for (const { block, last } of blocksOf(hashed(layerTar(layer, recipe), hash))) {
    // An empty block would be an empty member, which is needed for an empty layer only.
    if (block.byteLength === 0 && last && pending.length > 0) break;
    const member = threads.gzip(block);
    member.catch(() => {});
    pending.push(member);
    if (pending.length >= IN_FLIGHT) yield await pending.shift()!;
  }
  for (const member of pending) yield await member;
  if (hash.digest() !== diffId) throw new NaruError('corrupt', `layer ${diffId} in the store is damaged`, { hint: 'remove the image and pull or load it again' });
}

const MAX_THREADS = 8;
/** All of these are part of the digest of what was pushed: a change makes every layer travel again. */
const BLOCK = 1 << 20;
const SAMPLE = 32 << 10;
/** Of a sample's size: what does not become smaller than this is dense. */
const DENSE = 0.98;
const ZSTD_LEVEL = 3;
/** Magic, deflate, no flags, no time, no extra flags, operating system unknown: https://www.rfc-editor.org/rfc/rfc1952 */
const GZIP_HEAD = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255);

const IN_FLIGHT = 6;

function* hashed(chunks: Iterable<Uint8Array>, hash: { update(bytes: Uint8Array): void }): Generator<Uint8Array, void, undefined> {
  for (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Copies of BLOCK bytes each, and a last one that may be smaller or empty. */
function* blocksOf(chunks: Iterable<Uint8Array>): Generator<{ block: Buffer<ArrayBuffer>; last: boolean }, void, undefined> {
  let block = Buffer.allocUnsafe(BLOCK);
  let used = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      if (used === BLOCK) {
        yield { block, last: false };
        block = Buffer.allocUnsafe(BLOCK);
        used = 0;
      }
      const piece = chunk.subarray(at, at + BLOCK - used);
      block.set(piece, used);
      used += piece.byteLength;
      at += piece.byteLength;
    }
  }
  yield { block: block.subarray(0, used), last: true };
}

/** What is compressed already (archives, pictures, keys) would take longest and gain nothing: a sample tells, and it is stored. */
async function deflate(block: Buffer, { last, level }: { last: boolean; level: number }): Promise<Uint8Array> {
  const sample = block.subarray(0, SAMPLE);
  const dense = block.byteLength > 2 * SAMPLE && (await deflateAt(sample, { level: 1, last: true })).byteLength > sample.byteLength * DENSE;
  return await deflateAt(block, { level: dense ? 0 : level, last });
}

const deflateAt = (block: Buffer, { level, last }: { level: number; last: boolean }): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    deflateRaw(block, { level, finishFlush: last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH }, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });

const zstd = (block: Buffer, level: number): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    zstdCompress(block, { params: { [constants.ZSTD_c_compressionLevel]: level } }, (error, bytes) => (error === null ? resolve(bytes) : reject(error)));
  });
