import { NaruError } from '#spec/errors.ts';

/** An IPv4 network: the first address as a number, with host bits zero. */
export interface Ipv4Network {
  readonly base: number;
  readonly prefixLength: number;
}

/** The address as an unsigned number, or undefined when it is not four decimal bytes. */
export function tryParseIpv4(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  if (parts.some((part) => part > 255)) return undefined;
  return parts.reduce((all, part) => all * 256 + part, 0);
}

export function parseIpv4(text: string): number {
  const address = tryParseIpv4(text);
  if (address === undefined) throw new NaruError('invalid', `${text} is not an IPv4 address`);
  return address;
}

export const formatIpv4 = (address: number): string =>
  `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;

/** Network byte order. */
export const ipv4Bytes = (address: number): Uint8Array =>
  new Uint8Array([address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255]);

export const ipv4FromBytes = (bytes: Uint8Array): number =>
  bytes.byteLength < 4 ? 0 : ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;

export const networkSize = (network: Ipv4Network): number => 2 ** (32 - network.prefixLength);

export const networkOf = (address: number, prefixLength: number): Ipv4Network => {
  const size = 2 ** (32 - prefixLength);
  return { base: Math.floor(address / size) * size, prefixLength };
};

/** `172.17.0.0/16`; host bits are dropped. */
export function parseCidr(text: string): Ipv4Network {
  const [address, prefix, ...rest] = text.split('/');
  const prefixLength = Number(prefix);
  if (rest.length > 0 || prefix === undefined || !/^\d{1,2}$/.test(prefix) || prefixLength > 32) {
    throw new NaruError('invalid', `${text} is not an IPv4 network`, { hint: 'write it as 172.17.0.0/16' });
  }
  return networkOf(parseIpv4(address ?? ''), prefixLength);
}

export const formatCidr = (network: Ipv4Network): string => `${formatIpv4(network.base)}/${network.prefixLength}`;

export const contains = (network: Ipv4Network, address: number): boolean =>
  address >= network.base && address < network.base + networkSize(network);

export const overlap = (a: Ipv4Network, b: Ipv4Network): boolean =>
  a.base < b.base + networkSize(b) && b.base < a.base + networkSize(a);

/** The MAC that Docker derives from an address: 02:42 and its four bytes. */
export const macOf = (address: number): string =>
  ['02', '42', ...[...ipv4Bytes(address)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');

export function macBytes(mac: string): Uint8Array {
  if (!/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/.test(mac)) throw new NaruError('invalid', `invalid MAC address: ${mac}`);
  return new Uint8Array(mac.split(/[:-]/).map((part) => Number.parseInt(part, 16)));
}
