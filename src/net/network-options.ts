import { NaruError } from '#spec/errors.ts';
import type { Firewall } from './network-facts.ts';

export interface NetworkOptions {
  /** Up to 15 letters, digits, `-` and `_`. Default `naru0`. */
  readonly bridge?: string;
  /** `172.17.0.0/16`; default: what the bridge has, else the first pool that overlaps with nothing. */
  readonly subnet?: string;
  /** Name of the nftables table (family inet). Default: the bridge's name. */
  readonly tableName?: string;
  /** Default: that of the default route's interface, at most 1500. */
  readonly mtu?: number;
  /** Where subnets come from that nobody named: `base=10.0.0.0/8,size=24`. Default: Docker's. */
  readonly pools?: readonly string[];
  /** Whether published ports obey the host's input rules, where a network does not say. Default: open. */
  readonly firewall?: Firewall;
  /** The default bridge has IPv6 too: this subnet, or (auto) one of our own. */
  readonly ipv6?: string;
  /** What makes this daemon's own IPv6 networks its own: its id. */
  readonly seed?: string;
  /** When the default bridge was made, RFC 3339. */
  readonly created?: string;
  /** Told of what is wrong but does not stop anything. */
  readonly log?: (message: string) => void;
}

const NAME = /^[a-zA-Z0-9_-]{1,15}$/;

/** The names in the kernel, checked. */
export function networkNames(options: NetworkOptions): { bridge: string; table: string } {
  const bridge = options.bridge ?? 'naru0';
  const table = options.tableName ?? bridge;
  for (const name of [bridge, table]) {
    if (!NAME.test(name)) throw new NaruError('invalid', `invalid bridge or table name ${JSON.stringify(name)}`, { hint: 'up to 15 letters, digits, - and _' });
  }
  return { bridge, table };
}
