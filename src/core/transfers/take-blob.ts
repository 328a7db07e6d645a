import { closeSync, openSync, read } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { decompressed } from '../archive/decompress.ts';
import { algorithmOf, digester, type Digester } from '../content/digest.ts';
import { freeBytes } from '../data-root.ts';
import type { StagedLayer } from '../images/publish-images.ts';
import { asNaruError } from '../images/as-naru-error.ts';
import { stageLayer } from '../images/stage-layer.ts';
import type { BlobPlan } from '../jobs/job.ts';

const CHUNK = 1 << 18;
/** Disk space that is left free, bytes; looked at every so many bytes. */
const RESERVE = 128 << 20;
const LOOK_EVERY = 32 << 20;

/**
 * One layer from a registry, while it comes: the daemon writes what it receives to the partial file and says on `lengths` how
 * many bytes there are by now; here the file is read from its start, hashed, decompressed and
 * unpacked. So a slow disk never holds the connection, nothing is held in memory, and what came before a crash is used. Throws
 * `corrupt` when the digest is not the one that was announced: nothing of it is visible by then.
 */
export async function takeBlob(lengths: AsyncIterable<number>, plan: BlobPlan, { incoming, onProgress, hashes }: { incoming: string; onProgress: (done: number) => void; /** Of the tar, and of the blob. */ hashes?: readonly [Digester, Digester] }): Promise<StagedLayer> {
  const fd = openSync(plan.partial, 'r');
  try {
    const file = new GrowingFile(fd, plan);
    const written = file.listen(lengths);
    written.catch(() => {});
    const algorithm = algorithmOf(plan.digest);
    const hash = algorithm === 'sha256' && hashes !== undefined ? hashes[1] : digester(algorithm);
    const bytes = file.bytes(hash, onProgress);
    async function* passing(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let step = await bytes.next(); step.done !== true; step = await bytes.next()) yield step.value;
    }
    let look = LOOK_EVERY;
    const watchSpace = (done: number): void => {
      if (done < look) return;
      look = done + LOOK_EVERY;
      if (freeBytes(incoming) < RESERVE) throw new NaruError('no-space', 'no space left on device while unpacking a layer');
    };
    let layer: StagedLayer | NaruError;
    try {
      layer = await stageLayer(decompressed(passing()), { incoming, name: '0', onProgress: watchSpace, ...(hashes === undefined ? {} : { hash: hashes[0] }) });
    } catch (error) {
      layer = asNaruError(error);
      if (layer.kind !== 'corrupt' || file.broken) throw layer;
    }
    // A decompressor may stop before the blob ends, or fail on a damaged one: the digest is of all of it.
    for (let step = await bytes.next(); step.done !== true; step = await bytes.next());
    await written;
    if (hash.digest() !== plan.digest) throw new NaruError('corrupt', `filesystem layer verification failed for digest ${plan.digest}`, { hint: 'what came is not what the manifest names' });
    if (layer instanceof NaruError) throw layer;
    return layer;
  } finally {
    closeSync(fd);
  }
}

/** A file that one side writes to while the other reads it. */
class GrowingFile {
  readonly #fd: number;
  readonly #size: number;
  #length: number;
  #failure: unknown;
  #wake: () => void = () => {};

  constructor(fd: number, { offset, size }: { offset: number; size: number }) {
    this.#fd = fd;
    this.#size = size;
    this.#length = offset;
  }

  /** The writing side gave up. */
  get broken(): boolean {
    return this.#failure !== undefined;
  }

  async listen(lengths: AsyncIterable<number>): Promise<void> {
    try {
      for await (const length of lengths) {
        this.#length = Math.min(length, this.#size);
        this.#wake();
      }
      if (this.#length < this.#size) throw new NaruError('unavailable', `the transfer ended after ${this.#length} of ${this.#size} bytes`);
    } catch (error) {
      this.#failure = error;
      this.#wake();
      throw error;
    }
  }

  /** From the start to the announced size, as they come. A chunk is a view that is valid until the next is asked for. */
  async *bytes(hash: { update(bytes: Uint8Array): void }, onProgress: (done: number) => void): AsyncGenerator<Uint8Array, void, undefined> {
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (let at = 0; at < this.#size; ) {
      if (at === this.#length) {
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const got = await readAt(this.#fd, buffer.subarray(0, Math.min(CHUNK, this.#length - at)), at);
      if (got === 0) throw new NaruError('internal', 'the partial file became shorter');
      const chunk = buffer.subarray(0, got);
      hash.update(chunk);
      at += got;
      onProgress(at);
      yield chunk;
    }
  }
}

const readAt = (fd: number, into: Uint8Array, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    read(fd, into, 0, into.byteLength, position, (error, count) => (error === null ? resolve(count) : reject(error)));
  });
