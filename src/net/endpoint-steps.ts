import type { NetlinkStep } from '#spec/network-steps.ts';
import { NETLINK_ROUTE } from '#sys/numbers.ts';
import { type Label, MessageWriter } from '#sys/netlink/message-writer.ts';
import { NLM_F_ACK } from '#sys/netlink/netlink-constants.ts';
import { IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES } from '#sys/netlink/route-constants.ts';
import {
  type LinkTarget, writeAddress, writeAnnounce, writeCreateIpvlan, writeCreateMacvlan, writeCreateVeth, writeDefaultRoute, writeDeviceRoute, writeHairpin, writeIsolated, writeLinkUp,
  writeNoIpv6Address,
} from '#sys/netlink/route-messages.ts';
import { ipBytes, tryParseIp } from './ip.ts';
import { ipv4Bytes, macBytes, networkOf, networkSize, parseIpv4 } from './ipv4.ts';
import { hasParent, networkFacts } from './network-facts.ts';
import type { EndpointRecord, NetworkRecord } from './records.ts';

const LOOPBACK: LinkTarget = { index: 1 };
const NAMESPACE = 'child-netns-fd';

/** An endpoint with its network and the MTU that its interfaces get. */
export interface Attachment {
  readonly endpoint: EndpointRecord;
  readonly network: NetworkRecord;
  readonly mtu: number;
  /** Keep it from its neighbours on the bridge. */
  readonly isolated: boolean;
}

const step = (where: NetlinkStep['where'], w: MessageWriter, why: string): NetlinkStep =>
  ({ where, protocol: NETLINK_ROUTE, batch: w.finish(), acks: w.count, patches: w.labels.map(patch), why });

const patch = (label: Label): NetlinkStep['patches'][number] =>
  label.name === NAMESPACE ? { kind: NAMESPACE, offset: label.offset } : { kind: 'ifindex', offset: label.offset, name: label.name };

/** A container without a network still has its own loopback. */
export function loopbackSteps(): NetlinkStep[] {
  const w = new MessageWriter();
  writeLinkUp(w, LOOPBACK, NLM_F_ACK);
  return [step('container', w, 'loopback up')];
}

/** All interfaces of a container that starts: those of the host in one step, those inside in another. */
export function startSteps(attachments: readonly Attachment[]): NetlinkStep[] {
  const host = new MessageWriter(), inside = new MessageWriter();
  writeLinkUp(inside, LOOPBACK, NLM_F_ACK);
  for (const attachment of attachments) addLinks(host, attachment);
  for (const attachment of attachments) addInside(inside, attachment);
  for (const { endpoint } of attachments) addRoutes(inside, endpoint, false);
  return [
    step('host', host, attachments.map(hostWhy).join('; ')),
    step('container', inside, ['loopback up', ...attachments.map(insideWhy)].join(', ')),
  ];
}

/** One more interface for a container that runs, whose name is told to the neighbours. Default routes are the caller's. */
export function connectSteps(attachment: Attachment): NetlinkStep[] {
  const host = new MessageWriter(), inside = new MessageWriter();
  addLinks(host, attachment);
  writeAnnounce(inside, { label: attachment.endpoint.interface }, NLM_F_ACK);
  addInside(inside, attachment);
  return [step('host', host, hostWhy(attachment)), step('container', inside, insideWhy(attachment))];
}

/** The default routes of a container that runs, as its endpoints say now. */
export function routeSteps(endpoints: readonly EndpointRecord[]): NetlinkStep[] {
  const w = new MessageWriter();
  for (const endpoint of endpoints) addRoutes(w, endpoint, true);
  return w.count === 0 ? [] : [step('container', w, 'default routes')];
}

function addLinks(w: MessageWriter, { endpoint, network, mtu, isolated }: Attachment): void {
  const facts = networkFacts(network);
  if (network.driver === 'macvlan') {
    writeCreateMacvlan(w, {
      name: endpoint.interface, parent: { label: network.link }, mac: macBytes(endpoint.mac), mtu, mode: MACVLAN_MODES[facts.macvlanMode], namespaceLabel: NAMESPACE,
    }, NLM_F_ACK);
    return;
  }
  if (network.driver === 'ipvlan') {
    writeCreateIpvlan(w, { name: endpoint.interface, parent: { label: network.link }, mtu, mode: IPVLAN_MODES[facts.ipvlanMode], flags: IPVLAN_FLAGS[facts.ipvlanFlag], namespaceLabel: NAMESPACE }, NLM_F_ACK);
    return;
  }
  writeCreateVeth(w, {
    name: endpoint.hostInterface,
    master: { label: network.link },
    mtu,
    peer: { name: endpoint.interface, mac: macBytes(endpoint.mac), namespaceLabel: NAMESPACE },
  }, NLM_F_ACK);
  // A bridge's port needs no address; each would be routes of the host's, which the kernel walks whenever a link goes.
  writeNoIpv6Address(w, { name: endpoint.hostInterface }, NLM_F_ACK);
  // With bridge netfilter a container that calls its own published port is sent back by the bridge, out of the port it came from
  if (endpoint.ports.length > 0) writeHairpin(w, { name: endpoint.hostInterface }, NLM_F_ACK);
  if (isolated) writeIsolated(w, { name: endpoint.hostInterface }, NLM_F_ACK);
}

function addInside(w: MessageWriter, { endpoint }: Attachment): void {
  const link: LinkTarget = { label: endpoint.interface };
  const linkLocal = (endpoint.linkLocal ?? []).map((text) => ipBytes(tryParseIp(text)!));
  if (endpoint.ipv6 === '' && !linkLocal.some((address) => address.byteLength === 16)) writeNoIpv6Address(w, link, NLM_F_ACK);
  if (endpoint.address !== '') {
    const address = parseIpv4(endpoint.address);
    const subnet = networkOf(address, endpoint.prefixLength);
    writeAddress(w, {
      link, address: ipv4Bytes(address), prefixLength: endpoint.prefixLength, broadcast: ipv4Bytes(subnet.base + networkSize(subnet) - 1),
    }, NLM_F_ACK);
  }
  if (endpoint.ipv6 !== '') writeAddress(w, { link, address: ipBytes(tryParseIp(endpoint.ipv6)!), prefixLength: endpoint.ipv6PrefixLength }, NLM_F_ACK);
  for (const address of linkLocal) writeAddress(w, { link, address, prefixLength: address.byteLength === 4 ? 16 : 64 }, NLM_F_ACK);
  writeLinkUp(w, link, NLM_F_ACK);
}

function addRoutes(w: MessageWriter, endpoint: EndpointRecord, replace: boolean): void {
  for (const [family, wanted, gateway] of [[4, endpoint.defaultIpv4, endpoint.gateway], [6, endpoint.defaultIpv6, endpoint.ipv6Gateway]] as const) {
    if (!wanted) continue;
    if (gateway === '') writeDeviceRoute(w, { label: endpoint.interface, family }, NLM_F_ACK, replace);
    else writeDefaultRoute(w, ipBytes(tryParseIp(gateway)!), NLM_F_ACK, replace);
  }
}

const hostWhy = ({ endpoint, network }: Attachment): string => hasParent(network)
  ? `${network.driver} of ${network.link}: the container's ${endpoint.interface}`
  : `veth ${endpoint.hostInterface} on ${network.link}, its peer is the container's ${endpoint.interface}`;

function insideWhy({ endpoint }: Attachment): string {
  const addresses = [[endpoint.address, endpoint.prefixLength], [endpoint.ipv6, endpoint.ipv6PrefixLength]].filter(([text]) => text !== '').map(([text, length]) => `${text}/${length}`);
  const routes = [endpoint.defaultIpv4 ? endpoint.gateway || endpoint.interface : '', endpoint.defaultIpv6 ? endpoint.ipv6Gateway || endpoint.interface : ''].filter((text) => text !== '');
  return `${endpoint.interface} ${addresses.join(' ')}${routes.length === 0 ? '' : `, default route by ${routes.join(' and ')}`}`;
}
