const EMPTY = Buffer.alloc(0);

/** Received bytes that are not used yet. Appending many small pieces costs linear time. */
export class InputBuffer {
  #bytes: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Valid until the next append. */
  view(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  append(piece: Uint8Array): void {
    if (this.#start === this.#end) {
      this.#bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      this.#start = 0;
      this.#end = piece.byteLength;
      return;
    }
    if (this.#end + piece.byteLength > this.#bytes.byteLength || this.#start > 0) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.length, 4096) + piece.byteLength);
      this.#bytes.copy(grown, 0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#end);
    this.#end += piece.byteLength;
  }

  skip(count: number): void {
    this.#start += count;
    if (this.#start < this.#end) return;
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }
}
