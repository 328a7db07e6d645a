import { createHash } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import { type SubnetPool, chooseSubnet } from './choose-subnet.ts';
import { type IpPrefix, formatIp, formatPrefix, inPrefix, parsePrefix, prefixWithin, prefixesOverlap, tryParseIp, tryParsePrefix } from './ip.ts';
import { NetworkAddresses } from './network-addresses.ts';
import { OPTION, hasParent, networkFacts, parseOptions } from './network-facts.ts';
import { ownParentName } from './own-parent.ts';
import type { NetworkRequest } from './port.ts';
import type { IpamPool, NetworkRecord } from './records.ts';

export interface DesignFacts {
  /** Subnets of the networks of ours. */
  readonly own: readonly IpPrefix[];
  /** What the host reaches; asked only when a subnet is to be chosen. */
  readonly host: (family: 4 | 6) => readonly IpPrefix[];
  readonly pools: readonly SubnetPool[];
  /** Whether a link of this name is there, or a network has it. */
  readonly linkTaken: (name: string) => boolean;
  /** The id of the network that has this parent for itself alone. */
  readonly ownerOfParent: (name: string) => string | undefined;
}

const invalid = (message: string): NaruError => new NaruError('invalid', message);

/** The record of a request, with its addresses (gateway and auxiliary ones taken). Throws in Docker's words. */
export function designNetwork(request: NetworkRequest, facts: DesignFacts): { record: NetworkRecord; addresses: NetworkAddresses } {
  const parsed = parseOptions(request.options);
  const { driver, id } = request;
  if (!request.ipv4 && !request.ipv6 && driver !== 'host' && driver !== 'null' && !request.configOnly) throw invalid('IPv4 or IPv6 must be enabled');
  for (const family of [4, 6] as const) {
    if (parsed.gatewayMode[family] === 'isolated' && !request.internal) throw invalid(`gateway mode 'isolated' can only be used for an internal network`);
  }
  const given = request.pools.filter((pool) => pool.subnet !== '');
  const pools = given.map(checkPool);
  for (const [i, pool] of pools.entries()) {
    if (pools.some((other, j) => j < i && prefixesOverlap(parsePrefix(other.subnet), parsePrefix(pool.subnet)))) throw invalid(`invalid network config:\noverlapping subnets ${pool.subnet}`);
  }
  const needs = (family: 4 | 6): boolean => (family === 4 ? request.ipv4 : request.ipv6) && !pools.some((pool) => parsePrefix(pool.subnet).family === family);
  if (!request.configOnly && (driver === 'bridge' || hasParent(request))) {
    for (const pool of pools) {
      if (facts.own.some((each) => prefixesOverlap(each, parsePrefix(pool.subnet)))) throw new NaruError('forbidden', 'invalid pool request: Pool overlaps with other one on this address space', { hint: `another network has addresses of ${pool.subnet}` });
    }
    const taken = [...facts.own, ...pools.map((pool) => parsePrefix(pool.subnet))];
    for (const family of [4, 6] as const) {
      if (!needs(family)) continue;
      const subnet = chooseSubnet(family, [...taken, ...facts.host(family)], facts.pools);
      pools.push({ subnet: formatPrefix(subnet), ipRange: '', gateway: '', auxiliary: {} });
    }
  }
  pools.sort((a, b) => parsePrefix(a.subnet).family - parsePrefix(b.subnet).family);
  const used = pools.filter((pool) => (parsePrefix(pool.subnet).family === 4 ? request.ipv4 : request.ipv6));
  if (driver === 'bridge') {
    for (const family of [4, 6]) if (used.filter((pool) => parsePrefix(pool.subnet).family === family).length > 1) throw new NaruError('forbidden', 'bridge driver doesn\'t support multiple subnets');
  }
  const addresses = new NetworkAddresses(used);
  const complete = used.map((pool, index): IpamPool => {
    const family = parsePrefix(pool.subnet).family;
    if (pool.gateway !== '' || parsed.gatewayMode[family] === 'isolated' || request.configOnly || (driver !== 'bridge' && request.internal)) return pool;
    return { ...pool, gateway: addresses.takeGateway(index) };
  });
  return { record: { ...request, link: linkOf(request, facts), pools: complete, id }, addresses };
}

function linkOf({ driver, options, id, configOnly }: NetworkRequest, facts: DesignFacts): string {
  if (configOnly) return '';
  if (driver === 'bridge') {
    const name = options[OPTION.bridgeName] ?? '';
    if (name === '') return `br-${id.slice(0, 12)}`;
    if (!/^[a-zA-Z0-9_.-]{1,15}$/.test(name)) throw invalid(`invalid bridge name ${JSON.stringify(name)}: at most 15 letters, digits, '-', '_' and '.'`);
    if (facts.linkTaken(name)) throw new NaruError('forbidden', `bridge name ${name} is in use: another network or interface has it`);
    return name;
  }
  if (driver !== 'macvlan' && driver !== 'ipvlan') return '';
  const parent = options[OPTION.parent] ?? '';
  if (parent === '') return ownParentName({ driver, id });
  if (parent === 'lo') throw invalid(`loopback interface is not a valid ${driver} parent link`);
  // It would go with the other network
  const owner = facts.ownerOfParent(parent);
  if (owner !== undefined) throw invalid(`network ${owner.slice(0, 12)} is already using parent interface ${parent}`);
  return parent;
}

function checkPool(pool: IpamPool): IpamPool {
  const subnet = tryParsePrefix(pool.subnet);
  const bad = (text: string): NaruError => invalid(`invalid network config:\n${text}`);
  if (subnet === undefined) throw bad(`invalid subnet ${pool.subnet}: invalid CIDR block notation`);
  if (formatPrefix(subnet) !== formatPrefix(parsePrefix(pool.subnet)) || formatIp(tryParseIp(pool.subnet.split('/')[0]!)!) !== formatIp({ family: subnet.family, value: subnet.base })) {
    throw bad(`invalid subnet ${pool.subnet}: it should be ${formatPrefix(subnet)}`);
  }
  const range = pool.ipRange === '' ? undefined : tryParsePrefix(pool.ipRange);
  if (pool.ipRange !== '' && (range === undefined || !prefixWithin(range, subnet))) throw bad(`invalid ip-range ${pool.ipRange}: parent subnet is ${pool.subnet}`);
  const inside = (text: string, what: string): void => {
    const ip = tryParseIp(text);
    if (ip === undefined) throw bad(`invalid ${what} ${text}: invalid address`);
    if (!inPrefix(subnet, ip)) throw bad(`invalid ${what} ${text}: parent subnet is ${pool.subnet}`);
  };
  if (pool.gateway !== '') inside(pool.gateway, 'gateway');
  for (const address of Object.values(pool.auxiliary)) inside(address, 'auxiliary address');
  return {
    subnet: formatPrefix(subnet), ipRange: range === undefined ? '' : formatPrefix(range), gateway: pool.gateway === '' ? '' : formatIp(tryParseIp(pool.gateway)!), auxiliary: pool.auxiliary,
  };
}

/** The host's own unique local /48 (RFC 4193), the same as long as `seed` is: IPv6 networks that name no subnet are cut from it. */
export function ownUlaPool(seed: string): SubnetPool {
  const hex = createHash('sha256').update(`naru ula ${seed}`).digest('hex');
  return { base: parsePrefix(`fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6, 10)}::/48`), size: 64 };
}

export const subnetsOf = (network: NetworkRecord): IpPrefix[] => network.pools.map((pool) => parsePrefix(pool.subnet));
export const mtuOf = (network: NetworkRecord, otherwise: number): number => networkFacts(network).mtu || otherwise;
