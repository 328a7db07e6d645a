/** Above this much unread data the source is paused; below half of it, resumed. */
const HIGH_WATER = 4 << 20;

/**
 * Bytes that come from a wire: a response body or a hijacked stream. Read once, by `for await`, `collect` or `pipe`; reading
 * slowly pauses the wire. Leaving a `for await` early cancels.
 */
export class ByteStream implements AsyncIterable<Uint8Array> {
  #queue: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #flow: { pause(): void; resume(): void; cancel(): void } | undefined;
  #paused = false;

  constructor(flow?: { pause(): void; resume(): void; cancel(): void }) {
    this.#flow = flow;
  }

  push(chunk: Uint8Array): void {
    if (this.#ended || chunk.length === 0) return;
    this.#queue.push(chunk);
    this.#size += chunk.length;
    if (this.#size > HIGH_WATER && !this.#paused) {
      this.#paused = true;
      this.#flow?.pause();
    }
    this.#notify();
  }

  finish(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#notify();
  }

  /** Stop reading: the source is closed. */
  cancel(): void {
    if (!this.#ended) this.#flow?.cancel();
    this.#ended = true;
    this.#queue = [];
    this.#notify();
  }

  /** The next chunk, or undefined at the end. Throws the source's error. */
  async read(): Promise<Uint8Array | undefined> {
    while (this.#queue.length === 0) {
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const chunk = this.#queue.shift() as Uint8Array;
    this.#size -= chunk.length;
    if (this.#paused && this.#size < HIGH_WATER / 2) {
      this.#paused = false;
      this.#flow?.resume();
    }
    return chunk;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const chunk = await this.read();
        if (chunk === undefined) return;
        yield chunk;
      }
    } finally {
      this.cancel();
    }
  }

  /** Everything as one array; throws when it is more than `limit` bytes. */
  async collect(limit = 1 << 30): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) {
        this.cancel();
        throw new Error(`the answer is larger than ${limit} bytes`);
      }
    }
    if (chunks.length === 1) return chunks[0] as Uint8Array;
    const whole = new Uint8Array(size);
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  }

  async text(limit?: number): Promise<string> {
    return new TextDecoder().decode(await this.collect(limit));
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
