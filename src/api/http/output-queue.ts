/** The write half of a socket: keeps what the kernel did not take, in order, and says when everything is out. */
export class OutputQueue {
  readonly #write: (bytes: Uint8Array) => number;
  #queue: Uint8Array[] = [];
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(write: (bytes: Uint8Array) => number) {
    this.#write = write;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** False: wait for drained() before writing more. */
  write(bytes: Uint8Array): boolean {
    if (this.#closed) return true;
    if (this.#queue.length > 0) {
      this.#queue.push(bytes);
      return false;
    }
    const taken = this.#write(bytes);
    if (taken >= bytes.byteLength) return true;
    this.#queue.push(bytes.subarray(taken));
    return false;
  }

  /** The socket can take bytes again. */
  flush(): void {
    while (this.#queue.length > 0) {
      const first = this.#queue[0]!;
      const taken = this.#write(first);
      if (taken < first.byteLength) {
        this.#queue[0] = first.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    this.#release();
  }

  /** Resolves when all is written, or the socket is closed. */
  drained(): Promise<void> | undefined {
    if (this.#closed || this.#queue.length === 0) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    return promise;
  }

  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#release();
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
