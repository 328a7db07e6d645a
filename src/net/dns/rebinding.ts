import { type IpPrefix, inPrefix, ipFromBytes, tryParsePrefix } from '../ip.ts';
import type { DnsConfiguration } from './port.ts';

/** The word of `--dns-opt`: names of the world must not lead to what is near. */
const OPTION = 'no-rebind';
/** This container itself, and its link (metadata services). */
const NEAR = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '::/127', 'fe80::/10', '::ffff:0:0/96'];

/** What an answer from upstream must not name; undefined: the user did not ask for that (tools that give containers names in the world's DNS are common). */
export function guardedPrefixes({ options, networks }: DnsConfiguration): readonly IpPrefix[] | undefined {
  if ((options ?? []).includes(OPTION) !== true) return undefined;
  return [...NEAR, ...networks.flatMap((each) => each.subnets ?? [])].flatMap((text) => tryParsePrefix(text) ?? []);
}

export const leadsNear = (addresses: readonly Uint8Array[], guarded: readonly IpPrefix[]): boolean =>
  addresses.some((bytes) => guarded.some((prefix) => inPrefix(prefix, ipFromBytes(bytes))));
