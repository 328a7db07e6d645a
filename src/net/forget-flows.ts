import { NaruError } from '#spec/errors.ts';
import { IPPROTO_UDP, parseFlow, writeDeleteFlow, writeDumpFlows } from '#sys/netlink/conntrack-messages.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { ipv4FromBytes, parseIpv4 } from './ipv4.ts';
import type { PublishedPort } from './published-ports.ts';

const ENOENT = 2;
const WILDCARD = '0.0.0.0';

/** Make the kernel forget the UDP flows to these host ports; the number of them. Flows through this host to others' ports of the
 *  same number stay: `isLocal` tells whose address it is. */
export function forgetUdpFlows(socket: NetlinkSocket, ports: readonly PublishedPort[], isLocal: (address: number) => boolean): number {
  const wanted = new Map<number, number[]>();
  for (const port of ports) {
    if (port.protocol !== 'udp' || port.hostIp.includes(':')) continue;
    wanted.set(port.hostPort, [...(wanted.get(port.hostPort) ?? []), port.hostIp === WILDCARD ? 0 : parseIpv4(port.hostIp)]);
  }
  if (wanted.size === 0) return 0;
  const dump = new MessageWriter();
  writeDumpFlows(dump, IPPROTO_UDP, wanted.size === 1 ? [...wanted.keys()][0] : undefined);
  let forgotten = 0;
  for (const flow of socket.dump(dump, 'list the tracked UDP flows').map(parseFlow)) {
    if (flow === undefined || flow.protocol !== IPPROTO_UDP) continue;
    const destination = ipv4FromBytes(flow.destination);
    const at = wanted.get(flow.destinationPort);
    if (at === undefined || !at.some((address) => (address === 0 ? isLocal(destination) : address === destination))) continue;
    const w = new MessageWriter();
    writeDeleteFlow(w, flow);
    try {
      socket.request(w, () => `forget a UDP flow to port ${flow.destinationPort}`);
      forgotten += 1;
    } catch (error) {
      if (!(error instanceof NaruError) || error.errno !== ENOENT) throw error; // it ended by itself
    }
  }
  return forgotten;
}
