import { type IpAddress, type IpPrefix, formatIp, inPrefix, ipBytes, tryParseIp, tryParsePrefix } from '../ip.ts';
import { nameBytes } from './message.ts';
import type { DnsConfiguration } from './port.ts';

/** What is to be said of a name to one container. */
export type Found =
  /** Addresses one behind the other, 4 and 16 bytes each. The turns count the answers of each family, for the round robin. Both may be empty: the name is there, and that is all. */
  | { readonly kind: 'addresses'; readonly v4: Uint8Array; readonly v6: Uint8Array; turn: number; turn6: number }
  /** The name that an address belongs to, in wire form. */
  | { readonly kind: 'pointer'; readonly name: Uint8Array }
  /** There is no such name, and nobody else is to be asked. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'elsewhere' };

interface Member { readonly v4: readonly Uint8Array[]; readonly v6: readonly Uint8Array[] }
interface Network {
  /** By name in lower case, then by container. */
  readonly names: Map<string, Map<string, Member>>;
  /** By address as `formatIp` writes it: who has it, and its name in the network. */
  readonly addresses: Map<string, { readonly containerId: string; readonly name: string }>;
  /** What was a name once, so that it is not asked for outside when it is gone. */
  readonly past: Set<string>;
  /** Containers on it. */
  readonly members: Set<string>;
}
interface Guest {
  readonly configuration: DnsConfiguration;
  readonly subnets: readonly IpPrefix[];
  readonly networks: readonly { readonly id: string; readonly suffix: string }[];
  readonly links: ReadonlyMap<string, string>;
  /** Names without a dot may be asked for outside. */
  readonly bareNamesLeave: boolean;
}

const MAX_PAST = 1024;
const ABSENT: Found = { kind: 'absent' };
const ELSEWHERE: Found = { kind: 'elsewhere' };
const LOOPBACK = [tryParsePrefix('127.0.0.0/8')!, tryParsePrefix('::1/128')!];
const REVERSE_V4 = '.in-addr.arpa', REVERSE_V6 = '.ip6.arpa';

/** All containers with their names, and what each of them may know. Nothing here waits. */
export class NameDirectory {
  /** Grows with every change: what was found before is stale. */
  generation = 0;
  readonly #guests = new Map<string, Guest>();
  readonly #networks = new Map<string, Network>();

  set(containerId: string, configuration: DnsConfiguration): void {
    this.#forget(containerId);
    this.generation++;
    this.#guests.set(containerId, {
      configuration,
      subnets: configuration.networks.flatMap((each) => (each.subnets ?? []).flatMap((text) => tryParsePrefix(text) ?? [])),
      networks: configuration.networks.map((each) => ({ id: each.networkId, suffix: `.${each.networkName.toLowerCase()}` })),
      links: new Map((configuration.links ?? []).map(({ alias, target }) => [alias.toLowerCase(), target.toLowerCase()])),
      bareNamesLeave: (configuration.options ?? []).includes('ndots:0'),
    });
    for (const endpoint of configuration.networks) {
      const network = this.#network(endpoint.networkId);
      network.members.add(containerId);
      const addresses = endpoint.addresses.flatMap((text) => tryParseIp(text) ?? []);
      const bytesOf = (family: 4 | 6): Uint8Array[] => addresses.filter((each) => each.family === family).map((each) => ipBytes(each));
      const member: Member = { v4: bytesOf(4), v6: bytesOf(6) };
      for (const name of new Set(endpoint.names.map((each) => each.toLowerCase()))) {
        let holders = network.names.get(name);
        if (holders === undefined) network.names.set(name, (holders = new Map()));
        holders.set(containerId, member);
        if (network.past.size < MAX_PAST) network.past.add(name);
      }
      for (const address of addresses) network.addresses.set(formatIp(address), { containerId, name: `${configuration.name}.${endpoint.networkName}` });
    }
  }

  /** Idempotent. */
  remove(containerId: string): void {
    const networks = this.#guests.get(containerId)?.networks ?? [];
    this.#forget(containerId);
    for (const { id } of networks) if (this.#networks.get(id)?.members.size === 0) this.#networks.delete(id);
  }

  /** What a container is told of a name (lower case, no dot at the end). */
  find(containerId: string, name: string): Found {
    const guest = this.#guests.get(containerId);
    if (guest === undefined) return ABSENT;
    const target = guest.links.get(name);
    const found = this.#local(guest, target ?? name);
    if (found !== undefined) return found;
    if (name.endsWith(REVERSE_V4) || name.endsWith(REVERSE_V6)) return this.#reverse(guest, name);
    if (target !== undefined) return ABSENT;
    // The root is nobody's secret.
    if (name === '') return ELSEWHERE;
    if (!name.includes('.')) return guest.bareNamesLeave ? ELSEWHERE : ABSENT;
    return this.#isInternal(guest, name);
  }

  /** Networks stay, with what was a name in them. */
  #forget(containerId: string): void {
    const guest = this.#guests.get(containerId);
    if (guest === undefined) return;
    this.generation++;
    this.#guests.delete(containerId);
    for (const endpoint of guest.configuration.networks) {
      const network = this.#networks.get(endpoint.networkId);
      if (network === undefined) continue;
      network.members.delete(containerId);
      for (const name of endpoint.names.map((each) => each.toLowerCase())) {
        const holders = network.names.get(name);
        holders?.delete(containerId);
        if (holders?.size === 0) network.names.delete(name);
      }
      for (const text of endpoint.addresses) {
        const address = tryParseIp(text);
        const key = address === undefined ? '' : formatIp(address);
        if (network.addresses.get(key)?.containerId === containerId) network.addresses.delete(key);
      }
    }
  }

  #local(guest: Guest, name: string): Found | undefined {
    for (const { id } of guest.networks) {
      const holders = this.#networks.get(id)?.names.get(name);
      if (holders !== undefined) return addressesOf(holders);
    }
    for (const { id, suffix } of guest.networks) {
      if (!name.endsWith(suffix)) continue;
      const holders = this.#networks.get(id)?.names.get(name.slice(0, -suffix.length));
      if (holders !== undefined) return addressesOf(holders);
    }
    return undefined;
  }

  #reverse(guest: Guest, name: string): Found {
    const address = reverseAddress(name);
    if (address === undefined) return ELSEWHERE;
    const text = formatIp(address);
    for (const { id } of guest.networks) {
      const holder = this.#networks.get(id)?.addresses.get(text);
      const bytes = holder === undefined ? undefined : nameBytes(holder.name);
      if (bytes !== undefined) return { kind: 'pointer', name: bytes };
    }
    return [...LOOPBACK, ...guest.subnets].some((each) => inPrefix(each, address)) ? ABSENT : ELSEWHERE;
  }

  /** Names that would tell a stranger what containers and networks are called here. */
  #isInternal(guest: Guest, name: string): Found {
    // A service of a container (_http._tcp.web): the name is there, and has no such record.
    const service = /^(?:_[^.]+\.)+([^_].*)$/.exec(name)?.[1];
    if (service !== undefined && (this.#local(guest, service) !== undefined || (!service.includes('.') && !guest.bareNamesLeave))) return { kind: 'addresses', v4: new Uint8Array(0), v6: new Uint8Array(0), turn: 0, turn6: 0 };
    for (const { id, suffix } of guest.networks) {
      if (!name.endsWith(suffix)) continue;
      // A network may be called like a domain of the world (dev, app): then only what was ours is kept here.
      const mayBeDomain = /^\.[a-z]+$/.test(suffix) || suffix.slice(1).includes('.');
      if (!mayBeDomain || this.#networks.get(id)?.past.has(name.slice(0, -suffix.length)) === true) return ABSENT;
    }
    return ELSEWHERE;
  }

  #network(id: string): Network {
    let network = this.#networks.get(id);
    if (network === undefined) this.#networks.set(id, (network = { names: new Map(), addresses: new Map(), past: new Set(), members: new Set() }));
    return network;
  }
}

function addressesOf(holders: ReadonlyMap<string, Member>): Found {
  const join = (parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
  const members = [...holders.values()];
  return { kind: 'addresses', v4: join(members.flatMap((each) => each.v4)), v6: join(members.flatMap((each) => each.v6)), turn: 0, turn6: 0 };
}

/** The address of a whole reverse name; undefined: it is none (a part of one, a delegation). */
function reverseAddress(name: string): IpAddress | undefined {
  if (name.endsWith(REVERSE_V4)) {
    const parts = name.slice(0, -REVERSE_V4.length).split('.');
    return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part)) ? tryParseIp(parts.toReversed().join('.')) : undefined;
  }
  const digits = name.slice(0, -REVERSE_V6.length).split('.');
  if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return undefined;
  return { family: 6, value: BigInt(`0x${digits.toReversed().join('')}`) };
}
