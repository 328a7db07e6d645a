import {
  CT_STATE_ESTABLISHED, CT_STATE_RELATED, IPS_DST_NAT, NFT_CMP_NEQ, NFT_JUMP, NFT_META_L4PROTO, NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER, NFT_REG32, NF_ACCEPT, NF_DROP, NF_INET_FORWARD, NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING, NF_NAT_RANGE_PROTO_OFFSET,
} from '#sys/netlink/nft-constants.ts';
import type { NftBatch } from '#sys/netlink/nft-batch.ts';
import {
  type Expression, conntrackState, conntrackStatus, destinationNat, destinationType, inInterface, isIpv4, lookup, masquerade, meta,
  outInterface, payload, verdict, within,
} from '#sys/netlink/nft-expressions.ts';
import { RTN_LOCAL } from '#sys/netlink/route-constants.ts';
import { type Ipv4Network, ipv4Bytes } from './ipv4.ts';
import { PORT_MAPS } from './published-ports.ts';

const PRIORITY_RAW = -300, PRIORITY_DSTNAT = -100, PRIORITY_FILTER = 0, PRIORITY_SRCNAT = 100;
const LOOPBACK = ipv4Bytes(0x7f000000);
const R0 = NFT_REG32, R1 = NFT_REG32 + 1, R2 = NFT_REG32 + 2;

const protocolTo = (register: number): Expression => meta(NFT_META_L4PROTO, register);
const destinationTo = (register: number): Expression => payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4, register);
const portTo = (register: number): Expression => payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register);
const ACCEPT = verdict(NF_ACCEPT), DROP = verdict(NF_DROP);

type AddRule = (comment: string, ...expressions: Expression[]) => void;

/**
 * The rules of naru's own table, in the kernel's order of hooks. Everything that depends on containers is in the maps; the rules
 * never change while the daemon runs.
 */
export function addNatTable(batch: NftBatch, options: { bridge: string; subnet: Ipv4Network; flags: number }): void {
  const { bridge, subnet } = options;
  batch.addTable(options.flags);
  for (const map of Object.values(PORT_MAPS)) batch.addMap(map);

  const network = ipv4Bytes(subnet.base);
  const chain = (name: string, type: 'filter' | 'nat', at: { hook: number; priority: number }): AddRule => {
    batch.addBaseChain({ name, type, ...at });
    return (comment, ...expressions) => batch.addRule(name, comment, expressions);
  };

  const raw = chain('raw', 'filter', { hook: NF_INET_PRE_ROUTING, priority: PRIORITY_RAW });
  raw('only what containers send', inInterface(bridge, NFT_CMP_NEQ), ACCEPT);
  raw('the rest is about IPv4', isIpv4(NFT_CMP_NEQ), ACCEPT);
  // The bridge has route_localnet, for replies to 127.0.0.1. That must not open the host's loopback to the containers.
  raw('no container reaches the host at 127.0.0.0/8', within('destination', LOOPBACK, 8), DROP);
  raw('nor speaks in its name', within('source', LOOPBACK, 8), DROP);

  batch.addChain('published');
  addPublishedRules(batch);

  const prerouting = chain('prerouting', 'nat', { hook: NF_INET_PRE_ROUTING, priority: PRIORITY_DSTNAT });
  prerouting('the rest is about IPv4', isIpv4(NFT_CMP_NEQ), ACCEPT);
  // A neighbour on the wire can send to 127.0.0.1: the kernel drops it as a martian, unless we rewrote the address before
  prerouting('loopback comes from outside only by forgery', within('destination', LOOPBACK, 8), ACCEPT);
  prerouting('published ports', destinationType(RTN_LOCAL), verdict(NFT_JUMP, 'published'));

  const output = chain('output', 'nat', { hook: NF_INET_LOCAL_OUT, priority: PRIORITY_DSTNAT });
  output('the rest is about IPv4', isIpv4(NFT_CMP_NEQ), ACCEPT);
  output('published ports, from the host itself', destinationType(RTN_LOCAL), verdict(NFT_JUMP, 'published'));

  const forward = chain('forward', 'filter', { hook: NF_INET_FORWARD, priority: PRIORITY_FILTER });
  forward('not to a container of ours', outInterface(bridge, NFT_CMP_NEQ), ACCEPT);
  forward('answers', conntrackState(CT_STATE_ESTABLISHED | CT_STATE_RELATED), ACCEPT);
  forward('between containers', inInterface(bridge), ACCEPT);
  forward('to published ports, by way of the host\'s address', conntrackStatus(IPS_DST_NAT), ACCEPT);
  forward('everything else from outside', DROP);

  const postrouting = chain('postrouting', 'nat', { hook: NF_INET_POST_ROUTING, priority: PRIORITY_SRCNAT });
  postrouting('the rest is about IPv4', isIpv4(NFT_CMP_NEQ), ACCEPT);
  postrouting('containers to the world', within('source', network, subnet.prefixLength), outInterface(bridge, NFT_CMP_NEQ), masquerade);
  postrouting('not to a container of ours', outInterface(bridge, NFT_CMP_NEQ), ACCEPT);
  postrouting('hairpin: a container to a published port of its own network',
    within('source', network, subnet.prefixLength), conntrackStatus(IPS_DST_NAT), masquerade);
  postrouting('the host\'s 127.0.0.1 to a published port', within('source', LOOPBACK, 8), masquerade);
}

/** A miss in a map ends the rule, not the chain. */
function addPublishedRules(batch: NftBatch): void {
  const at = [protocolTo(R0), destinationTo(R1), portTo(R2)];
  batch.addRule('published', 'one port, on every address', [protocolTo(R0), portTo(R1), lookup('ports', R0, R0), destinationNat({ address: R0, port: R1 })]);
  batch.addRule('published', 'one port, on one address', [...at, lookup('ports_at', R0, R0), destinationNat({ address: R0, port: R1 })]);
  batch.addRule('published', 'a range, same numbers', [...at, lookup('ranges', R0, R0), destinationNat({ address: R0 })]);
  batch.addRule('published', 'a range, other numbers (see shiftWindow)',
    [...at, lookup('shifted', R0, R0), destinationNat({ address: R0, port: R1, portEnd: R2, flags: NF_NAT_RANGE_PROTO_OFFSET })]);
}
