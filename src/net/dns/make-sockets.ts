import { closeQuietly } from '#sys/descriptors.ts';
import { NetworkNamespace } from '#sys/network-namespace.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { AF_INET, NETLINK_NETFILTER, SOCK_DGRAM, SOCK_STREAM } from '#sys/numbers.ts';
import { boundSocket, localPort } from '#sys/raw-sockets.ts';
import { TCP_BACKLOG, resolverSockaddr } from './resolver-steps.ts';
import { resolverTable, resolverTableBytes } from './resolver-table.ts';

/** For a container that runs, what the plan does for one that starts (resolver-steps.ts): its sockets, udp and tcp, which the caller owns. Throws. */
export function makeSockets(pid: number, containerId: string): [number, number] {
  using namespace = NetworkNamespace.ofProcess(pid, containerId);
  return namespace.within(() => {
    const made: number[] = [];
    try {
      for (const { type, backlog } of [{ type: SOCK_DGRAM, backlog: 0 }, { type: SOCK_STREAM, backlog: TCP_BACKLOG }]) {
        made.push(boundSocket({ family: AF_INET, type, address: resolverSockaddr(), backlog }));
      }
      const [udp, tcp] = made as [number, number];
      const batch = resolverTable({ replace: true });
      const netfilter = new NetlinkSocket(NETLINK_NETFILTER);
      try {
        netfilter.exchange(resolverTableBytes(batch, { udp: localPort(udp), tcp: localPort(tcp) }), batch.writer.acknowledged, batch.describe);
      } finally {
        netfilter.close();
      }
      return [udp, tcp];
    } catch (error) {
      for (const each of made) closeQuietly(each);
      throw error;
    }
  });
}
