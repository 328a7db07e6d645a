import { NaruError } from '#spec/errors.ts';

/** Reads exact amounts out of chunks of any size. Pulls only when asked: whoever reads slowly slows the source. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #ended = false;
  /** Bytes handed out so far. */
  consumed = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes when they are at hand already. A view: valid until it is read on. */
  tryRead(length: number): Uint8Array | undefined {
    if (this.#chunk.byteLength - this.#at < length) return undefined;
    const bytes = this.#chunk.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.consumed += length;
    return bytes;
  }

  /** Exactly `length` bytes; undefined when the source ended before the first. Throws `corrupt` when it ended in between. */
  async read(length: number): Promise<Uint8Array | undefined> {
    const quick = this.tryRead(length);
    if (quick !== undefined) return quick;
    const parts: Uint8Array[] = [];
    let missing = length;
    while (missing > 0) {
      const part = await this.some(missing);
      if (part === undefined) {
        if (missing === length) return undefined;
        throw truncated();
      }
      if (part.byteLength === length) return part;
      // A copy: the source may use the chunk's memory again for the next.
      parts.push(Uint8Array.from(part));
      missing -= part.byteLength;
    }
    return Buffer.concat(parts);
  }

  /** Between 1 and `most` bytes that are at hand, synchronously; undefined: none are. */
  trySome(most: number): Uint8Array | undefined {
    const available = this.#chunk.byteLength - this.#at;
    return available === 0 ? undefined : this.tryRead(Math.min(available, most));
  }

  /** Between 1 and `most` bytes, or undefined at the end. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#at === this.#chunk.byteLength) {
      if (this.#ended) return undefined;
      const next = await this.#chunks.next();
      if (next.done === true) {
        this.#ended = true;
        return undefined;
      }
      this.#chunk = next.value;
      this.#at = 0;
    }
    return this.trySome(most);
  }

  /** Look at up to `length` bytes without taking them (fewer at the end of the source). */
  async peek(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let have = 0;
    while (have < length) {
      const part = await this.some(length - have);
      if (part === undefined) break;
      parts.push(part.byteLength === length ? part : Uint8Array.from(part));
      have += part.byteLength;
    }
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    if (have > 0) {
      // Put it back in front of what is left of the chunk.
      const rest = this.#chunk.subarray(this.#at);
      this.#chunk = rest.byteLength === 0 ? bytes : Buffer.concat([bytes, rest]);
      this.#at = 0;
      this.consumed -= have;
    }
    return bytes;
  }

  /** Everything that is left. */
  async *rest(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const part = await this.some(Number.MAX_SAFE_INTEGER);
      if (part === undefined) return;
      yield part;
    }
  }

  /** Give up: lets the source go. */
  async cancel(): Promise<void> {
    this.#ended = true;
    this.#chunk = new Uint8Array(0);
    this.#at = 0;
    await this.#chunks.return?.();
  }
}

export const truncated = (): NaruError => new NaruError('corrupt', 'malformed archive: unexpected end', { hint: 'the file or the transfer was cut short' });
