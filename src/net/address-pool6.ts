import { NaruError } from '#spec/errors.ts';
import { type IpPrefix, formatIp, formatPrefix, inPrefix, lastOf } from './ip.ts';

/** The addresses of one IPv6 network. Given out upwards and never one again before the range has been gone through. */
export class AddressPool6 {
  readonly network: IpPrefix;
  readonly #range: IpPrefix;
  readonly #taken = new Set<bigint>();
  #next: bigint;

  /** The first address (the routers' anycast address) is never given out. */
  constructor(network: IpPrefix, range: IpPrefix = network) {
    this.network = network;
    this.#range = range;
    this.#next = range.base;
    this.#taken.add(network.base);
  }

  /** Throws conflict when none is left. */
  take(): bigint {
    const last = lastOf(this.#range);
    for (let tries = 0; tries <= this.#taken.size; tries++) {
      const value = this.#next;
      this.#next = value === last ? this.#range.base : value + 1n;
      if (this.#taken.has(value)) continue;
      this.#taken.add(value);
      return value;
    }
    throw new NaruError('conflict', `no available IPv6 addresses on this network's address pools: ${formatPrefix(this.network)}`);
  }

  /** Throws invalid outside of the subnet, forbidden when it is in use. */
  takeThis(value: bigint): void {
    if (!inPrefix(this.network, { family: 6, value })) throw new NaruError('invalid', `invalid address ${formatIp({ family: 6, value })}: it is not in the subnet ${formatPrefix(this.network)}`);
    if (this.#taken.has(value)) throw new NaruError('forbidden', 'Address already in use', { hint: `${formatIp({ family: 6, value })} belongs to another container, or to the network itself` });
    this.#taken.add(value);
  }

  give(value: bigint): void {
    if (value !== this.network.base) this.#taken.delete(value);
  }
}
