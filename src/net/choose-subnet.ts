import { NaruError } from '#spec/errors.ts';
import { type IpPrefix, bitsOf, lastOf, parsePrefix, prefixesOverlap, tryParsePrefix } from './ip.ts';

/** Networks of `size` (a prefix length) are cut from `base`, as daemon.json's default-address-pools says. */
export interface SubnetPool {
  readonly base: IpPrefix;
  readonly size: number;
}

/** Docker's default address pools, in its order. */
export const DEFAULT_POOLS: readonly SubnetPool[] = [
  ...Array.from({ length: 15 }, (_, i) => ({ base: parsePrefix(`172.${17 + i}.0.0/16`), size: 16 })),
  { base: parsePrefix('192.168.0.0/16'), size: 20 },
];

/** `base=10.0.0.0/8,size=24`. Throws invalid. */
export function parsePool(text: string): SubnetPool {
  const fields = new Map(text.split(',').map((field) => field.split('=', 2).map((word) => word.trim()) as [string, string]));
  const base = tryParsePrefix(fields.get('base') ?? '');
  const size = Number(fields.get('size'));
  if (base === undefined || !Number.isInteger(size) || size < base.length || size > bitsOf(base.family) - 2 || fields.size !== 2) {
    throw new NaruError('invalid', `invalid default address pool ${JSON.stringify(text)}`, { hint: 'write it as base=10.0.0.0/8,size=24; size is at least the prefix length of base' });
  }
  return { base, size };
}

/** A mebi of networks is looked at in one pool, no more. */
const MAX_TRIES = 2 ** 20;

/** The first network of the pools that overlaps with nothing in use. Throws invalid in Docker's words. */
export function chooseSubnet(family: 4 | 6, used: readonly IpPrefix[], pools: readonly SubnetPool[] = DEFAULT_POOLS): IpPrefix {
  const taken = used.filter((each) => each.family === family);
  for (const { base, size } of pools) {
    if (base.family !== family) continue;
    const step = 1n << BigInt(bitsOf(family) - size);
    let candidate: IpPrefix = { family, base: base.base, length: size };
    for (let tries = 0; tries < MAX_TRIES && candidate.base <= lastOf(base); tries++) {
      const obstacle = taken.find((each) => prefixesOverlap(candidate, each));
      if (obstacle === undefined) return candidate;
      // Past the obstacle at once: it may be large.
      const past = lastOf(obstacle) + 1n;
      const next = ((past - base.base + step - 1n) / step) * step + base.base;
      candidate = { ...candidate, base: next > candidate.base ? next : candidate.base + step };
    }
  }
  throw new NaruError('invalid', 'all predefined address pools have been fully subnetted', {
    hint: 'every one overlaps with a network of ours or one that this host reaches: give --subnet, or the daemon more pools (--default-address-pool)',
  });
}
