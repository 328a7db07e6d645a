import { type NetlinkMessage, attributeString, parseAttributes, viewOf } from './message-parser.ts';
import type { MessageWriter } from './message-writer.ts';
import { NLM_F_DUMP } from './netlink-constants.ts';
import * as N from './nft-constants.ts';

const NFGENMSG_BYTES = 4;

/** A chain that hangs in a hook of the kernel. */
export interface BaseChain {
  /** NFPROTO_*. */
  readonly family: number;
  readonly table: string;
  readonly name: string;
  /** NF_INET_*. */
  readonly hook: number;
  /** NF_ACCEPT or NF_DROP. */
  readonly policy: number;
}

/** Ask for the chains of all tables of all families, which includes what iptables-nft made. */
export function writeDumpChains(w: MessageWriter): void {
  w.message((N.NFNL_SUBSYS_NFTABLES << 8) | N.NFT_MSG_GETCHAIN, NLM_F_DUMP, () => w.raw(new Uint8Array([N.NFPROTO_UNSPEC, 0, 0, 0])));
}

/** Undefined for a chain that is only jumped to. */
export function parseBaseChain(message: NetlinkMessage): BaseChain | undefined {
  const attributes = parseAttributes(message.payload, NFGENMSG_BYTES);
  const hook = attributes.get(N.NFTA_CHAIN_HOOK), policy = attributes.get(N.NFTA_CHAIN_POLICY);
  const number = hook === undefined ? undefined : parseAttributes(hook).get(N.NFTA_HOOK_HOOKNUM);
  if (number === undefined || number.byteLength < 4 || policy === undefined || policy.byteLength < 4) return undefined;
  return {
    family: message.payload[0] ?? 0,
    table: attributeString(attributes.get(N.NFTA_CHAIN_TABLE)),
    name: attributeString(attributes.get(N.NFTA_CHAIN_NAME)),
    hook: viewOf(number).getUint32(0, false),
    policy: viewOf(policy).getUint32(0, false),
  };
}
