import { NaruError } from '#spec/errors.ts';
import { type Ipv4Network, contains, formatCidr, formatIpv4, networkSize } from './ipv4.ts';

/** How long an address rests after it was given back: until the kernel has taken down the old network namespace, neighbours and
 *  the bridge would still send its frames there. */
const REST_MS = 2000;
const MAX_ADDRESSES = 2 ** 24;

/** The addresses of one network, as bits. The lowest free one is taken; one that was just given back comes last. */
export class AddressPool {
  readonly network: Ipv4Network;
  readonly #words: Uint32Array;
  readonly #resting: { index: number; until: number }[] = [];
  /** No word below this one has a free bit. */
  #lowest = 0;

  readonly #first: number;
  readonly #last: number;

  /** Network and broadcast address are never given out; `range`, within the network, is where `take` looks. */
  constructor(network: Ipv4Network, range: Ipv4Network = network) {
    const size = networkSize(network);
    if (network.prefixLength > 30 || size > MAX_ADDRESSES) {
      throw new NaruError('invalid', `subnet ${formatCidr(network)}: between /8 and /30, please`);
    }
    this.network = network;
    this.#first = range.base - network.base;
    this.#last = this.#first + networkSize(range) - 1;
    this.#lowest = this.#first >>> 5;
    this.#words = new Uint32Array(Math.ceil(size / 32));
    this.#set(0);
    this.#set(size - 1);
    for (let index = size; index < this.#words.length * 32; index++) this.#set(index);
  }

  /** Any free address. Throws conflict when none is left. `now` in ms. */
  take(now = performance.now()): number {
    while (this.#resting.length > 0 && this.#resting[0]!.until <= now) this.#wake();
    const index = this.#firstFree() ?? this.#wake();
    if (index === undefined) {
      throw new NaruError('conflict', `no available IPv4 addresses on this network's address pools: ${formatCidr(this.network)}`, {
        hint: 'remove containers that are not needed any more, or start the daemon with a larger subnet',
      });
    }
    this.#set(index);
    return this.network.base + index;
  }

  /** This very address. Throws conflict when it is in use. */
  takeThis(address: number): void {
    if (!contains(this.network, address)) {
      throw new NaruError('invalid', `invalid address ${formatIpv4(address)}: it is not in the subnet ${formatCidr(this.network)}`);
    }
    const index = address - this.network.base;
    const resting = this.#resting.findIndex((entry) => entry.index === index);
    if (resting >= 0) this.#resting.splice(resting, 1);
    else if (this.#has(index)) throw new NaruError('forbidden', 'Address already in use', { hint: `${formatIpv4(address)} belongs to another container, or to the network itself` });
    this.#set(index);
  }

  /** Give back. Doing it twice is harmless as long as nobody took it in between. */
  give(address: number, now = performance.now()): void {
    const index = address - this.network.base;
    if (!contains(this.network, address) || !this.#has(index)) return;
    if (this.#resting.some((entry) => entry.index === index)) return;
    this.#resting.push({ index, until: now + REST_MS });
  }

  /** Undo a `take`: nobody has seen the address yet. */
  cancel(address: number): void {
    this.#clear(address - this.network.base);
  }

  #firstFree(): number | undefined {
    for (let word = this.#lowest; word <= this.#last >>> 5; word++) {
      let free = ~this.#words[word]! >>> 0;
      if (word === this.#first >>> 5) free = (free & (0xffffffff << (this.#first & 31))) >>> 0;
      if (word === this.#last >>> 5) free = (free & (0xffffffff >>> (31 - (this.#last & 31)))) >>> 0;
      if (free === 0) continue;
      this.#lowest = word;
      return word * 32 + (31 - Math.clz32(free & -free));
    }
    this.#lowest = this.#words.length;
    return undefined;
  }

  /** Free the address that has rested longest. */
  #wake(): number | undefined {
    const entry = this.#resting.shift();
    if (entry === undefined) return undefined;
    this.#clear(entry.index);
    return entry.index;
  }

  #clear(index: number): void {
    this.#words[index >>> 5]! &= ~(1 << (index & 31));
    if (index >= this.#first) this.#lowest = Math.min(this.#lowest, index >>> 5);
  }

  #has(index: number): boolean {
    return (this.#words[index >>> 5]! & (1 << (index & 31))) !== 0;
  }

  #set(index: number): void {
    this.#words[index >>> 5]! |= 1 << (index & 31);
  }
}
