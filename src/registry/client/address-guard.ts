import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { NaruError } from '#spec/errors.ts';

/**
 * Where a registry may send us. A redirect, a token realm and a layer's foreign URL are chosen by whoever wrote the answer, so
 * they must not reach what only this machine reaches: a cloud's metadata service (link-local addresses, and those that clouds
 * use beside them), or a service on loopback unless the registry itself is there.
 */
const METADATA = new BlockList();
METADATA.addSubnet('169.254.0.0', 16, 'ipv4');
METADATA.addSubnet('fe80::', 10, 'ipv6');
METADATA.addAddress('fd00:ec2::254', 'ipv6');
METADATA.addAddress('100.100.100.200', 'ipv4');
METADATA.addSubnet('0.0.0.0', 8, 'ipv4');

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** `::ffff:169.254.1.1` and `::ffff:a9fe:101` are IPv4 addresses. */
function plain(address: string): string {
  const mapped = /^::ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(address);
  if (mapped === null) return address;
  if (mapped[1] !== undefined) return mapped[1];
  const [high, low] = [parseInt(mapped[2]!, 16), parseInt(mapped[3]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

const within = (list: BlockList, address: string): boolean => {
  const bare = plain(address);
  const family = isIP(bare);
  return family !== 0 && list.check(bare, family === 6 ? 'ipv6' : 'ipv4');
};

/** The host of a URL without the brackets of IPv6. */
export const bareHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

export const isLoopbackHost = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost') || within(LOOPBACK, host);

/** Throws `forbidden` for an address that nobody's answer may lead to. */
export function checkForeignAddress(address: string, options: { host: string; loopback: boolean }): void {
  if (within(METADATA, address) || plain(address) === '::' || (!options.loopback && within(LOOPBACK, address))) {
    throw new NaruError('forbidden', `refusing to follow a registry's answer to ${options.host} (${address})`, {
      hint: 'it leads to an address that only this machine can reach',
    });
  }
}

/** For a foreign URL before it is asked: literal addresses. Names are checked when they are resolved (`guardedLookup`). */
export function checkForeignUrl(url: URL, options: { loopback: boolean }): void {
  const host = bareHost(url);
  if (!options.loopback && isLoopbackHost(host)) checkForeignAddress('127.0.0.1', { host, ...options });
  if (isIP(host) !== 0) checkForeignAddress(host, { host, ...options });
}

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void;
type LookupFunction = (host: string, options: { all?: boolean; family?: number | string }, callback: LookupCallback) => void;

/** `dns.lookup` that refuses names that lead where foreign URLs must not: the address that is checked is the one connected to. */
export const guardedLookup = (options: { loopback: boolean }): LookupFunction => (host, { all }, callback) => {
  dnsLookup(host, { all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    try {
      for (const { address } of addresses) checkForeignAddress(address, { host, ...options });
    } catch (refused) {
      return callback(refused as Error, []);
    }
    if (all === true) callback(null, addresses);
    else callback(null, addresses[0]!.address, addresses[0]!.family);
  });
};
