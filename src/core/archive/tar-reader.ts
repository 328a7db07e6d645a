import { NaruError } from '#spec/errors.ts';
import { ByteSource, truncated } from './byte-source.ts';
import { BLOCK, MAX_ENTRIES, MAX_EXTENDED_HEADER, MAX_PATH, padding, type TarEntry, type TarType } from './tar-entry.ts';
import { isZeroBlock, malformed, parseHeaderBlock, parsePax, sparse, type HeaderBlock, type Overrides } from './tar-header.ts';

const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file', '\0': 'file', '7': 'file', '1': 'link', '2': 'symlink', '3': 'char', '4': 'block', '5': 'directory', '6': 'fifo',
};

/**
 * Reads a tar stream entry by entry: `next`, then `content` until it gives undefined (or not at all: the rest is skipped).
 * Every limit and every malformation throws a NaruError of kind `corrupt`, `too-large` or `unsupported`.
 *
 * `onFrame` sees, in order, all bytes of the archive that are not content: headers, padding, the end and what follows it.
 */
export class TarReader {
  readonly #source: ByteSource;
  readonly #onFrame: ((bytes: Uint8Array) => void) | undefined;
  #content = 0;
  #padding = 0;
  #entries = 0;

  constructor(source: ByteSource, onFrame?: (bytes: Uint8Array) => void) {
    this.#source = source;
    this.#onFrame = onFrame;
  }

  /** The next entry, or undefined at the end of the archive (see `drain`). */
  async next(): Promise<TarEntry | undefined> {
    await this.#finishEntry();
    const overrides: Overrides = {};
    let extended = 0;
    let pending = false;
    for (;;) {
      const block = this.#source.tryRead(BLOCK) ?? (await this.#source.read(BLOCK));
      if (block === undefined) {
        if (pending) throw truncated();
        return undefined; // without the zero blocks: what some writers leave out
      }
      this.#onFrame?.(block);
      if (isZeroBlock(block)) {
        if (pending) throw malformed('an extended header without an entry');
        return undefined;
      }
      if (++this.#entries > MAX_ENTRIES) throw new NaruError('too-large', `archive has more than ${MAX_ENTRIES} entries`);
      const header = parseHeaderBlock(block);
      const isExtension = header.flag === 'x' || header.flag === 'g' || header.flag === 'L' || header.flag === 'K';
      if (!isExtension) return this.#begin(header, overrides);
      extended += header.size;
      if (extended > MAX_EXTENDED_HEADER) throw new NaruError('too-large', `an extended header is larger than ${MAX_EXTENDED_HEADER} bytes`);
      // Read as one: what was read before is gone when the source goes on.
      const data = (await this.#frame(header.size + padding(header.size))).subarray(0, header.size);
      if (header.flag === 'x') parsePax(data, overrides);
      else if (header.flag === 'L') overrides.path = cutAtNul(data);
      else if (header.flag === 'K') overrides.linkPath = cutAtNul(data);
      // 'g' would set defaults for all that follows: Docker ignores it, and so images are made without it.
      pending ||= header.flag !== 'g';
    }
  }

  /** Some bytes of the present entry's content, or undefined when all were given. A view: use it before going on. */
  async content(): Promise<Uint8Array | undefined> {
    const quick = this.tryContent();
    if (quick !== undefined || this.#content === 0) return quick;
    const bytes = await this.#source.some(this.#content);
    if (bytes === undefined) throw truncated();
    this.#content -= bytes.byteLength;
    return bytes;
  }

  /** The same, but only what is at hand; undefined: ask `content`. */
  tryContent(): Uint8Array | undefined {
    if (this.#content === 0) return undefined;
    const bytes = this.#source.trySome(this.#content);
    if (bytes !== undefined) this.#content -= bytes.byteLength;
    return bytes;
  }

  /** Content bytes of the present entry not yet given. */
  get remaining(): number {
    return this.#content;
  }

  /** Reads on to the end of the stream after the last entry: padding, garbage. */
  async drain(): Promise<void> {
    await this.#finishEntry();
    for await (const bytes of this.#source.rest()) this.#onFrame?.(bytes);
  }

  async #finishEntry(): Promise<void> {
    while (this.#content > 0) await this.content();
    if (this.#padding > 0) {
      // Some writers leave out the padding of the last entry, and the end after it: Go's reader takes that, and so images exist.
      const bytes = this.#source.tryRead(this.#padding) ?? (await this.#source.read(this.#padding));
      if (bytes !== undefined) this.#onFrame?.(bytes);
      this.#padding = 0;
    }
  }

  async #frame(length: number): Promise<Uint8Array> {
    if (length === 0) return new Uint8Array(0);
    const bytes = this.#source.tryRead(length) ?? (await this.#source.read(length));
    if (bytes === undefined) throw truncated();
    this.#onFrame?.(bytes);
    return bytes;
  }

  #begin(header: HeaderBlock, overrides: Overrides): TarEntry {
    if (header.flag === 'S') throw sparse();
    let type = TYPES[header.flag];
    if (type === undefined) throw new NaruError('unsupported', `archive has an entry of unknown type ${JSON.stringify(header.flag)}`);
    const name = overrides.path ?? header.name;
    const linkName = overrides.linkPath ?? header.linkName;
    if (header.flag === '\0' && name.endsWith('/')) type = 'directory';
    if (name === '') throw malformed('an entry without a name');
    if (name.length > MAX_PATH || linkName.length > MAX_PATH) throw new NaruError('too-large', `a path in the archive is longer than ${MAX_PATH} bytes`);
    const size = type === 'file' ? (overrides.size ?? header.size) : 0;
    this.#content = size;
    this.#padding = padding(size);
    return {
      name, linkName, type, size,
      mode: header.mode,
      uid: owner(overrides.uid ?? header.uid),
      gid: owner(overrides.gid ?? header.gid),
      mtime: overrides.mtime ?? BigInt(header.mtime) * 1_000_000_000n,
      devMajor: header.devMajor,
      devMinor: header.devMinor,
      xattrs: overrides.xattrs ?? NO_XATTRS,
    };
  }
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

/** 2^32-1 means "unchanged" to chown(2), and larger numbers would wrap round to somebody else. */
function owner(id: number): number {
  if (id < 0 || id >= 0xffffffff) throw malformed('an owner is out of range');
  return id;
}

function cutAtNul(bytes: Uint8Array): string {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const end = raw.indexOf('\0');
  return end < 0 ? raw : raw.slice(0, end);
}
