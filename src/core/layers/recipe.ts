import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { NaruError } from '#spec/errors.ts';

/**
 * A layer's tar without its files' contents, so that `save` can write the very same bytes again (Docker calls the idea
 * tar-split). A recipe is a directory:
 *
 *     tar         blocks: u32 raw length, u32 stored length, zstd data. Raw: a sequence of records, each
 *                 varint length + frame bytes, then varint content length and, when that is not 0, varint length + path
 *     moved.json  contents whose name was taken by a later entry: [record number it is valid before, path, number]
 *     moved/<n>   those contents
 *
 * Numbers are little-endian. Paths are raw and relative to the layer's directory, links resolved.
 */
export interface Moved { before: number; path: string; number: number }

const RAW_BLOCK = 1 << 20;
const LEVEL = 3;
/** No record can be larger: frames are cut at this. */
const MAX_FRAME = 1 << 19;
/** Block lengths larger than this are not from us. */
const MAX_BLOCK = 1 << 22;

export class RecipeWriter {
  readonly directory: string;
  readonly moved: Moved[] = [];
  /** Records with content written so far. */
  files = 0;
  readonly #fd: number;
  #frame: Buffer = Buffer.allocUnsafe(1 << 16);
  #frameLength = 0;
  #raw: Buffer = Buffer.allocUnsafe(RAW_BLOCK + MAX_FRAME + (1 << 14));
  #rawLength = 0;

  /** `directory` exists and is empty. */
  constructor(directory: string) {
    this.directory = directory;
    this.#fd = openSync(`${directory}/tar`, 'wx', 0o600);
  }

  /** Bytes of the tar that are kept as they are. */
  frame(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const part = bytes.subarray(at, at + MAX_FRAME - this.#frameLength);
      if (this.#frameLength + part.byteLength > this.#frame.byteLength) {
        const larger = Buffer.allocUnsafe(Math.min(MAX_FRAME, Math.max(this.#frame.byteLength * 2, this.#frameLength + part.byteLength)));
        this.#frame.copy(larger, 0, 0, this.#frameLength);
        this.#frame = larger;
      }
      this.#frame.set(part, this.#frameLength);
      this.#frameLength += part.byteLength;
      at += part.byteLength;
      if (this.#frameLength === MAX_FRAME) this.#record(0, '');
    }
  }

  /** `length` bytes that lie in the layer's file `path`. */
  content(length: number, path: string): void {
    this.#record(length, path);
    this.files++;
  }

  #record(length: number, path: string): void {
    this.#varint(this.#frameLength);
    this.#frame.copy(this.#raw, this.#rawLength, 0, this.#frameLength);
    this.#rawLength += this.#frameLength;
    this.#frameLength = 0;
    this.#varint(length);
    if (length > 0) {
      this.#varint(path.length);
      this.#rawLength += this.#raw.write(path, this.#rawLength, 'latin1');
    }
    if (this.#rawLength >= RAW_BLOCK) this.#flush();
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#raw[this.#rawLength++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#raw[this.#rawLength++] = rest;
  }

  #flush(): void {
    if (this.#rawLength === 0) return;
    const stored = zstdCompressSync(this.#raw.subarray(0, this.#rawLength), { params: { 100: LEVEL } });
    const head = Buffer.allocUnsafe(8);
    head.writeUInt32LE(this.#rawLength, 0);
    head.writeUInt32LE(stored.byteLength, 4);
    writeSync(this.#fd, head);
    for (let at = 0; at < stored.byteLength; ) at += writeSync(this.#fd, stored, at);
    this.#rawLength = 0;
  }

  finish(): void {
    this.#record(0, '');
    this.#flush();
    closeSync(this.#fd);
    if (this.moved.length > 0) writeFileSync(`${this.directory}/moved.json`, JSON.stringify(this.moved));
  }

  abandon(): void {
    closeSync(this.#fd);
  }
}

export interface RecipeRecord {
  readonly frame: Uint8Array;
  readonly length: number;
  readonly path: string;
}

/** The records in order. Throws `corrupt` when the file is damaged. */
export function* readRecipe(directory: string): Generator<RecipeRecord, void, undefined> {
  const fd = openSync(`${directory}/tar`, 'r');
  try {
    const head = Buffer.allocUnsafe(8);
    while (readFully(fd, head)) {
      const length = head.readUInt32LE(0);
      const stored = Buffer.allocUnsafe(head.readUInt32LE(4) > MAX_BLOCK ? damaged(directory) : head.readUInt32LE(4));
      if (!readFully(fd, stored)) damaged(directory);
      const raw = zstdDecompressSync(stored);
      if (raw.byteLength !== length) damaged(directory);
      yield* records(raw);
    }
  } finally {
    closeSync(fd);
  }
}

function* records(raw: Buffer): Generator<RecipeRecord, void, undefined> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = raw[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < raw.byteLength) {
    const frameLength = varint();
    const frame = raw.subarray(at, (at += frameLength));
    const length = varint();
    const pathLength = length > 0 ? varint() : 0;
    const path = raw.toString('latin1', at, (at += pathLength));
    yield { frame, length, path };
  }
}

export function readMoved(directory: string): Moved[] {
  try {
    return JSON.parse(readFileSync(`${directory}/moved.json`, 'utf8')) as Moved[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** False at the end of the file. */
function readFully(fd: number, into: Buffer): boolean {
  let at = 0;
  while (at < into.byteLength) {
    const length = readSync(fd, into, at, into.byteLength - at, null);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

function damaged(directory: string): never {
  throw new NaruError('corrupt', `layer recipe ${directory} is damaged`, { hint: 'remove the image and load it again' });
}
