import type { NetlinkStep } from '#spec/network-steps.ts';
import { NETLINK_ROUTE } from '#sys/numbers.ts';
import { type Label, MessageWriter } from '#sys/netlink/message-writer.ts';
import { NLM_F_ACK } from '#sys/netlink/netlink-constants.ts';
import {
  type LinkTarget, writeAddress, writeCreateVeth, writeDefaultRoute, writeHairpin, writeLinkUp, writeNoIpv6Address,
} from '#sys/netlink/route-messages.ts';
import { formatIpv4, ipv4Bytes, macBytes, networkOf, networkSize, parseIpv4 } from './ipv4.ts';
import type { EndpointRecord } from './port.ts';

const LOOPBACK: LinkTarget = { index: 1 };
const NAMESPACE = 'child-netns-fd';

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

/** The veth pair: the host's end on the bridge, eth0 in the container with its address and the default route. */
export function bridgeSteps(record: EndpointRecord, bridge: { name: string; mtu: number }): NetlinkStep[] {
  const host = new MessageWriter();
  writeCreateVeth(host, {
    name: record.hostInterface,
    master: { label: bridge.name },
    mtu: bridge.mtu,
    peer: { name: 'eth0', mac: macBytes(record.mac), namespaceLabel: NAMESPACE },
  }, NLM_F_ACK);
  // With bridge netfilter a container that calls its own published port is sent back by the bridge, out of the port it came from
  if (record.ports.length > 0) writeHairpin(host, { name: record.hostInterface }, NLM_F_ACK);

  const inside = new MessageWriter();
  const eth0: LinkTarget = { label: 'eth0' };
  const address = parseIpv4(record.address);
  const network = networkOf(address, record.prefixLength);
  writeLinkUp(inside, LOOPBACK, NLM_F_ACK);
  writeNoIpv6Address(inside, eth0, NLM_F_ACK);
  writeAddress(inside, {
    link: eth0,
    address: ipv4Bytes(address),
    prefixLength: record.prefixLength,
    broadcast: ipv4Bytes(network.base + networkSize(network) - 1),
  }, NLM_F_ACK);
  writeLinkUp(inside, eth0, NLM_F_ACK);
  writeDefaultRoute(inside, ipv4Bytes(parseIpv4(record.gateway)), NLM_F_ACK);
  return [
    step('host', host, `veth ${record.hostInterface} on ${bridge.name}, its peer is the container's eth0`),
    step('container', inside, `loopback up, eth0 ${formatIpv4(address)}/${record.prefixLength}, default route by ${record.gateway}`),
  ];
}
