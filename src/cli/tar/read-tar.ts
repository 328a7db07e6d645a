import { NaruError } from '#spec/errors.ts';
import { BLOCK, padded, type TarHeader } from './tar-header.ts';

/** A pax or GNU long-name block larger than this is an attack. */
const MAX_META = 1 << 20;
const TYPES: Readonly<Record<string, TarHeader['type']>> = { '0': 'file', '\0': 'file', '7': 'file', '1': 'link', '2': 'symlink', '3': 'character', '4': 'block', '5': 'directory', '6': 'fifo' };

const corrupt = (what: string): NaruError => new NaruError('corrupt', `the archive is malformed: ${what}`);

export interface TarEntry {
  readonly header: TarHeader;
  /** The file's bytes; what is not read of them is skipped. */
  body(): AsyncGenerator<Uint8Array, void>;
}

/** The entries of a tar stream (ustar, pax, GNU long names and large numbers). Throws NaruError corrupt. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void> {
  const input = new BlockReader(source);
  let pax: Record<string, string> = {};
  let globalPax: Record<string, string> = {};
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const block = await input.take(BLOCK);
    if (block === undefined) return;
    if (block.every((byte) => byte === 0)) {
      await input.drain();
      return;
    }
    checkSum(block);
    const flag = String.fromCharCode(block[156] as number);
    const size = number(block, 124, 12);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      if (size > MAX_META) throw corrupt('a header that is too long');
      const data = await input.take(padded(size));
      if (data === undefined) throw corrupt('it ends in a header');
      const content = data.subarray(0, size);
      if (flag === 'x') pax = parsePax(content);
      else if (flag === 'g') globalPax = { ...globalPax, ...parsePax(content) };
      else if (flag === 'L') longName = text(content, 0, size);
      else longLink = text(content, 0, size);
      continue;
    }
    const header = entryHeader(block, flag, size, { ...globalPax, ...pax }, longName, longLink);
    pax = {};
    longName = longLink = undefined;
    if (header === undefined) {
      await input.skip(padded(size));
      continue;
    }
    const bodySize = header.type === 'file' ? header.size : 0;
    let left = bodySize;
    yield {
      header,
      async *body() {
        while (left > 0) {
          const chunk = await input.some(left);
          if (chunk === undefined) throw corrupt(`${header.path} is cut short`);
          left -= chunk.length;
          yield chunk;
        }
      },
    };
    await input.skip(left + padded(bodySize) - bodySize);
  }
}

function entryHeader(block: Uint8Array, flag: string, size: number, pax: Record<string, string>, longName: string | undefined, longLink: string | undefined): TarHeader | undefined {
  const type = TYPES[flag];
  if (type === undefined) return undefined;
  const isUstar = text(block, 257, 5) === 'ustar';
  const prefix = isUstar && block[263] === 0x30 ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  const path = pax['path'] ?? longName ?? (prefix === '' ? name : `${prefix}/${name}`);
  const paxNumber = (key: string, otherwise: number): number => {
    const value = pax[key];
    if (value === undefined) return otherwise;
    if (!/^-?\d+(\.\d+)?$/.test(value)) throw corrupt(`${key} is no number`);
    return Number(value);
  };
  const realSize = paxNumber('size', size);
  if (realSize < 0 || !Number.isSafeInteger(realSize)) throw corrupt('an impossible size');
  return {
    path, type: type === 'file' && path.endsWith('/') ? 'directory' : type, mode: number(block, 100, 8), uid: paxNumber('uid', number(block, 108, 8)), gid: paxNumber('gid', number(block, 116, 8)),
    size: realSize, mtime: paxNumber('mtime', number(block, 136, 12)), link: pax['linkpath'] ?? longLink ?? text(block, 157, 100), deviceMajor: number(block, 329, 8), deviceMinor: number(block, 337, 8),
  };
}

function text(block: Uint8Array, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function number(block: Uint8Array, at: number, length: number): number {
  if (((block[at] as number) & 0x80) !== 0) {
    // GNU: base 256, big endian.
    let value = (block[at] as number) & 0x7f;
    for (let i = 1; i < length; i++) value = value * 256 + (block[at + i] as number);
    return value;
  }
  const digits = text(block, at, length).trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw corrupt('a number that is none');
  return Number.parseInt(digits, 8);
}

function checkSum(block: Uint8Array): void {
  let sum = 8 * 32;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] as number;
  if (sum !== number(block, 148, 8)) throw corrupt('a wrong check sum');
}

function parsePax(data: Uint8Array): Record<string, string> {
  const out: Record<string, string> = Object.create(null) as Record<string, string>;
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(new TextDecoder().decode(data.subarray(at, space)));
    if (!Number.isInteger(length) || length < 5 || at + length > data.length) throw corrupt('a pax record of the wrong length');
    const record = new TextDecoder().decode(data.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    if (equals < 1) throw corrupt('a pax record without a key');
    out[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return out;
}

class BlockReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `limit`; undefined at the end. */
  async some(limit: number): Promise<Uint8Array | undefined> {
    while (this.#held.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#held = next.value;
    }
    const chunk = this.#held.subarray(0, limit);
    this.#held = this.#held.subarray(chunk.length);
    return chunk;
  }

  /** Exactly `size` bytes; undefined when there are none at all. */
  async take(size: number): Promise<Uint8Array | undefined> {
    const out = new Uint8Array(size);
    let have = 0;
    while (have < size) {
      const chunk = await this.some(size - have);
      if (chunk === undefined) {
        if (have === 0) return undefined;
        throw corrupt('it is cut short');
      }
      out.set(chunk, have);
      have += chunk.length;
    }
    return out;
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) {
      const chunk = await this.some(left);
      if (chunk === undefined) throw corrupt('it is cut short');
      left -= chunk.length;
    }
  }

  async drain(): Promise<void> {
    while ((await this.some(1 << 20)) !== undefined);
  }
}
