import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NftBatch } from '#sys/netlink/nft-batch.ts';
import {
  NFPROTO_IPV4, NFPROTO_IPV6, NFT_CMP_NEQ, NFT_META_MARK, NFT_PAYLOAD_NETWORK_HEADER, NFT_REG32, NF_DROP, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING,
} from '#sys/netlink/nft-constants.ts';
import { type Expression, compare, duplicate, hostU32, immediate, inInterface, meta, payload, verdict } from '#sys/netlink/nft-expressions.ts';
import { writeAddress, writeCreateLoop, writeLinkUp, writeNoAddress, writeNoArp, writeRoute6 } from '#sys/netlink/route-messages.ts';
import { deleteLink } from './bridge.ts';
import { findLink } from './host-network.ts';
import { formatIp, ipBytes, ipFromBytes, tryParseIp } from './ip.ts';
import { GATE_MARK, LOOPBACK6, PRIORITY_DSTNAT, PRIORITY_LAST, PRIORITY_RAW } from './nat-table.ts';
import { tableExists } from './nat-state.ts';
import type { WrittenTable } from './rule-watch.ts';

/** Of the pair, on no other link. */
const NEIGHBOUR = '169.254.110.97', NEIGHBOUR6 = 'fe80::6e61:7275';
const EEXIST = 17, EADDRNOTAVAIL = 99;
/** Behind the one that leads to `lo`. */
const METRIC = 4096;

/** What the pair is for; without any use there is none. */
export interface LoopUses {
  /** Published ports obey the host's input rules. */
  readonly judge: boolean;
  /** The host reaches published ports at ::1. */
  readonly loopback6: boolean;
}

/**
 * A veth pair of the host with both ends in its namespace: what is sent into one end comes in once more by the other, `gate`, and
 * connection tracking sees it anew. Chains of ours copy packets into it (nftables' `dup`, in the families ip and ip6 alone).
 *
 * `judge`: the first packet of a connection to a published port is not rewritten: it goes to the host itself, through everybody's
 * input chains. If it comes out behind the last of them, it comes in once more: from the gate it is rewritten as ever. All that
 * follows belongs to a tracked connection.
 *
 *     wire ─▶ prerouting (not rewritten) ─▶ input: ufw, firewalld, … ─▶ marked ─▶ copied to the pair ─▶ prerouting (rewritten) ─▶ container
 *
 * `loopback6`: IPv6 has no route_localnet. A packet from ::1 is rewritten and leaves under a stand-in's address, but its answer, once it
 * has the destination ::1 again, must not be on any link but `lo`: bridge netfilter has it rewritten before it is looked at (dropped:
 * a martian), and without that the kernel takes a route to ::1 only on the interface that the packet came in by. So the answer is
 * copied to the pair as it is, before it is tracked, and rewritten where it comes in, by the gate, which has a route to ::1.
 *
 * (A host with a strict reverse path filter for IPv6, as firewalld can be told to make, drops it there.)
 *
 *     container ─▶ raw prerouting (to the stand-in: not tracked yet) ─▶ copied to the pair ─▶ prerouting (rewritten to ::1) ─▶ socket
 */
export class PacketLoop {
  readonly #route: NetlinkSocket;
  readonly #netfilter: NetlinkSocket;
  readonly #table: string;
  /** By family. */
  readonly #written = new Map<number, WrittenTable>();
  /** Where chains send to; deleting it deletes the pair. */
  readonly out: string;
  readonly gate: string;
  /** Of this daemon among those of the host; nobody has the address, and no packet leaves the host with it. */
  readonly standIn6: Uint8Array;

  constructor(sockets: { route: NetlinkSocket; netfilter: NetlinkSocket }, table: string) {
    this.#route = sockets.route;
    this.#netfilter = sockets.netfilter;
    this.#table = table;
    const tag = createHash('sha256').update(table).digest('hex').slice(0, 8);
    [this.out, this.gate] = [`ng${tag}o`, `ng${tag}i`];
    this.standIn6 = ipBytes(tryParseIp(`fd6e:6172:75::${tag.slice(0, 4)}:${tag.slice(4)}`)!);
  }

  /** As they were made last. */
  get written(): WrittenTable[] {
    return [...this.#written.values()];
  }

  /** Make what is missing of the pair, and the tables of the chains that copy (flags: NFT_TABLE_F_*), for these uses. */
  ensure(flags: number, uses: LoopUses): void {
    if (findLink(this.#route, this.out) === undefined) {
      const w = new MessageWriter();
      writeCreateLoop(w, { name: this.out, peer: this.gate, mac: Uint8Array.of(0x02, 0x6e, 0x61, 0x72, 0x75, 0x01), mtu: 65535 });
      writeNoArp(w, this.out);
      for (const name of [this.out, this.gate]) writeLinkUp(w, { name });
      this.#route.request(w, () => `make the veth pair ${this.out} and ${this.gate}`);
    }
    const gate = { index: findLink(this.#route, this.gate)!.index }, index = findLink(this.#route, this.out)!.index;
    if (existsSync(`/proc/sys/net/ipv6/conf/${this.gate}`)) writeFileSync(`/proc/sys/net/ipv6/conf/${this.gate}/accept_ra`, '0');
    const w = new MessageWriter();
    const neighbour = { link: gate, address: ipBytes(tryParseIp(NEIGHBOUR)!), prefixLength: 32 };
    if (uses.judge) {
      // The sources of what comes in are the clients, to whom no route leads this way: the loose rule lets them in, where there is an address
      for (const [name, value] of [['rp_filter', '2'], ['forwarding', '1']] as const) writeFileSync(`/proc/sys/net/ipv4/conf/${this.gate}/${name}`, value);
      writeAddress(w, neighbour);
      this.#route.request(w, () => `let ${this.gate} take packets to this host`);
    } else {
      writeNoAddress(w, neighbour);
      this.#attempt(w, `let ${this.gate} take none`, EADDRNOTAVAIL);
    }
    if (uses.loopback6) this.#route6({ link: gate, address: LOOPBACK6, metric: METRIC, type: 'local' });
    // The kernel makes one of its own, a second or two after the link is up
    if (existsSync('/proc/sys/net/ipv6')) this.#route6({ link: { index }, address: ipBytes(tryParseIp(NEIGHBOUR6)!), metric: METRIC, type: 'unicast' });
    this.#chains(NFPROTO_IPV4, { index, flags, judge: uses.judge, loopback6: false });
    this.#chains(NFPROTO_IPV6, { index, flags, ...uses });
  }

  /** Nothing happens to what is not there. */
  remove(): void {
    this.removeTables();
    deleteLink(this.#route, this.out);
  }

  removeTables(): void {
    this.#written.clear();
    for (const family of [NFPROTO_IPV4, NFPROTO_IPV6]) {
      if (!tableExists(this.#netfilter, this.#table, family)) continue;
      const batch = new NftBatch(this.#table, family);
      batch.deleteTable();
      this.#netfilter.request(batch.end().writer, batch.describe);
    }
  }

  #route6(route: Parameters<typeof writeRoute6>[1]): void {
    const w = new MessageWriter();
    writeRoute6(w, route);
    this.#attempt(w, `route to ${formatIp(ipFromBytes(route.address))} by ${this.gate}`, EEXIST);
  }

  /** `fine`: the errno that says that all is as it is wanted. */
  #attempt(w: MessageWriter, what: string, fine: number): void {
    try {
      this.#route.request(w, () => what);
    } catch (error) {
      if (!(error instanceof NaruError) || error.errno !== fine) throw error;
    }
  }

  #chains(family: number, { index, flags, judge, loopback6 }: LoopUses & { index: number; flags: number }): void {
    const batch = new NftBatch(this.#table, family);
    if (tableExists(this.#netfilter, this.#table, family)) batch.deleteTable();
    if (judge || loopback6) batch.addTable(flags);
    const neighbour = ipBytes(tryParseIp(family === NFPROTO_IPV4 ? NEIGHBOUR : NEIGHBOUR6)!);
    const device = NFT_REG32 + neighbour.byteLength / 4;
    const onceMore = [immediate(neighbour, NFT_REG32), immediate(hostU32(index), device), duplicate({ address: NFT_REG32, device }), verdict(NF_DROP)];
    const toStandIn: Expression[] = [payload(NFT_PAYLOAD_NETWORK_HEADER, 24, 16), compare(this.standIn6)];
    if (judge) {
      batch.addBaseChain({ name: 'input', type: 'filter', hook: NF_INET_LOCAL_IN, priority: PRIORITY_LAST });
      batch.addRule('input', 'let through by every input rule: sent round once more, to be rewritten', [meta(NFT_META_MARK), compare(hostU32(GATE_MARK)), ...onceMore]);
    }
    if (loopback6) {
      batch.addBaseChain({ name: 'answers', type: 'filter', hook: NF_INET_PRE_ROUTING, priority: PRIORITY_RAW - 1 });
      batch.addRule('answers', 'to ::1 by its stand-in: sent round once more, to be rewritten', [inInterface(this.gate, NFT_CMP_NEQ), ...toStandIn, ...onceMore]);
      batch.addBaseChain({ name: 'strays', type: 'filter', hook: NF_INET_PRE_ROUTING, priority: PRIORITY_DSTNAT + 1 });
      batch.addRule('strays', 'what was no answer of anybody whom ::1 asked', [...toStandIn, verdict(NF_DROP)]);
    }
    this.#written.delete(family);
    if (batch.empty) return;
    try {
      this.#netfilter.request(batch.end().writer, batch.describe);
      if (batch.rules > 0) this.#written.set(family, { family, table: this.#table, rules: batch.rules });
    } catch (error) {
      if (family === NFPROTO_IPV6 && !loopback6 && error instanceof NaruError) return; // a kernel without IPv6
      throw error;
    }
  }
}
