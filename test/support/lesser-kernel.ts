/**
 *   bun lesser-kernel.ts LACK[,LACK…] daemon …
 * naru, from its source, on a kernel that answers some requests over netlink as an older one does: `owner` (before 6.9), tables of nftables belong to nobody;
 * `dup`, nftables has no expression of that name. What is looked after every five seconds is looked after ten times a second.
 */
import { NaruError } from '#spec/errors.ts';
import { parseAttributes, parseMessages } from '#sys/netlink/message-parser.ts';
import type { MessageWriter } from '#sys/netlink/message-writer.ts';
import { type Describe, NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NFNL_SUBSYS_NFTABLES, NFTA_TABLE_FLAGS, NFT_MSG_NEWTABLE, NFT_TABLE_F_OWNER } from '#sys/netlink/nft-constants.ts';

const NFGENMSG_BYTES = 4;
const LOOK_MS = 5000, LOOK_SOONER_MS = 100;
/** Which requests are refused, and how. */
const LACKS: Readonly<Record<string, { refuses(batch: Uint8Array): boolean; errno: number; words: string }>> = {
  owner: {
    refuses: (batch) => parseMessages(batch).some(({ type, payload }) =>
      type === ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWTABLE) && ((parseAttributes(payload, NFGENMSG_BYTES).get(NFTA_TABLE_FLAGS)?.at(-1) ?? 0) & NFT_TABLE_F_OWNER) !== 0),
    errno: 95, words: 'operation not supported',
  },
  dup: { refuses: (batch) => Buffer.from(batch).includes('dup\0'), errno: 2, words: 'no such file or directory' },
};

const lacking = process.argv[2]!.split(',').map((name) => LACKS[name]!);
const request = NetlinkSocket.prototype.request;
NetlinkSocket.prototype.request = function (this: NetlinkSocket, batch: MessageWriter, describe: Describe) {
  const lack = lacking.find(({ refuses }) => refuses(batch.finish()));
  if (lack !== undefined) throw new NaruError('not-found', `${describe(1)}: ${lack.words}`, { errno: lack.errno });
  return request.call(this, batch, describe);
};
const every = globalThis.setInterval;
globalThis.setInterval = ((work: () => void, ms?: number) => every(work, ms === LOOK_MS ? LOOK_SOONER_MS : ms)) as typeof setInterval;

const main = new URL('../../src/main.ts', import.meta.url).pathname;
process.argv.splice(1, 2, main);
await import(main);
