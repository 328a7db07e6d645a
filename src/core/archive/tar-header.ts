import { NaruError } from '#spec/errors.ts';
import { BLOCK, MAX_XATTR } from './tar-entry.ts';

/** One 512-byte header block, its fields still in the dialect's own terms.
 *  https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_92_13_06 */
export interface HeaderBlock {
  readonly name: string;
  readonly linkName: string;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

export const malformed = (what: string): NaruError => new NaruError('corrupt', `malformed archive: ${what}`);

const text = (block: Buffer, from: number, length: number): string => {
  const end = block.indexOf(0, from);
  return block.toString('latin1', from, end < 0 || end > from + length ? from + length : end);
};

/** Octal digits, or GNU's base-256 for what does not fit. */
function numeric(block: Buffer, from: number, length: number): number {
  const first = block[from]!;
  if (first & 0x80) {
    const negative = (first & 0x40) !== 0;
    let value = BigInt(negative ? first | ~0xff : first & 0x7f);
    for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[from + i]!);
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw malformed('a number is out of range');
    return number;
  }
  let value = 0;
  let at = from;
  const end = from + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  for (; at < end; at++) {
    const byte = block[at]!;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) throw malformed('a number field is not octal');
    value = value * 8 + (byte - 0x30);
  }
  return value;
}

export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

/** Sum of all bytes with the checksum field as blanks; some old writers summed signed bytes. */
function checksumFits(block: Buffer): boolean {
  let unsigned = 0;
  let high = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!;
    unsigned += byte;
    if (byte > 127) high++;
  }
  const told = numeric(block, 148, 8);
  return told === unsigned || told === unsigned - 256 * high;
}

/** True when 512 bytes can be the first block of a tar. */
export function looksLikeTar(bytes: Uint8Array): boolean {
  if (bytes.byteLength < BLOCK) return false;
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK);
  if (isZeroBlock(block)) return true;
  try {
    return checksumFits(block);
  } catch {
    return false;
  }
}

/** Throws `corrupt`. */
export function parseHeaderBlock(bytes: Uint8Array): HeaderBlock {
  const block = Buffer.from(bytes.buffer, bytes.byteOffset, BLOCK);
  if (!checksumFits(block)) throw malformed('a header has a wrong checksum');
  const magic = block.toString('latin1', 257, 265);
  const posix = magic.startsWith('ustar\0');
  const gnu = magic === 'ustar  \0';
  let name = text(block, 0, 100);
  if (posix) {
    const prefix = text(block, 345, 155);
    if (prefix !== '') name = `${prefix}/${name}`;
  }
  const size = numeric(block, 124, 12);
  if (size < 0) throw malformed('a negative size');
  return {
    name,
    linkName: text(block, 157, 100),
    flag: String.fromCharCode(block[156]!),
    mode: numeric(block, 100, 8) & 0o7777,
    uid: numeric(block, 108, 8),
    gid: numeric(block, 116, 8),
    size,
    mtime: numeric(block, 136, 12),
    devMajor: posix || gnu ? numeric(block, 329, 8) : 0,
    devMinor: posix || gnu ? numeric(block, 337, 8) : 0,
  };
}

/** What PAX records (and GNU's long names) change about the header that follows them. */
export interface Overrides {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: bigint;
  xattrs?: Map<string, Uint8Array>;
}

/** The records of one extended header: `<length> <key>=<value>\n`. Throws `corrupt`, and `unsupported` for sparse files. */
export function parsePax(bytes: Uint8Array, into: Overrides): void {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < data.byteLength; ) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.toString('latin1', at, space);
    if (!/^[1-9][0-9]{0,7}$/.test(digits)) {
      if (data.subarray(at).every((byte) => byte === 0)) return; // padded with zeros
      throw malformed('an extended header has no length');
    }
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, space);
    if (end > data.byteLength || data[end - 1] !== 0x0a || equals < 0 || equals >= end) throw malformed('an extended header record is cut');
    applyRecord(into, data.toString('latin1', space + 1, equals), data.subarray(equals + 1, end - 1));
    at = end;
  }
}

function applyRecord(into: Overrides, key: string, value: Buffer): void {
  if (key.startsWith('SCHILY.xattr.')) {
    if (value.byteLength > MAX_XATTR) throw malformed('an extended attribute is larger than 64 KiB');
    (into.xattrs ??= new Map()).set(key.slice(13), Uint8Array.from(value));
    return;
  }
  if (key.startsWith('GNU.sparse.')) throw sparse();
  const raw = value.toString('latin1');
  if (raw === '') return; // "delete the override": the header's own value stands
  switch (key) {
    case 'path': into.path = withoutNul(raw); break;
    case 'linkpath': into.linkPath = withoutNul(raw); break;
    case 'size': into.size = integer(raw, 'size'); break;
    case 'uid': into.uid = integer(raw, 'uid'); break;
    case 'gid': into.gid = integer(raw, 'gid'); break;
    case 'mtime': into.mtime = paxTime(raw); break;
    default: // times that we do not keep, comments, vendors' own
  }
}

export const sparse = (): NaruError => new NaruError('unsupported', 'archive holds a sparse file', { hint: 'write it again without --sparse' });

function withoutNul(raw: string): string {
  if (raw.includes('\0')) throw malformed('a name holds a NUL byte');
  return raw;
}

function integer(raw: string, what: string): number {
  const value = /^[0-9]{1,16}$/.test(raw) ? Number(raw) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw malformed(`${what} is not a number`);
  return value;
}

/** Decimal seconds with any number of digits after the point, to nanoseconds. */
export function paxTime(raw: string): bigint {
  const match = /^(-?)([0-9]{1,12})(?:\.([0-9]*))?$/.exec(raw);
  if (match === null) throw malformed('mtime is not a time');
  const value = BigInt(match[2]!) * 1_000_000_000n + BigInt((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  return match[1] === '-' ? -value : value;
}
