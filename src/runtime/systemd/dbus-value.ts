import { NaruError } from '#spec/errors.ts';

/** A value with its D-Bus signature: what a variant holds. */
export interface Variant { readonly signature: string; readonly value: DBusValue }
export type DBusValue = string | number | bigint | boolean | Variant | readonly DBusValue[];

const MAX_STRING = 1 << 20;
const MAX_ARRAY = 1 << 20;
const MAX_DEPTH = 32;

const SIZES: Readonly<Record<string, number>> = { y: 1, b: 4, n: 2, q: 2, i: 4, u: 4, x: 8, t: 8, d: 8 };
/** https://dbus.freedesktop.org/doc/dbus-specification.html#idm684 (alignment of each type). */
const alignment = (type: string): number =>
  type === 'g' || type === 'v' ? 1 : type === 's' || type === 'o' || type.startsWith('a') ? 4 : type.startsWith('(') || type.startsWith('{') ? 8 : SIZES[type]!;

/** `sa(sv)u` -> [`s`, `a(sv)`, `u`]. Throws `invalid` for what is no signature. */
export function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length;) {
    const end = endOfType(signature, at, 0);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOfType(signature: string, at: number, depth: number): number {
  const letter = signature[at];
  if (letter === undefined || depth > MAX_DEPTH) throw new NaruError('invalid', `D-Bus: ${JSON.stringify(signature)} is no signature`);
  if (letter === 'a') return endOfType(signature, at + 1, depth + 1);
  if (letter !== '(' && letter !== '{') {
    if (!(letter in SIZES) && !'sogv'.includes(letter)) throw new NaruError('invalid', `D-Bus: ${JSON.stringify(signature)} is no signature`);
    return at + 1;
  }
  const close = letter === '(' ? ')' : '}';
  let inside = at + 1;
  while (signature[inside] !== close) inside = endOfType(signature, inside, depth + 1);
  return inside + 1;
}

/** Little-endian bytes of values with these types, from an offset that is a multiple of 8. */
export function encodeValues(signature: string, values: readonly DBusValue[]): Buffer {
  const writer = new Writer();
  splitSignature(signature).forEach((type, i) => writer.put(type, values[i]!));
  return writer.bytes();
}

class Writer {
  #buffer = Buffer.alloc(256);
  #length = 0;

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  put(type: string, value: DBusValue): void {
    this.#align(alignment(type));
    switch (type[0]) {
      case 's': case 'o': return this.#string(value as string, 4);
      case 'g': return this.#string(value as string, 1);
      case 'v': {
        const { signature, value: inner } = value as Variant;
        this.#string(signature, 1);
        return this.put(signature, inner);
      }
      case 'a': return this.#array(type.slice(1), value as readonly DBusValue[]);
      case '(': case '{': return splitSignature(type.slice(1, -1)).forEach((t, i) => this.put(t, (value as readonly DBusValue[])[i]!));
      default: return this.#number(type, value as number | bigint | boolean);
    }
  }

  #array(type: string, items: readonly DBusValue[]): void {
    const at = this.#length;
    this.#grow(4);
    this.#align(alignment(type));
    const start = this.#length;
    for (const item of items) this.put(type, item);
    this.#buffer.writeUInt32LE(this.#length - start, at);
  }

  #string(text: string, width: 1 | 4): void {
    const bytes = Buffer.from(text);
    const at = this.#grow(width + bytes.length + 1);
    if (width === 4) this.#buffer.writeUInt32LE(bytes.length, at);
    else this.#buffer.writeUInt8(bytes.length, at);
    bytes.copy(this.#buffer, at + width);
  }

  #number(type: string, value: number | bigint | boolean): void {
    const at = this.#grow(SIZES[type]!);
    switch (type) {
      case 'y': this.#buffer.writeUInt8(Number(value), at); break;
      case 'n': this.#buffer.writeInt16LE(Number(value), at); break;
      case 'q': this.#buffer.writeUInt16LE(Number(value), at); break;
      case 'i': this.#buffer.writeInt32LE(Number(value), at); break;
      case 'b': case 'u': this.#buffer.writeUInt32LE(Number(value), at); break;
      case 'x': this.#buffer.writeBigInt64LE(BigInt(value), at); break;
      case 't': this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), at); break;
      default: this.#buffer.writeDoubleLE(Number(value), at);
    }
  }

  #align(to: number): void {
    this.#grow((to - (this.#length % to)) % to);
  }

  /** Room of zeroes; returns where it begins. */
  #grow(bytes: number): number {
    const at = this.#length;
    if (at + bytes > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(Math.max(bytes, this.#buffer.length))]);
    this.#length += bytes;
    return at;
  }
}

/** The values of a body. Throws `corrupt` for bytes that do not hold what the signature says. */
export function decodeValues(signature: string, bytes: Buffer): DBusValue[] {
  const reader = new Reader(bytes);
  return splitSignature(signature).map((type) => reader.take(type, 0));
}

/** The values from `at` on, and where they end. */
export function decodeAt(signature: string, bytes: Buffer, at: number): { values: DBusValue[]; end: number } {
  const reader = new Reader(bytes, at);
  return { values: splitSignature(signature).map((type) => reader.take(type, 0)), end: reader.at };
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  take(type: string, depth: number): DBusValue {
    if (depth > MAX_DEPTH) throw new NaruError('corrupt', 'D-Bus: values too deep');
    this.#skip((alignment(type) - (this.at % alignment(type))) % alignment(type));
    switch (type[0]) {
      case 's': case 'o': return this.#string(this.#bytes.readUInt32LE(this.#skip(4)));
      case 'g': return this.#string(this.#bytes.readUInt8(this.#skip(1)));
      case 'v': {
        const signature = this.#string(this.#bytes.readUInt8(this.#skip(1)));
        if (splitSignature(signature).length !== 1) throw new NaruError('corrupt', 'D-Bus: a variant without one type');
        return { signature, value: this.take(signature, depth + 1) };
      }
      case 'a': return this.#array(type.slice(1), depth);
      case '(': case '{': return splitSignature(type.slice(1, -1)).map((t) => this.take(t, depth + 1));
      default: return this.#number(type);
    }
  }

  #array(type: string, depth: number): DBusValue[] {
    const length = this.#bytes.readUInt32LE(this.#skip(4));
    if (length > MAX_ARRAY) throw new NaruError('corrupt', `D-Bus: an array of ${length} bytes`);
    this.#skip((alignment(type) - (this.at % alignment(type))) % alignment(type));
    const end = this.at + length;
    const items: DBusValue[] = [];
    while (this.at < end) items.push(this.take(type, depth + 1));
    return items;
  }

  #string(length: number): string {
    if (length > MAX_STRING) throw new NaruError('corrupt', `D-Bus: a string of ${length} bytes`);
    const at = this.#skip(length + 1);
    return this.#bytes.toString('utf8', at, at + length);
  }

  #number(type: string): number | bigint | boolean {
    const at = this.#skip(SIZES[type]!);
    switch (type) {
      case 'y': return this.#bytes.readUInt8(at);
      case 'b': return this.#bytes.readUInt32LE(at) !== 0;
      case 'n': return this.#bytes.readInt16LE(at);
      case 'q': return this.#bytes.readUInt16LE(at);
      case 'i': return this.#bytes.readInt32LE(at);
      case 'u': return this.#bytes.readUInt32LE(at);
      case 'x': return this.#bytes.readBigInt64LE(at);
      case 't': return this.#bytes.readBigUInt64LE(at);
      default: return this.#bytes.readDoubleLE(at);
    }
  }

  /** Goes on; returns where it was. */
  #skip(bytes: number): number {
    const { at } = this;
    if (at + bytes > this.#bytes.length) throw new NaruError('corrupt', 'D-Bus: a message ends too early');
    this.at = at + bytes;
    return at;
  }
}
