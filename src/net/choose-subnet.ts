import { NaruError } from '#spec/errors.ts';
import { type Ipv4Network, formatCidr, overlap, parseCidr } from './ipv4.ts';

/** Docker's default address pools, in its order. */
export const DEFAULT_POOLS: readonly Ipv4Network[] = [
  ...Array.from({ length: 15 }, (_, i) => parseCidr(`172.${17 + i}.0.0/16`)),
  ...Array.from({ length: 16 }, (_, i) => parseCidr(`192.168.${16 * i}.0/20`)),
];

/** The first pool that overlaps with nothing in use. */
export function chooseSubnet(used: readonly Ipv4Network[], pools: readonly Ipv4Network[] = DEFAULT_POOLS): Ipv4Network {
  const free = pools.find((pool) => !used.some((each) => overlap(pool, each)));
  if (free !== undefined) return free;
  throw new NaruError('conflict', 'all predefined address pools have been fully subnetted: every one overlaps with a network that this host reaches', {
    hint: `give the daemon a subnet of its own; tried ${formatCidr(pools[0]!)} to ${formatCidr(pools.at(-1)!)}`,
  });
}
