import { open } from 'node:fs/promises';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { UploadSession } from '../uploads/upload-session.ts';

const PIECE_BYTES = 256 << 10;
const WAIT_MS = 120_000;

/**
 * A blob on its way from the upstream into a partial file, which any number of clients read while it grows. They get its last
 * byte only after the digest was verified: a client never has a whole blob that is wrong.
 */
export class BlobDownload {
  readonly size: number;
  readonly #session: UploadSession;
  #state: 'running' | 'done' | 'failed' = 'running';
  #error: unknown;
  #waiting = new Set<() => void>();
  #readers = 0;
  #idle: (() => void) | undefined;

  constructor(session: UploadSession, size: number) {
    this.#session = session;
    this.size = size;
  }

  /** Runs to the end; `store` gets the verified file. Ends the waiting of all readers either way. */
  async run(pieces: AsyncIterable<Uint8Array>, store: (session: UploadSession) => Promise<void>): Promise<void> {
    const advance = this.#wake.bind(this);
    try {
      await this.#session.append(noting(pieces, advance), {
        limit: this.size, overflow: () => registryError('UNAVAILABLE', 'the upstream sent more than it said'),
      });
      if (this.#session.received !== this.size) throw registryError('UNAVAILABLE', 'the upstream sent less than it said');
      await store(this.#session);
      this.#state = 'done';
    } catch (error) {
      this.#state = 'failed';
      this.#error = error;
      throw error;
    } finally {
      this.#wake();
      if (this.#readers > 0) await new Promise<void>((resolve) => { this.#idle = resolve; });
    }
  }

  /** It is in the storage by now. */
  get done(): boolean { return this.#state === 'done'; }

  /** Holds the partial file from the call on; iterate what it gives. */
  read(range: { start: number; end: number }): AsyncIterable<Uint8Array> {
    this.#readers++;
    return this.#pieces(range);
  }

  async *#pieces(range: { start: number; end: number }): AsyncGenerator<Uint8Array> {
    let file: Awaited<ReturnType<typeof open>> | undefined;
    try {
      file = await open(this.#session.path);
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      for (let at = range.start; at <= range.end;) {
        const there = this.#state === 'done' ? this.size : Math.min(this.#session.received, this.size - 1);
        const length = Math.min(piece.length, range.end + 1 - at, there - at);
        if (length > 0) {
          const { bytesRead } = await file.read(piece, 0, length, at);
          at += bytesRead;
          yield piece.subarray(0, bytesRead);
        } else if (this.#state === 'failed') throw this.#error;
        else await this.#change();
      }
    } finally {
      await file?.close();
      if (--this.#readers === 0) this.#idle?.();
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #change(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.add(resolve);
      timer = setTimeout(() => { this.#waiting.delete(resolve); reject(registryError('UNAVAILABLE', 'the upstream stalls')); }, WAIT_MS);
    });
    clearTimeout(timer);
  }
}

async function* noting(pieces: AsyncIterable<Uint8Array>, note: () => void): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    yield piece;
    note();
  }
}
