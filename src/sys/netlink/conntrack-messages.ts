import { type NetlinkMessage, parseAttributes, viewOf } from './message-parser.ts';
import type { MessageWriter } from './message-writer.ts';
import { AF_INET, NLM_F_DUMP } from './netlink-constants.ts';
import { NFNL_SUBSYS_CTNETLINK } from './nft-constants.ts';

/** ctnetlink. Sources: include/uapi/linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_internals.h. */
const IPCTNL_MSG_CT_GET = 1, IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1, CTA_ID = 12, CTA_FILTER = 25, CTA_FILTER_ORIG_FLAGS = 1, CTA_FILTER_REPLY_FLAGS = 2;
const CTA_TUPLE_IP = 1, CTA_TUPLE_PROTO = 2, CTA_IP_V4_SRC = 1, CTA_IP_V4_DST = 2;
const CTA_PROTO_NUM = 1, CTA_PROTO_SRC_PORT = 2, CTA_PROTO_DST_PORT = 3;
const FILTER_PROTO_NUM = 1 << 3, FILTER_PROTO_DST_PORT = 1 << 5;
const NFGENMSG = new Uint8Array([AF_INET, 0, 0, 0]);
export const IPPROTO_UDP = 17;

/** A tracked flow, as its first packet was before any rewriting. */
export interface Flow {
  readonly protocol: number;
  /** IPv4, network order. */
  readonly destination: Uint8Array;
  readonly destinationPort: number;
  /** What identifies it to the kernel. */
  readonly tuple: Uint8Array;
  readonly id: Uint8Array | undefined;
}

/** Ask for all IPv4 flows of a protocol (and one original destination port); kernels before 5.8 answer with all flows. */
export function writeDumpFlows(w: MessageWriter, protocol: number, destinationPort: number | undefined): void {
  w.message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, NLM_F_DUMP, () => {
    w.raw(NFGENMSG);
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

/** Undefined for what is not an IPv4 flow with ports. */
export function parseFlow(message: NetlinkMessage): Flow | undefined {
  const attributes = parseAttributes(message.payload, NFGENMSG.byteLength);
  const tuple = attributes.get(CTA_TUPLE_ORIG);
  if (tuple === undefined) return undefined;
  const parts = parseAttributes(tuple);
  const ip = parts.get(CTA_TUPLE_IP), proto = parts.get(CTA_TUPLE_PROTO);
  if (ip === undefined || proto === undefined) return undefined;
  const addresses = parseAttributes(ip), ports = parseAttributes(proto);
  const destination = addresses.get(CTA_IP_V4_DST), protocol = ports.get(CTA_PROTO_NUM), port = ports.get(CTA_PROTO_DST_PORT);
  if (addresses.get(CTA_IP_V4_SRC) === undefined || destination?.byteLength !== 4) return undefined;
  if (protocol?.byteLength !== 1 || port?.byteLength !== 2 || ports.get(CTA_PROTO_SRC_PORT)?.byteLength !== 2) return undefined;
  return { protocol: protocol[0]!, destination, destinationPort: viewOf(port).getUint16(0, false), tuple, id: attributes.get(CTA_ID) };
}

export function writeDeleteFlow(w: MessageWriter, flow: Flow): void {
  w.message((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, 0, () => {
    w.raw(NFGENMSG);
    w.attribute(CTA_TUPLE_ORIG | 0x8000, flow.tuple);
    if (flow.id !== undefined) w.attribute(CTA_ID, flow.id);
  });
}
