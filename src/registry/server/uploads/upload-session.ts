import { createReadStream } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import type { Digest } from '#spec/ids.ts';
import { Digester, type DigestAlgorithm } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { asStorageError } from '../storage/as-storage-error.ts';
import type { StagedBlob } from '../storage/blob-storage.ts';

/** Small bodies arrive in many small pieces: they are gathered into writes of this size. */
const WRITE_BYTES = 512 << 10;

/**
 * One upload: a partial file and the digest of what is in it, made as the bytes pass. One request at a time may hold it
 * (`claim`); what a broken request has brought stays, and the next one goes on from `received`.
 */
export class UploadSession {
  readonly id: string;
  readonly repository: RepositoryName;
  readonly path: string;
  #digester: Digester;
  #received = 0;
  #claimed = false;

  constructor(id: string, repository: RepositoryName, { path, algorithm }: { path: string; algorithm: DigestAlgorithm }) {
    this.id = id;
    this.repository = repository;
    this.path = path;
    this.#digester = new Digester(algorithm);
  }

  /** Bytes written and hashed. */
  get received(): number { return this.#received; }
  get busy(): boolean { return this.#claimed; }

  /** Takes the session for one request. Throws BLOB_UPLOAD_INVALID (409) while another one holds it. */
  claim(): Disposable {
    if (this.#claimed) {
      throw registryError('BLOB_UPLOAD_INVALID', `upload ${this.id} is being written by another request`, { status: 409, hint: 'send one chunk after the other' });
    }
    this.#claimed = true;
    return { [Symbol.dispose]: () => { this.#claimed = false; } };
  }

  /** Reads the partial file again after a restart. */
  async recover(): Promise<void> {
    this.#digester = new Digester(this.#digester.algorithm);
    this.#received = 0;
    for await (const piece of createReadStream(this.path, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>) {
      this.#digester.update(piece);
      this.#received += piece.length;
    }
  }

  /** Appends. Refuses to let the upload grow beyond `limit` bytes in all with `overflow`; keeps what came before any failure. */
  async append(pieces: AsyncIterable<Uint8Array>, { limit, overflow }: { limit: number; overflow: () => Error }): Promise<void> {
    const file = await open(this.path, 'r+').catch((error: unknown) => { throw asStorageError(error, 'the upload could not go on'); });
    // Copied together: a body in pieces of one byte costs no object for each.
    let gathered: Buffer | undefined;
    let size = 0;
    const flush = async (): Promise<void> => {
      if (size === 0) return;
      const bytes = (gathered as Buffer).subarray(0, size);
      size = 0;
      await this.#write(file, bytes);
    };
    try {
      for await (const piece of pieces) {
        if (this.#received + size + piece.length > limit) throw overflow();
        if (size + piece.length > WRITE_BYTES) await flush();
        if (piece.length >= WRITE_BYTES) {
          await this.#write(file, piece);
          continue;
        }
        gathered ??= Buffer.allocUnsafe(WRITE_BYTES);
        gathered.set(piece, size);
        size += piece.length;
      }
    } finally {
      try {
        await flush();
      } finally {
        await file.close();
      }
    }
  }

  async #write(file: FileHandle, bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at, bytes.length - at, this.#received + at)).bytesWritten;
    } catch (error) {
      // The file must hold exactly what was hashed.
      await file.truncate(this.#received).catch(() => undefined);
      throw asStorageError(error, `upload ${this.id} could not be written`);
    }
    this.#digester.update(bytes);
    this.#received += bytes.length;
  }

  /** Verifies and syncs. An upload begun for another algorithm than the digest's is read once more. Throws DIGEST_INVALID. */
  async finish(digest: Digest): Promise<StagedBlob> {
    const algorithm = digest.startsWith('sha512:') ? 'sha512' : 'sha256';
    if (algorithm !== this.#digester.algorithm) {
      this.#digester = new Digester(algorithm);
      await this.recover();
    }
    const actual = this.#digester.digest();
    if (actual !== digest) {
      throw registryError('DIGEST_INVALID', 'provided digest did not match uploaded content', { detail: { expected: digest, actual, size: this.#received } });
    }
    const file = await open(this.path, 'r+');
    try {
      await file.sync();
    } catch (error) {
      throw asStorageError(error, `upload ${this.id} could not be written`);
    } finally {
      await file.close();
    }
    return { digest, size: this.#received, path: this.path };
  }

  discard(): Promise<void> { return rm(this.path, { force: true }); }
}
