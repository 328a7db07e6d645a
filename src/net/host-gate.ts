import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NftBatch } from '#sys/netlink/nft-batch.ts';
import { NFPROTO_IPV4, NFPROTO_IPV6, NFT_META_MARK, NFT_REG32, NF_DROP, NF_INET_LOCAL_IN } from '#sys/netlink/nft-constants.ts';
import { compare, duplicate, hostU32, immediate, meta, verdict } from '#sys/netlink/nft-expressions.ts';
import { writeAddress, writeCreateLoop, writeLinkUp, writeNoArp } from '#sys/netlink/route-messages.ts';
import { deleteLink } from './bridge.ts';
import { findLink } from './host-network.ts';
import { ipBytes, tryParseIp } from './ip.ts';
import { GATE_MARK, PRIORITY_LAST } from './nat-table.ts';
import { tableExists } from './nat-state.ts';

/** Of the gate, on no other link. */
const NEIGHBOUR = '169.254.110.97';

/**
 * How published ports obey the host's input rules. The first packet of a connection to such a port is not rewritten: it goes to the
 * host itself, through everybody's input chains. If it comes out behind the last of them, it is sent into one end of a veth pair
 * and comes in by the other, `gate`: from there it is rewritten as ever. All that follows belongs to a tracked connection.
 *
 *     wire ─▶ prerouting (not rewritten) ─▶ input: ufw, firewalld, … ─▶ marked ─▶ copied to the pair ─▶ prerouting (rewritten) ─▶ container
 */
export class HostGate {
  readonly #route: NetlinkSocket;
  readonly #netfilter: NetlinkSocket;
  readonly #table: string;
  readonly #out: string;
  /** Where what was let through comes in. */
  readonly gate: string;

  constructor(sockets: { route: NetlinkSocket; netfilter: NetlinkSocket }, table: string) {
    this.#route = sockets.route;
    this.#netfilter = sockets.netfilter;
    this.#table = table;
    const tag = createHash('sha256').update(table).digest('hex').slice(0, 8);
    [this.#out, this.gate] = [`ng${tag}o`, `ng${tag}i`];
  }

  /** Make what is missing of the pair, and the tables of the chains that copy (flags: NFT_TABLE_F_*). */
  ensure(flags: number): void {
    if (findLink(this.#route, this.#out) === undefined) {
      const w = new MessageWriter();
      writeCreateLoop(w, { name: this.#out, peer: this.gate, mac: Uint8Array.of(0x02, 0x6e, 0x61, 0x72, 0x75, 0x01) });
      writeNoArp(w, this.#out);
      for (const name of [this.#out, this.gate]) writeLinkUp(w, { name });
      this.#route.request(w, () => `make the veth pair ${this.#out} and ${this.gate}`);
    }
    // The sources of what comes in are the clients, to whom no route leads this way: the loose rule lets them in, where there is an address
    for (const [name, value] of [['rp_filter', '2'], ['forwarding', '1']] as const) writeFileSync(`/proc/sys/net/ipv4/conf/${this.gate}/${name}`, value);
    if (existsSync(`/proc/sys/net/ipv6/conf/${this.gate}`)) writeFileSync(`/proc/sys/net/ipv6/conf/${this.gate}/accept_ra`, '0');
    const w = new MessageWriter();
    writeAddress(w, { link: { index: findLink(this.#route, this.gate)!.index }, address: ipBytes(tryParseIp(NEIGHBOUR)!), prefixLength: 32 });
    this.#route.request(w, () => `give ${this.gate} the address ${NEIGHBOUR}`);
    const { index } = findLink(this.#route, this.#out)!;
    this.#chain(NFPROTO_IPV4, NEIGHBOUR, { index, flags });
    this.#chain(NFPROTO_IPV6, 'fe80::6e61:7275', { index, flags });
  }

  /** Nothing happens to what is not there. */
  remove(): void {
    for (const family of [NFPROTO_IPV4, NFPROTO_IPV6]) {
      if (!tableExists(this.#netfilter, this.#table, family)) continue;
      const batch = new NftBatch(this.#table, family);
      batch.deleteTable();
      this.#netfilter.request(batch.end().writer, batch.describe);
    }
    deleteLink(this.#route, this.#out);
  }

  #chain(family: number, neighbour: string, { index, flags }: { index: number; flags: number }): void {
    const batch = new NftBatch(this.#table, family);
    if (tableExists(this.#netfilter, this.#table, family)) batch.deleteTable();
    batch.addTable(flags);
    batch.addBaseChain({ name: 'input', type: 'filter', hook: NF_INET_LOCAL_IN, priority: PRIORITY_LAST });
    const address = ipBytes(tryParseIp(neighbour)!);
    batch.addRule('input', 'let through by every input rule: sent round once more, to be rewritten', [
      meta(NFT_META_MARK), compare(hostU32(GATE_MARK)), immediate(address, NFT_REG32), immediate(hostU32(index), NFT_REG32 + address.byteLength / 4),
      duplicate({ address: NFT_REG32, device: NFT_REG32 + address.byteLength / 4 }), verdict(NF_DROP),
    ]);
    try {
      this.#netfilter.request(batch.end().writer, batch.describe);
    } catch (error) {
      if (family === NFPROTO_IPV6 && error instanceof NaruError) return; // a kernel without IPv6
      throw error;
    }
  }
}
