import { NaruError } from '#spec/errors.ts';
import { formatIpv4, tryParseIpv4 } from './ipv4.ts';

/** An address of either family as a number. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A network of either family; host bits are zero. */
export interface IpPrefix {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly length: number;
}

export const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** Undefined for what is no IPv4 or IPv6 address (RFC 4291 section 2.2; no zone). */
export function tryParseIp(text: string): IpAddress | undefined {
  const v4 = tryParseIpv4(text);
  if (v4 !== undefined) return { family: 4, value: BigInt(v4) };
  const value = parseIpv6(text);
  return value === undefined ? undefined : { family: 6, value };
}

function parseIpv6(text: string): bigint | undefined {
  if (text.length > 45 || !text.includes(':')) return undefined;
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (embedded !== null) {
    const v4 = tryParseIpv4(embedded[2]!);
    if (v4 === undefined) return undefined;
    return parseIpv6(`${embedded[1]}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const words = (half: string): string[] => (half === '' ? [] : half.split(':'));
  const [head, tail] = [words(halves[0]!), words(halves[1] ?? '')];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const word of [...head, ...Array<string>(missing).fill('0'), ...tail]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(word)) return undefined;
    value = (value << 16n) | BigInt(Number.parseInt(word, 16));
  }
  return value;
}

/** RFC 5952: lower case, the longest run of zeros (of two or more) shortened. */
export function formatIp({ family, value }: IpAddress): string {
  if (family === 4) return formatIpv4(Number(value));
  const words = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && words[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
    if (length > 0) at += length;
  }
  const hex = (list: number[]): string => list.map((word) => word.toString(16)).join(':');
  return best.at < 0 ? hex(words) : `${hex(words.slice(0, best.at))}::${hex(words.slice(best.at + best.length))}`;
}

/** Network byte order: 4 or 16 bytes. */
export function ipBytes({ family, value }: IpAddress): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = value;
  for (let i = bytes.byteLength - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

export function ipFromBytes(bytes: Uint8Array): IpAddress {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.byteLength === 16 ? 6 : 4, value };
}

const hostBits = (prefix: Pick<IpPrefix, 'family' | 'length'>): bigint => BigInt(bitsOf(prefix.family) - prefix.length);

export const prefixOf = ({ family, value }: IpAddress, length: number): IpPrefix => {
  const bits = hostBits({ family, length });
  return { family, base: (value >> bits) << bits, length };
};

/** `172.17.0.0/16`, `fd00::/64`; host bits are dropped. Undefined for what is none. */
export function tryParsePrefix(text: string): IpPrefix | undefined {
  const [address, length, ...rest] = text.split('/');
  const ip = tryParseIp(address ?? '');
  if (ip === undefined || rest.length > 0 || length === undefined || !/^\d{1,3}$/.test(length) || Number(length) > bitsOf(ip.family)) return undefined;
  return prefixOf(ip, Number(length));
}

/** Throws invalid. */
export function parsePrefix(text: string): IpPrefix {
  const prefix = tryParsePrefix(text);
  if (prefix === undefined) throw new NaruError('invalid', `invalid CIDR block ${text}: invalid CIDR address`, { hint: 'write it as 172.20.0.0/16 or fd00:1::/64' });
  return prefix;
}

export const formatPrefix = ({ family, base, length }: IpPrefix): string => `${formatIp({ family, value: base })}/${length}`;
export const lastOf = (prefix: IpPrefix): bigint => prefix.base + (1n << hostBits(prefix)) - 1n;
export const inPrefix = (prefix: IpPrefix, ip: IpAddress): boolean => ip.family === prefix.family && ip.value >= prefix.base && ip.value <= lastOf(prefix);
export const prefixesOverlap = (a: IpPrefix, b: IpPrefix): boolean => a.family === b.family && a.base <= lastOf(b) && b.base <= lastOf(a);
export const prefixWithin = (inner: IpPrefix, outer: IpPrefix): boolean => inner.family === outer.family && inner.length >= outer.length && inPrefix(outer, { family: inner.family, value: inner.base });
