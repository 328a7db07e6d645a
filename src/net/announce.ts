import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { NetworkNamespace } from '#sys/network-namespace.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import { NLM_F_ACK } from '#sys/netlink/netlink-constants.ts';
import { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { writeLinkAddress } from '#sys/netlink/route-messages.ts';
import { NETLINK_ROUTE } from '#sys/numbers.ts';
import { findLink } from './host-network.ts';
import { macBytes } from './ipv4.ts';
import type { EndpointRecord } from './records.ts';

/** `state` of a bridge port (linux/if_bridge.h). */
const BR_STATE_FORWARDING = 3;
const LONGEST_WAIT_MS = 1000;

/**
 * Tell the neighbours where the addresses of a running container's new interface are now (gratuitous ARP, unsolicited neighbour advertisements), once its bridge port
 * forwards: it does so when the kernel's link watcher has seen the carrier, some time after the interface is up, and what is sent before is lost.
 */
export async function announce(endpoint: EndpointRecord, host: NetlinkSocket, namespace: NetworkNamespace): Promise<void> {
  for (const end = performance.now() + LONGEST_WAIT_MS; !forwards(endpoint.hostInterface, host) && performance.now() < end;) await pause(2);
  namespace.within(() => {
    if (endpoint.ipv6 !== '') writeFileSync(`/proc/sys/net/ipv6/conf/${endpoint.interface}/ndisc_notify`, '1');
    const socket = new NetlinkSocket(NETLINK_ROUTE);
    try {
      const link = findLink(socket, endpoint.interface);
      if (link === undefined || endpoint.mac === '') return; // an ipvlan has none to change; it announced itself when it came up
      const w = new MessageWriter();
      // The same hardware address once more: to the kernel that is a change, and it announces.
      writeLinkAddress(w, { index: link.index }, macBytes(endpoint.mac), NLM_F_ACK);
      socket.exchange(w.finish(), w.count, () => `announce ${endpoint.interface}`);
    } finally {
      socket.close();
    }
  });
}

/** A macvlan or ipvlan has no port; one that was removed meanwhile need not be waited for. */
function forwards(hostInterface: string, host: NetlinkSocket): boolean {
  return hostInterface === '' || (findLink(host, hostInterface)?.portState ?? BR_STATE_FORWARDING) === BR_STATE_FORWARDING;
}
