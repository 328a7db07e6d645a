import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { NftBatch } from '#sys/netlink/nft-batch.ts';
import { NFPROTO_BRIDGE, NFPROTO_INET } from '#sys/netlink/nft-constants.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '#sys/numbers.ts';
import { deleteLink } from './bridge.ts';
import { PacketLoop } from './packet-loop.ts';
import { tableExists } from './nat-state.ts';
import { type NetworkOptions, networkNames } from './network-options.ts';

/** Take away the table and the bridge; nothing happens to what is not there. For when no container is left, and no service of
 *  these options is open (its table could be its own socket's). */
export function removeNetwork(options: NetworkOptions = {}): void {
  const { bridge, table } = networkNames(options);
  const netfilter = new NetlinkSocket(NETLINK_NETFILTER);
  const route = new NetlinkSocket(NETLINK_ROUTE);
  try {
    for (const family of [NFPROTO_INET, NFPROTO_BRIDGE]) {
      if (!tableExists(netfilter, table, family)) continue;
      const batch = new NftBatch(table, family);
      batch.deleteTable();
      batch.end();
      netfilter.request(batch.writer, batch.describe);
    }
    new PacketLoop({ route, netfilter }, table).remove();
    deleteLink(route, bridge);
  } finally {
    netfilter.close();
    route.close();
  }
}
