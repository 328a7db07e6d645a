import { availableParallelism } from 'node:os';
import { constants, crc32, deflateRaw, zstdCompress } from 'node:zlib';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { gzipMember, GzipThreads } from '#sys/gzip-threads.ts';
import { digester } from '../content/digest.ts';
import { layerTar } from './write-layer-tar.ts';

/**
 * A layer's tar, compressed: the same layer gives the same bytes always, so that a registry that has it is found to have it.
 * Blocks of a fixed size are compressed by themselves, several at a time in other threads. They join to a sequence of gzip members or
 * zstd frames, which is one stream to every reader, or at a level that was asked for to one gzip member (each block ends on a byte
 * boundary, https://www.rfc-editor.org/rfc/rfc1951#section-3.2.4). Throws `corrupt` when the layer is not what it was.
 *
 * `alone`: no other layer is compressed beside it, so the usual gzip may use all processors too.
 */
export async function* compressLayer({ layer, recipe, diffId }: { layer: string; recipe: string; diffId: Digest }, { compression, level = 0, alone }: { compression: 'gzip' | 'zstd'; level?: number | undefined; alone: boolean }): AsyncGenerator<Uint8Array, void, undefined> {
  if (compression === 'gzip' && level === 0) return yield* compressFast({ layer, recipe, diffId }, alone);
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

/** gzip as fast as it goes. A chunk is valid until the next is asked for. */
async function* compressFast({ layer, recipe, diffId }: { layer: string; recipe: string; diffId: Digest }, threaded: boolean): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = digester();
  // One processor has enough to do with reading and hashing; each thread costs a start.
  using threads = threaded ? new GzipThreads(Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1))) : undefined;
  // Fresh memory costs as much as the compression: blocks and what is stored of them are used again.
  const free: Buffer<ArrayBuffer>[] = [];
  const stored: Buffer[] = [];
  const pending: Promise<Uint8Array>[] = [];
  let some = false;
  function* passed(member: Uint8Array): Generator<Uint8Array, void, undefined> {
    yield member;
    if (member instanceof Buffer) stored.push(member);
  }
  for (const { block, last } of blocksOf(hashed(layerTar(layer, recipe), hash), () => free.pop())) {
    // An empty block would be an empty member, which is needed for an empty layer only.
    if (block.byteLength === 0 && last && some) break;
    some = true;
    if (threads === undefined) {
      yield* passed(isDense(block) ? storedMember(block, stored.pop()) : gzipMember(block));
      free.push(block);
      continue;
    }
    if (isDense(block)) {
      pending.push(Promise.resolve(storedMember(block, stored.pop())));
      free.push(block);
    } else {
      const member = threads.gzip(block).then((done) => {
        free.push(Buffer.from(done.block.buffer));
        return done.out;
      });
      member.catch(() => {});
      pending.push(member);
    }
    if (pending.length >= IN_FLIGHT) yield* passed(await pending.shift()!);
  }
  for (const member of pending) yield await member;
  if (hash.digest() !== diffId) throw new NaruError('corrupt', `layer ${diffId} in the store is damaged`, { hint: 'remove the image and pull or load it again' });
}

/** What does not become smaller (archives, pictures, keys) would take longest and gain nothing: a sample tells. */
const isDense = (block: Buffer<ArrayBuffer>): boolean => block.byteLength > 2 * SAMPLE && gzipMember(block.subarray(0, SAMPLE)).byteLength > SAMPLE * DENSE;

/** A gzip member that holds a block as it is: https://www.rfc-editor.org/rfc/rfc1951#section-3.2.4. `into`: memory for it. */
function storedMember(block: Buffer, into: Buffer = Buffer.allocUnsafe(MAX_MEMBER)): Buffer {
  const pieces = Math.ceil(block.byteLength / MAX_STORED);
  const out = Buffer.from(into.buffer, into.byteOffset, GZIP_HEAD.byteLength + 5 * pieces + block.byteLength + 8);
  out.set(GZIP_HEAD);
  let to = GZIP_HEAD.byteLength;
  for (let i = 0; i < pieces; i++) {
    const piece = block.subarray(i * MAX_STORED, (i + 1) * MAX_STORED);
    out[to] = i === pieces - 1 ? 1 : 0;
    out.writeUInt16LE(piece.byteLength, to + 1);
    out.writeUInt16LE(piece.byteLength ^ 0xffff, to + 3);
    out.set(piece, to + 5);
    to += 5 + piece.byteLength;
  }
  out.writeUInt32LE(crc32(block), to);
  out.writeUInt32LE(block.byteLength, to + 4);
  return out;
}

const MAX_STORED = 0xffff;
const MAX_MEMBER = (1 << 20) + (1 << 10);
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

/** Copies of BLOCK bytes each, and a last one that may be smaller or empty. `again`: a block that nobody needs any more. */
function* blocksOf(chunks: Iterable<Uint8Array>, again: () => Buffer<ArrayBuffer> | undefined = () => undefined): Generator<{ block: Buffer<ArrayBuffer>; last: boolean }, void, undefined> {
  let block = again() ?? Buffer.allocUnsafe(BLOCK);
  let used = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      if (used === BLOCK) {
        yield { block, last: false };
        block = again() ?? Buffer.allocUnsafe(BLOCK);
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
