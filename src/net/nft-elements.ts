import type { MapElement, MapOptions } from '#sys/netlink/nft-batch.ts';
import { concatenatedType, TYPE_IFNAME, TYPE_INET_PROTO, TYPE_INET_SERVICE, TYPE_IPV4, TYPE_IPV6 } from '#sys/netlink/nft-constants.ts';
import { interfaceKey } from '#sys/netlink/nft-expressions.ts';
import { ipBytes, lastOf, parsePrefix, tryParseIp } from './ip.ts';
import { type Firewall, networkFacts } from './network-facts.ts';
import { PROTOCOL_NUMBER, type PortMap, fields, portBytes, portElements, portIntervals, portRuns } from './published-ports.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';

/**
 * The sets by which the rules (nat-table.ts) know networks and endpoints. The rules never change; all that does is here, as a
 * function of the records.
 *
 *   | set       | key                       | holds                                                                            |
 *   | --------- | ------------------------- | -------------------------------------------------------------------------------- |
 *   | bridges   | interface                 | every bridge of ours                                                             |
 *   | near, near6 | interface . addresses (intervals) | the subnets of every bridge: who comes from there and goes there turns around |
 *   | icc       | interface . interface     | every bridge twice, where its containers may talk to one another                               |
 *   | internal  | interface                 | bridges with no way out                                                          |
 *   | masq, masq6 | interface               | bridges whose containers go out under the host's address                         |
 *   | open, open6 | interface               | bridges whose containers others may reach by their own addresses, on every port  |
 *   | routed, routed6 | protocol . address . port (intervals) | ports published without rewriting                          |
 *   | pings, pings6 | interface             | bridges of routed networks: pings are let in                                      |
 *   | judged, judged6 | protocol . address . port (intervals) | published ports that obey the host's input rules |
 *   | homes, homes6 | interface . address   | of containers on several networks: bridges on which they would answer by another address than the one that was asked |
 */
export type SetName = 'bridges' | 'near' | 'near6' | 'icc' | 'internal' | 'masq' | 'masq6' | 'open' | 'open6' | 'routed' | 'routed6' | 'pings' | 'pings6' | 'judged' | 'judged6' | 'homes' | 'homes6';
export type ElementKey = SetName | PortMap;
export type Elements = ReadonlyMap<ElementKey, readonly MapElement[]>;

const set = (name: SetName, types: readonly (readonly [type: number, bytes: number])[], intervals = false): MapOptions => ({
  name, keyType: types.length === 1 ? types[0]![0] : concatenatedType(...types.map(([type]) => type)), keyFields: types.map(([, bytes]) => bytes),
  dataType: 0, dataBytes: 0, intervals,
});
const INTERFACE = [TYPE_IFNAME, 16] as const, V4 = [TYPE_IPV4, 4] as const, V6 = [TYPE_IPV6, 16] as const;
const PROTOCOL = [TYPE_INET_PROTO, 1] as const, PORT = [TYPE_INET_SERVICE, 2] as const;

export const SETS: readonly MapOptions[] = [
  set('bridges', [INTERFACE]), set('near', [INTERFACE, V4], true), set('near6', [INTERFACE, V6], true), set('icc', [INTERFACE, INTERFACE]), set('internal', [INTERFACE]),
  set('masq', [INTERFACE]), set('masq6', [INTERFACE]), set('open', [INTERFACE]), set('open6', [INTERFACE]),
  set('routed', [PROTOCOL, V4, PORT], true), set('routed6', [PROTOCOL, V6, PORT], true), set('pings', [INTERFACE]), set('pings6', [INTERFACE]),
  set('judged', [PROTOCOL, V4, PORT], true), set('judged6', [PROTOCOL, V6, PORT], true),
  set('homes', [INTERFACE, V4]), set('homes6', [INTERFACE, V6]),
];

/** What a network puts into the sets. */
export function networkElements(network: NetworkRecord): Elements {
  const elements = new Map<ElementKey, MapElement[]>();
  if (network.driver !== 'bridge' || network.link === '') return elements;
  const facts = networkFacts(network);
  const bridge = interfaceKey(network.link);
  const put = (key: SetName, element: Uint8Array): void => void elements.set(key, [{ key: element }]);
  const pair = fields(bridge, bridge);
  put('bridges', bridge);
  if (facts.icc) put('icc', pair);
  if (network.internal) put('internal', bridge);
  for (const [family, suffix] of [[4, ''], [6, '6']] as const) {
    if (!(family === 4 ? network.ipv4 : network.ipv6)) continue;
    const mode = facts.gatewayMode[family];
    const subnets = network.pools.map((pool) => parsePrefix(pool.subnet)).filter((subnet) => subnet.family === family);
    elements.set(`near${suffix}`, subnets.map((subnet) => ({
      key: fields(bridge, ipBytes({ family, value: subnet.base })), keyEnd: fields(bridge, ipBytes({ family, value: lastOf(subnet) })),
    })));
    if (facts.masquerade && !network.internal && (mode === 'nat' || mode === 'nat-unprotected')) put(`masq${suffix}`, bridge);
    if (mode === 'nat-unprotected') put(`open${suffix}`, bridge);
    if (mode === 'routed') put(`pings${suffix}`, bridge);
  }
  return elements;
}

/** What the endpoints of one container put into sets and maps. `network` finds a network by id. */
export function containerElements(endpoints: readonly EndpointRecord[], network: (id: string) => NetworkRecord | undefined, firewall: Firewall = 'open'): Elements {
  const elements = new Map<ElementKey, MapElement[]>();
  const put = (key: ElementKey, list: readonly MapElement[]): void => {
    if (list.length > 0) elements.set(key, [...(elements.get(key) ?? []), ...list]);
  };
  for (const endpoint of endpoints) {
    if (endpoint.ports.length === 0) continue;
    const own = network(endpoint.networkId);
    const others = endpoints.filter((each) => each !== endpoint).map((each) => network(each.networkId)?.link ?? '').filter((link) => link !== '');
    for (const [family, suffix, text] of [[4, '', endpoint.address], [6, '6', endpoint.ipv6]] as const) {
      const address = tryParseIp(text);
      if (address === undefined) continue;
      if (own !== undefined && networkFacts(own).gatewayMode[family] === 'routed') {
        put(`routed${suffix}`, routedElements(endpoint, family));
        continue;
      }
      for (const [map, list] of portElements(endpoint.ports, address)) put(map, list);
      if (own !== undefined && (networkFacts(own).firewall ?? firewall) === 'host') put(`judged${suffix}`, portIntervals(endpoint.ports, family));
      put(`homes${suffix}`, others.map((link) => ({ key: fields(interfaceKey(link), ipBytes(address)) })));
    }
  }
  return elements;
}

/** Ports that are reached at the container's own address: the container's numbers. */
function routedElements(endpoint: EndpointRecord, family: 4 | 6): MapElement[] {
  const address = ipBytes(tryParseIp(family === 4 ? endpoint.address : endpoint.ipv6)!);
  const own = new Map(endpoint.ports.filter((port) => port.hostIp.includes(':') === (family === 6))
    .map((port) => [`${port.protocol}:${port.containerPort}`, { ...port, hostIp: '', hostPort: port.containerPort }]));
  const key = (protocol: number, port: number): Uint8Array => fields(new Uint8Array([protocol]), address, portBytes(port));
  return portRuns([...own.values()]).map((run) => {
    const protocol = PROTOCOL_NUMBER[run.protocol];
    return { key: key(protocol, run.first), keyEnd: key(protocol, run.first + run.count - 1) };
  });
}

/** All of several. */
export function mergeElements(all: Iterable<Elements>): Map<ElementKey, MapElement[]> {
  const merged = new Map<ElementKey, MapElement[]>();
  for (const elements of all) {
    for (const [key, list] of elements) {
      const found = merged.get(key);
      if (found === undefined) merged.set(key, [...list]);
      else for (const element of list) found.push(element);
    }
  }
  return merged;
}
