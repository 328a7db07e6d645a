import { type NetlinkMessage, parseAttributes, viewOf } from './message-parser.ts';
import type { MessageWriter } from './message-writer.ts';
import { AF_INET, AF_INET6, NLM_F_DUMP } from './netlink-constants.ts';
import { IPS_DST_NAT, NFNL_SUBSYS_CTNETLINK } from './nft-constants.ts';

/** ctnetlink. Sources: include/uapi/linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_internals.h. */
const IPCTNL_MSG_CT_GET = 1, IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1, CTA_TUPLE_REPLY = 2, CTA_STATUS = 3, CTA_ID = 12, CTA_FILTER = 25, CTA_STATUS_MASK = 26, CTA_FILTER_ORIG_FLAGS = 1, CTA_FILTER_REPLY_FLAGS = 2;
const CTA_TUPLE_IP = 1, CTA_TUPLE_PROTO = 2, CTA_IP_SRC = { 4: 1, 6: 3 }, CTA_IP_DST = { 4: 2, 6: 4 }, ADDRESS_BYTES = { 4: 4, 6: 16 };
const CTA_PROTO_NUM = 1, CTA_PROTO_SRC_PORT = 2, CTA_PROTO_DST_PORT = 3;
const FILTER_PROTO_NUM = 1 << 3, FILTER_PROTO_DST_PORT = 1 << 5;
const NFGENMSG_BYTES = 4;
const nfgenmsg = (family: 4 | 6): Uint8Array => new Uint8Array([family === 4 ? AF_INET : AF_INET6, 0, 0, 0]);

/** A tracked flow, as its first packet was before any rewriting. */
export interface Flow {
  readonly family: 4 | 6;
  readonly protocol: number;
  /** Network order. */
  readonly destination: Uint8Array;
  readonly destinationPort: number;
  /** Who answers: the destination after it was rewritten. */
  readonly answerer: Uint8Array;
  /** What identifies it to the kernel. */
  readonly tuple: Uint8Array;
  readonly id: Uint8Array | undefined;
}

/** Ask for all flows of a family and protocol (and one original destination port); kernels before 5.8 answer with all flows. */
export function writeDumpFlows(w: MessageWriter, { family, protocol, destinationPort }: { family: 4 | 6; protocol: number; destinationPort?: number }): void {
  w.message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, NLM_F_DUMP, () => {
    w.raw(nfgenmsg(family));
    w.nest(CTA_TUPLE_ORIG, () => {
      w.nest(CTA_TUPLE_PROTO, () => {
        w.u8(CTA_PROTO_NUM, protocol);
        if (destinationPort !== undefined) w.be16(CTA_PROTO_DST_PORT, destinationPort);
      });
    });
    w.nest(CTA_FILTER, () => {
      w.u32(CTA_FILTER_ORIG_FLAGS, FILTER_PROTO_NUM | (destinationPort === undefined ? 0 : FILTER_PROTO_DST_PORT));
      w.u32(CTA_FILTER_REPLY_FLAGS, 0);
    });
  });
}

/** Ask for the flows of both families whose destination was rewritten; kernels before 5.18 answer with all flows. */
export function writeDumpRewritten(w: MessageWriter): void {
  w.message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, NLM_F_DUMP, () => {
    w.raw(new Uint8Array(NFGENMSG_BYTES));
    w.be32(CTA_STATUS, IPS_DST_NAT);
    w.be32(CTA_STATUS_MASK, IPS_DST_NAT);
  });
}

/** Undefined for what is not a flow of IPv4 or IPv6 with ports. */
export function parseFlow(message: NetlinkMessage): Flow | undefined {
  const family = message.payload[0] === AF_INET ? 4 : message.payload[0] === AF_INET6 ? 6 : undefined;
  if (family === undefined) return undefined;
  const attributes = parseAttributes(message.payload, NFGENMSG_BYTES);
  const tuple = attributes.get(CTA_TUPLE_ORIG), reply = attributes.get(CTA_TUPLE_REPLY);
  if (tuple === undefined || reply === undefined) return undefined;
  const parts = parseAttributes(tuple);
  const ip = parts.get(CTA_TUPLE_IP), proto = parts.get(CTA_TUPLE_PROTO), answer = parseAttributes(reply).get(CTA_TUPLE_IP);
  if (ip === undefined || proto === undefined || answer === undefined) return undefined;
  const addresses = parseAttributes(ip), ports = parseAttributes(proto);
  const destination = addresses.get(CTA_IP_DST[family]), protocol = ports.get(CTA_PROTO_NUM), port = ports.get(CTA_PROTO_DST_PORT);
  const answerer = parseAttributes(answer).get(CTA_IP_SRC[family]);
  if (addresses.get(CTA_IP_SRC[family]) === undefined || destination?.byteLength !== ADDRESS_BYTES[family] || answerer?.byteLength !== ADDRESS_BYTES[family]) return undefined;
  if (protocol?.byteLength !== 1 || port?.byteLength !== 2 || ports.get(CTA_PROTO_SRC_PORT)?.byteLength !== 2) return undefined;
  return { family, protocol: protocol[0]!, destination, destinationPort: viewOf(port).getUint16(0, false), answerer, tuple, id: attributes.get(CTA_ID) };
}

export function writeDeleteFlow(w: MessageWriter, flow: Flow): void {
  w.message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, 0, () => {
    w.raw(nfgenmsg(flow.family));
    w.attribute(CTA_TUPLE_ORIG | 0x8000, flow.tuple);
    if (flow.id !== undefined) w.attribute(CTA_ID, flow.id);
  });
}
