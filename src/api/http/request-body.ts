import { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import { InputBuffer } from './input-buffer.ts';

/** Bytes held for a consumer that does not read; beyond, the connection stops reading from its socket. */
export const BODY_HIGH_WATER = 256 * 1024;
/** A body that is needed whole (JSON) has to arrive within this time. */
export const WHOLE_BODY_DEADLINE_MS = 30_000;

/**
 * A request's body between the connection, which pushes, and one consumer: `readAll` or `stream`. `demand` is called when
 * the consumer wants (more) bytes: the connection then answers `100 Continue` and resumes its socket.
 */
export class RequestBody {
  readonly #demand: () => void;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #discarding = false;
  #failure: NaruError | undefined;
  #wake: (() => void) | undefined;

  constructor(demand: () => void) {
    this.#demand = demand;
  }

  /** All bytes have come (they may still be queued here). */
  get complete(): boolean {
    return this.#ended;
  }
  get full(): boolean {
    return this.#queued >= BODY_HIGH_WATER;
  }

  push(bytes: Uint8Array): void {
    if (this.#discarding || bytes.byteLength === 0) return;
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
    this.#wake?.();
  }
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }
  fail(error: NaruError): void {
    if (this.#ended) return;
    this.#failure ??= error;
    this.#wake?.();
  }
  /** Nobody will read: what is queued and what still comes is dropped. */
  discard(): void {
    this.#discarding = true;
    this.takeQueued();
  }

  /** The whole body. Errors: too-large beyond `limit` (at once), invalid when it breaks off or dawdles. */
  async readAll(limit: number): Promise<Buffer> {
    const whole = new InputBuffer();
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        if (whole.length + this.#queued > limit) throw new NaruError('too-large', `request body is larger than ${limit} bytes`);
        for (const part of this.takeQueued()) whole.append(part);
        if (this.#ended) return whole.view();
        if (this.#failure !== undefined) throw this.#failure;
        timer ??= setTimeout(() => this.fail(new NaruError('invalid', 'request body did not arrive in time')), WHOLE_BODY_DEADLINE_MS);
        await this.#more();
      }
    } finally {
      clearTimeout(timer);
      if (!this.#ended) this.discard();
    }
  }

  /** The body as a stream with back-pressure to the socket. Destroyed with kind invalid when it breaks off. */
  stream(): Readable {
    let pumping = false;
    const pump = async (readable: Readable): Promise<void> => {
      if (pumping) return;
      pumping = true;
      try {
        for (;;) {
          let wanted = true;
          while (wanted && this.#queue.length > 0) {
            const part = this.#queue.shift()!;
            this.#queued -= part.byteLength;
            wanted = readable.push(part);
          }
          if (!wanted || readable.destroyed) return;
          if (this.#ended) return void readable.push(null);
          if (this.#failure !== undefined) return void readable.destroy(this.#failure);
          await this.#more();
        }
      } finally {
        pumping = false;
      }
    };
    return new Readable({
      highWaterMark: BODY_HIGH_WATER,
      read() {
        void pump(this);
      },
      destroy: (error, done) => {
        this.discard();
        this.#wake?.();
        done(error);
      },
    });
  }

  /** What has come and was not read (for a consumer that takes over the connection). */
  takeQueued(): Uint8Array[] {
    const queue = this.#queue;
    this.#queue = [];
    this.#queued = 0;
    return queue;
  }

  #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = () => {
      this.#wake = undefined;
      resolve();
    };
    this.#demand();
    return promise;
  }
}
