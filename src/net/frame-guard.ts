import { NaruError } from '#spec/errors.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { type MapElement, type MapOptions, NftBatch } from '#sys/netlink/nft-batch.ts';
import {
  concatenatedType, NFPROTO_BRIDGE, NFT_GOTO, NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_META_PROTOCOL, NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER, NFT_REG32, NF_ACCEPT, NF_DROP,
  NF_INET_PRE_ROUTING, TYPE_ETHER_ADDR, TYPE_IFNAME, TYPE_IPV4, TYPE_IPV6,
} from '#sys/netlink/nft-constants.ts';
import { type Expression, compare, interfaceKey, isIn, isNotIn, meta, payload, verdict } from '#sys/netlink/nft-expressions.ts';
import { ipBytes, tryParseIp } from './ip.ts';
import { macBytes } from './ipv4.ts';
import { tableExists } from './nat-state.ts';
import { networkFacts } from './network-facts.ts';
import { fields } from './published-ports.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';
import type { WrittenTable } from './rule-watch.ts';

const ENOENT = 2, EEXIST = 17;
const PRIORITY = -400;
const ETHERTYPE_ARP = Uint8Array.of(0x08, 0x06), TCP = Uint8Array.of(6), ICMPV6 = Uint8Array.of(58), UDP = Uint8Array.of(17);
const ROUTER_ADVERTISEMENT = Uint8Array.of(134), NEIGHBOUR_ADVERTISEMENT = Uint8Array.of(136), REDIRECT = Uint8Array.of(137);
const DHCP_ANSWER = Uint8Array.of(0, 67, 0, 68), DHCPV6_ANSWER = Uint8Array.of(2, 35, 2, 34);
const R = (n: number): number => NFT_REG32 + n;

/**
 * What a container must not say to its neighbours on the bridge: that an address is its own which another one (or the gateway) was
 * given, and that it is a router or hands out addresses. Addresses that nobody was given are its own affair.
 *
 *   | set          | key                       | holds                                          |
 *   | ------------ | ------------------------- | ---------------------------------------------- |
 *   | guarded      | interface                 | the host's ends of containers' veth pairs      |
 *   | taken, taken6 | address                  | of all endpoints and gateways                  |
 *   | own, own6    | interface . (MAC .) address | who may say it                               |
 *
 * A table of the family bridge: it sees frames before they are forwarded, or come to the host. Networks made with
 * -o naru.guard=false are left out.
 */
type SetName = 'guarded' | 'taken' | 'taken6' | 'own' | 'own6';
type Elements = Map<SetName, MapElement[]>;

const set = (name: SetName, types: readonly (readonly [type: number, bytes: number])[]): MapOptions =>
  ({ name, keyType: types.length === 1 ? types[0]![0] : concatenatedType(...types.map(([type]) => type)), keyFields: types.map(([, bytes]) => bytes), dataType: 0, dataBytes: 0, intervals: false });
const SETS: readonly MapOptions[] = [
  set('guarded', [[TYPE_IFNAME, 16]]), set('taken', [[TYPE_IPV4, 4]]), set('taken6', [[TYPE_IPV6, 16]]),
  set('own', [[TYPE_IFNAME, 16], [TYPE_ETHER_ADDR, 6], [TYPE_IPV4, 4]]), set('own6', [[TYPE_IFNAME, 16], [TYPE_IPV6, 16]]),
];

const guards = (network: NetworkRecord | undefined): boolean => network?.driver === 'bridge' && networkFacts(network).guard;

export class FrameGuard {
  readonly #socket: NetlinkSocket;
  readonly #table: string;
  readonly #find: (id: string) => NetworkRecord | undefined;
  readonly #log: (message: string) => void;
  /** The kernel has no tables of this family. */
  #absent = false;
  #rules = 0;

  constructor(socket: NetlinkSocket, options: { table: string; find: (id: string) => NetworkRecord | undefined; log: (message: string) => void }) {
    this.#socket = socket;
    this.#table = options.table;
    this.#find = options.find;
    this.#log = options.log;
  }

  /** As it was made last; none where there is none. */
  get written(): WrittenTable[] {
    return this.#rules === 0 || this.#absent ? [] : [{ family: NFPROTO_BRIDGE, table: this.#table, rules: this.#rules }];
  }

  /** The table as these say, whatever is there, in one transaction. */
  rebuild(networks: Iterable<NetworkRecord>, endpoints: Iterable<EndpointRecord>, flags: number): void {
    if (this.#absent) return;
    const elements: Elements = new Map();
    for (const network of networks) gather(elements, this.#ofNetwork(network));
    for (const endpoint of endpoints) gather(elements, this.#ofEndpoint(endpoint));
    const batch = new NftBatch(this.#table, NFPROTO_BRIDGE);
    try {
      if (tableExists(this.#socket, this.#table, NFPROTO_BRIDGE)) batch.deleteTable();
      addTable(batch, flags);
      for (const [name, list] of elements) batch.addElements(name, list);
      this.#commit(batch);
      this.#rules = batch.rules;
    } catch (error) {
      this.#absent = true;
      this.#log(`containers are not kept from speaking in their neighbours' names: ${(error as Error).message}`);
    }
  }

  /** False: somebody changed the table, it is to be made anew. */
  change(change: { add?: readonly EndpointRecord[]; remove?: readonly EndpointRecord[]; addNetwork?: NetworkRecord; removeNetwork?: NetworkRecord }): boolean {
    if (this.#absent) return true;
    const add: Elements = new Map(), remove: Elements = new Map();
    for (const endpoint of change.add ?? []) gather(add, this.#ofEndpoint(endpoint));
    for (const endpoint of change.remove ?? []) gather(remove, this.#ofEndpoint(endpoint));
    if (change.addNetwork !== undefined) gather(add, this.#ofNetwork(change.addNetwork));
    if (change.removeNetwork !== undefined) gather(remove, this.#ofNetwork(change.removeNetwork));
    const batch = new NftBatch(this.#table, NFPROTO_BRIDGE);
    for (const [name, list] of remove) batch.deleteElements(name, list);
    for (const [name, list] of add) batch.addElements(name, list);
    try {
      this.#commit(batch);
      return true;
    } catch (error) {
      if (error instanceof NaruError && (error.errno === ENOENT || error.errno === EEXIST)) return false;
      throw error;
    }
  }

  #ofNetwork(network: NetworkRecord): Elements {
    const elements: Elements = new Map();
    if (!guards(network)) return elements;
    for (const { gateway } of network.pools) {
      const ip = tryParseIp(gateway);
      if (ip !== undefined) gather(elements, new Map([[ip.family === 4 ? 'taken' : 'taken6', [{ key: ipBytes(ip) }]]]));
    }
    return elements;
  }

  #ofEndpoint({ hostInterface, mac, address, ipv6, networkId }: EndpointRecord): Elements {
    const elements: Elements = new Map();
    if (hostInterface === '' || !guards(this.#find(networkId))) return elements;
    const port = interfaceKey(hostInterface);
    elements.set('guarded', [{ key: port }]);
    const [v4, v6] = [tryParseIp(address), tryParseIp(ipv6)];
    if (v4 !== undefined) {
      elements.set('taken', [{ key: ipBytes(v4) }]);
      elements.set('own', [{ key: fields(port, macBytes(mac), ipBytes(v4)) }]);
    }
    if (v6 !== undefined) {
      elements.set('taken6', [{ key: ipBytes(v6) }]);
      elements.set('own6', [{ key: fields(port, ipBytes(v6)) }]);
    }
    return elements;
  }

  #commit(batch: NftBatch): void {
    if (batch.empty) return;
    this.#socket.request(batch.end().writer, batch.describe);
  }
}

function gather(into: Elements, from: ReadonlyMap<SetName, MapElement[]>): void {
  for (const [name, list] of from) into.set(name, [...(into.get(name) ?? []), ...list]);
}

function addTable(batch: NftBatch, flags: number): void {
  batch.addTable(flags);
  for (const each of SETS) batch.addMap(each);
  for (const name of ['datagrams', 'neighbours']) batch.addChain(name);
  batch.addBaseChain({ name: 'prerouting', type: 'filter', hook: NF_INET_PRE_ROUTING, priority: PRIORITY });
  const rules = (chain: string) => (comment: string, ...expressions: (Expression | Expression[])[]): void => batch.addRule(chain, comment, expressions.flat());
  const drop = verdict(NF_DROP);
  const guarded = [meta(NFT_META_IIFNAME), isIn('guarded')];
  const [sender, address] = [payload(NFT_PAYLOAD_NETWORK_HEADER, 8, 6, R(4)), payload(NFT_PAYLOAD_NETWORK_HEADER, 14, 4, R(6))];
  const protocol = (number: Uint8Array): Expression[] => [meta(NFT_META_L4PROTO), compare(number)];
  const type = (number: Uint8Array): Expression[] => [payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1), compare(number)];
  const ports = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4);
  // All frames of all bridges come by: few rules for each kind, and no look into a set before something is to be said against it
  const rule = rules('prerouting');
  rule('TCP says none of it', protocol(TCP), verdict(NF_ACCEPT));
  rule('by their ports', protocol(UDP), verdict(NFT_GOTO, 'datagrams'));
  rule('by their type', protocol(ICMPV6), verdict(NFT_GOTO, 'neighbours'));
  rule('ARP: no address of somebody else', meta(NFT_META_PROTOCOL), compare(ETHERTYPE_ARP), address, isIn('taken', R(6)), guarded, sender, isNotIn('own'), drop);
  const neighbours = rules('neighbours');
  neighbours('no container is a router', type(ROUTER_ADVERTISEMENT), guarded, drop);
  neighbours('nor knows a better one', type(REDIRECT), guarded, drop);
  neighbours('neighbour advertisements: no address of somebody else', type(NEIGHBOUR_ADVERTISEMENT), payload(NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, R(4)), isIn('taken6', R(4)), guarded, isNotIn('own6'), drop);
  for (const answer of [DHCP_ANSWER, DHCPV6_ANSWER]) rules('datagrams')('no container hands out addresses', ports, compare(answer), guarded, drop);
}
