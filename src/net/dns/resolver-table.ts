import { NftBatch } from '#sys/netlink/nft-batch.ts';
import {
  NFT_CMP_NEQ, NFT_META_L4PROTO, NFT_PAYLOAD_TRANSPORT_HEADER, NF_ACCEPT, NF_INET_LOCAL_OUT,
} from '#sys/netlink/nft-constants.ts';
import {
  type Expression, compare, compareLabelled, immediate, isIpv4, meta, notrack, outInterface, payload, setPayload, verdict, within,
} from '#sys/netlink/nft-expressions.ts';
import { LOOPBACK_RESOLVER, RESOLVER_PORT } from './resolver-address.ts';

/** The table in a container's network namespace. */
export const RESOLVER_TABLE = 'naru_dns';
const PRIORITY_RAW = -300;
const ADDRESS = Uint8Array.from(LOOPBACK_RESOLVER.split('.'), Number);
const PORT = Uint8Array.of(RESOLVER_PORT >> 8, RESOLVER_PORT & 0xff);
const SOURCE_PORT = 0, DESTINATION_PORT = 2;
const PROTOCOLS = [{ name: 'udp', number: 17, checksum: 6 }, { name: 'tcp', number: 6, checksum: 16 }] as const;

/**
 * 127.0.0.11:53 inside a container is two sockets with ports of the kernel's choice, so that the container may bind port 53
 * of all its addresses itself. The rules rewrite the ports of the packets that pass, there and back. They keep no state: a lookup makes no
 * conntrack entry, and a busy client cannot fill that table. Labels `udp` and `tcp`: where the ports go (u16, network order).
 */
export function resolverTable(options: { replace?: boolean } = {}): NftBatch {
  const batch = new NftBatch(RESOLVER_TABLE);
  if (options.replace === true) {
    batch.addTable(0, { mayExist: true }); // one that is not there cannot be deleted
    batch.deleteTable();
  }
  batch.addTable(0);
  batch.addBaseChain({ name: 'output', type: 'filter', hook: NF_INET_LOCAL_OUT, priority: PRIORITY_RAW });
  batch.addRule('output', 'only loopback', [outInterface('lo', NFT_CMP_NEQ), verdict(NF_ACCEPT)]);
  for (const { name, number, checksum } of PROTOCOLS) {
    const is: Expression[] = [meta(NFT_META_L4PROTO), compare(Uint8Array.of(number))];
    const port = (offset: number): Expression => payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2);
    const set = (offset: number): Expression => setPayload(NFT_PAYLOAD_TRANSPORT_HEADER, { offset, length: 2, checksum });
    batch.addRule('output', `${name} to the resolver`, [
      isIpv4(), within('destination', ADDRESS, 32), ...is, port(DESTINATION_PORT), compare(PORT), notrack, immediate(new Uint8Array(2), undefined, name), set(DESTINATION_PORT),
    ]);
    batch.addRule('output', `${name} from the resolver`, [
      isIpv4(), within('source', ADDRESS, 32), ...is, port(SOURCE_PORT), compareLabelled(name, 2), notrack, immediate(PORT), set(SOURCE_PORT),
    ]);
  }
  return batch.end();
}

/** The table's bytes with the ports filled in. */
export function resolverTableBytes(batch: NftBatch, ports: { udp: number; tcp: number }): Uint8Array {
  const bytes = batch.writer.finish();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (const { name, offset } of batch.writer.labels) view.setUint16(offset, name === 'udp' ? ports.udp : ports.tcp, false);
  return bytes;
}

