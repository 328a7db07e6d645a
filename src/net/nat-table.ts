import {
  CT_STATE_ESTABLISHED, CT_STATE_NEW, CT_STATE_RELATED, IPS_DST_NAT, NFT_GOTO, NFT_JUMP, NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_META_OIFNAME,
  NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER, NFT_REG32, NF_ACCEPT, NF_DROP, NF_INET_FORWARD, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING, NF_NAT_RANGE_PROTO_OFFSET, NFT_CMP_NEQ,
} from '#sys/netlink/nft-constants.ts';
import type { NftBatch } from '#sys/netlink/nft-batch.ts';
import {
  type Expression, compare, conntrackState, conntrackStatus, destinationNat, destinationType, isIn, isIpv4, isIpv6, lookup,
  hostU32, immediate, inInterface, masquerade, meta, payload, setMark, sourceNat, verdict, within,
} from '#sys/netlink/nft-expressions.ts';
import { RTN_LOCAL } from '#sys/netlink/route-constants.ts';
import { ipv4Bytes } from './ipv4.ts';
import { SETS, type SetName } from './nft-elements.ts';
import { PORT_MAPS } from './published-ports.ts';

export const PRIORITY_RAW = -300, PRIORITY_DSTNAT = -100;
const PRIORITY_FILTER = 0, PRIORITY_SRCNAT = 100;
/** Behind everybody else's rules. */
export const PRIORITY_LAST = 0x7fff_fff0;
/** Of packets that the host's input rules let through; they end right behind. */
export const GATE_MARK = 0x6e617275;
const IPPROTO_ICMP = 1, IPPROTO_ICMPV6 = 58;
const LOOPBACK = ipv4Bytes(0x7f000000);
export const LOOPBACK6 = new Uint8Array(16).fill(1, 15);
/** Registers of four bytes. An interface's name takes four of them, an IPv6 address too. */
const R = (n: number): number => NFT_REG32 + n;
const ADDRESS = { 4: { source: 12, destination: 16, bytes: 4 }, 6: { source: 8, destination: 24, bytes: 16 } } as const;

const protocolTo = (register: number): Expression => meta(NFT_META_L4PROTO, register);
const addressTo = (family: 4 | 6, side: 'source' | 'destination', register: number): Expression =>
  payload(NFT_PAYLOAD_NETWORK_HEADER, ADDRESS[family][side], ADDRESS[family].bytes, register);
const portTo = (register: number): Expression => payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, register);
const fromIn = (set: SetName): Expression[] => [meta(NFT_META_IIFNAME), isIn(set)];
const toIn = (set: SetName): Expression[] => [meta(NFT_META_OIFNAME), isIn(set)];
const pairIn = (set: SetName): Expression[] => [meta(NFT_META_IIFNAME), meta(NFT_META_OIFNAME, R(4)), isIn(set)];
const protocolIs = (number: number): Expression[] => [protocolTo(R(0)), compare(new Uint8Array([number]))];
const loopback6 = (side: 'source' | 'destination'): Expression[] => [isIpv6(), addressTo(6, side, R(0)), compare(LOOPBACK6)];
const ACCEPT = verdict(NF_ACCEPT), DROP = verdict(NF_DROP);

/** `gate`: where packets that were judged come in again. `standIn6`: the address under which ::1 is known to containers; without one the
 *  host does not reach published ports at ::1 (packet-loop.ts). */
export interface LoopRules { readonly gate?: string; readonly standIn6?: Uint8Array }

type AddRule = (comment: string, ...expressions: (Expression | Expression[])[]) => void;

/**
 * The rules of naru's own table, in the kernel's order of hooks. Everything that depends on networks and containers is in sets and
 * maps (nft-elements.ts); the rules never change while the daemon runs.
 */
export function addNatTable(batch: NftBatch, flags: number, { gate, standIn6 }: LoopRules = {}): void {
  batch.addTable(flags);
  for (const set of SETS) batch.addMap(set);
  for (const family of [4, 6] as const) for (const map of Object.values(PORT_MAPS[family])) batch.addMap(map);
  const rules = (name: string): AddRule => (comment, ...expressions) => batch.addRule(name, comment, expressions.flat());
  const chain = (name: string): AddRule => {
    batch.addChain(name);
    return rules(name);
  };
  const base = (name: string, type: 'filter' | 'nat', at: { hook: number; priority: number }): AddRule => {
    batch.addBaseChain({ name, type, ...at });
    return rules(name);
  };

  const raw = base('raw', 'filter', { hook: NF_INET_PRE_ROUTING, priority: PRIORITY_RAW });
  // What is not about the loopback, all but nothing, costs no look into a set: every packet passes here, also those between containers (br_netfilter)
  for (const side of ['source', 'destination'] as const) raw('nobody but the host is ::1', loopback6(side), fromIn('bridges'), DROP);
  // The bridges have route_localnet, for replies to 127.0.0.1. That must not open the host's loopback to the containers.
  raw('no container reaches the host at 127.0.0.0/8', isIpv4(), within('destination', LOOPBACK, 8), fromIn('bridges'), DROP);
  raw('nor speaks in its name', isIpv4(), within('source', LOOPBACK, 8), fromIn('bridges'), DROP);

  addPublishedRules(chain('published'), 4);
  addPublishedRules(chain('published6'), 6);

  const prerouting = base('prerouting', 'nat', { hook: NF_INET_PRE_ROUTING, priority: PRIORITY_DSTNAT });
  // A neighbour on the wire can send to 127.0.0.1: the kernel drops it as a martian, unless we rewrote the address before
  prerouting('loopback comes from outside only by forgery', isIpv4(), within('destination', LOOPBACK, 8), ACCEPT);
  prerouting('loopback comes from outside only by forgery', loopback6('destination'), ACCEPT);
  if (gate !== undefined) {
    for (const [family, is, set] of [[4, isIpv4, 'judged'], [6, isIpv6, 'judged6']] as const) {
      prerouting('the host\'s input rules judge first', is(), inInterface(gate, NFT_CMP_NEQ), destinationType(RTN_LOCAL), judgedTuple(family), isIn(set), ACCEPT);
    }
  }
  prerouting('published ports', isIpv4(), destinationType(RTN_LOCAL), verdict(NFT_JUMP, 'published'));
  prerouting('published ports', isIpv6(), destinationType(RTN_LOCAL), verdict(NFT_JUMP, 'published6'));

  const output = base('output', 'nat', { hook: NF_INET_LOCAL_OUT, priority: PRIORITY_DSTNAT });
  output('published ports, from the host itself', isIpv4(), destinationType(RTN_LOCAL), verdict(NFT_JUMP, 'published'));
  // Without a way back for the answers it is refused at once, so that clients go on to 127.0.0.1
  if (standIn6 === undefined) output('::1 is the host\'s alone', loopback6('destination'), ACCEPT);
  output('published ports, from the host itself', isIpv6(), destinationType(RTN_LOCAL), verdict(NFT_JUMP, 'published6'));

  if (gate !== undefined) {
    const input = base('input', 'filter', { hook: NF_INET_LOCAL_IN, priority: PRIORITY_LAST - 1 });
    for (const [family, is, set] of [[4, isIpv4, 'judged'], [6, isIpv6, 'judged6']] as const) {
      input('let through to a published port: sent round once more (packet-loop.ts)', is(), conntrackState(CT_STATE_NEW), judgedTuple(family), isIn(set), immediate(hostU32(GATE_MARK)), setMark());
    }
  }

  const into = chain('into');
  into('any port of an open network', isIpv4(), toIn('open'), ACCEPT);
  into('any port of an open network', isIpv6(), toIn('open6'), ACCEPT);
  into('published without rewriting', isIpv4(), protocolTo(R(0)), addressTo(4, 'destination', R(1)), portTo(R(2)), isIn('routed'), ACCEPT);
  into('published without rewriting', isIpv6(), protocolTo(R(0)), addressTo(6, 'destination', R(1)), portTo(R(5)), isIn('routed6'), ACCEPT);
  into('pings into routed networks', isIpv4(), protocolIs(IPPROTO_ICMP), toIn('pings'), ACCEPT);
  into('pings into routed networks', isIpv6(), protocolIs(IPPROTO_ICMPV6), toIn('pings6'), ACCEPT);
  into('everything else from outside', DROP);

  const forward = base('forward', 'filter', { hook: NF_INET_FORWARD, priority: PRIORITY_FILTER });
  forward('answers', conntrackState(CT_STATE_ESTABLISHED | CT_STATE_RELATED), ACCEPT);
  forward('between containers of a network', pairIn('icc'), ACCEPT);
  forward('no way out of an internal network', fromIn('internal'), DROP);
  forward('none into it either', toIn('internal'), DROP);
  forward('to published ports, by way of the host\'s address', conntrackStatus(IPS_DST_NAT), ACCEPT);
  forward('to containers', toIn('bridges'), verdict(NFT_GOTO, 'into'));

  const home = chain('to_containers');
  // By address: what the bridge itself turns around (with bridge netfilter) comes from no interface
  home('hairpin: a container to a published port of its own network', isIpv4(), conntrackStatus(IPS_DST_NAT), meta(NFT_META_OIFNAME), addressTo(4, 'source', R(4)), isIn('near'), masquerade);
  home('hairpin: a container to a published port of its own network', isIpv6(), conntrackStatus(IPS_DST_NAT), meta(NFT_META_OIFNAME), addressTo(6, 'source', R(4)), isIn('near6'), masquerade);
  home('a neighbour whom the container would answer on another network', isIpv4(), meta(NFT_META_IIFNAME), addressTo(4, 'destination', R(4)), isIn('homes'), masquerade);
  home('a neighbour whom the container would answer on another network', isIpv6(), meta(NFT_META_IIFNAME), addressTo(6, 'destination', R(4)), isIn('homes6'), masquerade);
  home('the host\'s 127.0.0.1 to a published port', isIpv4(), within('source', LOOPBACK, 8), masquerade);
  if (standIn6 !== undefined) home('the host\'s ::1 to a published port (packet-loop.ts)', loopback6('source'), immediate(standIn6), sourceNat(6, R(0)));

  const postrouting = base('postrouting', 'nat', { hook: NF_INET_POST_ROUTING, priority: PRIORITY_SRCNAT });
  postrouting('to containers', toIn('bridges'), verdict(NFT_GOTO, 'to_containers'));
  postrouting('containers to the world', isIpv4(), fromIn('masq'), masquerade);
  postrouting('containers to the world', isIpv6(), fromIn('masq6'), masquerade);
}

const judgedTuple = (family: 4 | 6): Expression[] => [protocolTo(R(0)), addressTo(family, 'destination', R(1)), portTo(R(1 + ADDRESS[family].bytes / 4))];

/** A miss in a map ends the rule, not the chain. */
function addPublishedRules(rule: AddRule, family: 4 | 6): void {
  const words = ADDRESS[family].bytes / 4;
  const at = [protocolTo(R(0)), addressTo(family, 'destination', R(1)), portTo(R(1 + words))];
  const to = { address: R(0), port: R(words) };
  const { ports, ports_at: portsAt, ranges, shifted } = PORT_MAPS[family];
  rule('one port, on every address', protocolTo(R(0)), portTo(R(1)), lookup(ports.name, R(0), R(0)), destinationNat(family, to));
  rule('one port, on one address', at, lookup(portsAt.name, R(0), R(0)), destinationNat(family, to));
  rule('a range, same numbers', at, lookup(ranges.name, R(0), R(0)), destinationNat(family, { address: R(0) }));
  rule('a range, other numbers (see shiftWindow)',
    at, lookup(shifted.name, R(0), R(0)), destinationNat(family, { ...to, portEnd: R(words + 1), flags: NF_NAT_RANGE_PROTO_OFFSET }));
}

