import type { NetworkStep } from '#spec/network-steps.ts';
import { AF_INET, NETLINK_NETFILTER, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM } from '#sys/numbers.ts';
import { LOOPBACK_RESOLVER } from './resolver-address.ts';
import { resolverTable } from './resolver-table.ts';

/** Connections that wait to be accepted. */
export const TCP_BACKLOG = 64;

/** sockaddr_in of 127.0.0.11 with a port of the kernel's choice. */
export function resolverSockaddr(): Uint8Array {
  const address = new Uint8Array(16);
  new DataView(address.buffer).setUint16(0, AF_INET, true);
  address.set(LOOPBACK_RESOLVER.split('.').map(Number), 4);
  return address;
}

/**
 * What a container's plan does for its resolver, after `lo` is up: it makes the two sockets itself and sends them to the resolver's
 * process. The first lookup waits in the socket if the process is not there yet.
 */
export function resolverSteps(socketPath: string, message: Uint8Array): NetworkStep[] {
  const source = '--network';
  const batch = resolverTable();
  return [
    { kind: 'socket', where: 'container', name: 'udp', domain: AF_INET, type: SOCK_DGRAM | SOCK_NONBLOCK, address: resolverSockaddr(), backlog: 0, why: `resolver at ${LOOPBACK_RESOLVER}, udp`, source },
    { kind: 'socket', where: 'container', name: 'tcp', domain: AF_INET, type: SOCK_STREAM | SOCK_NONBLOCK, address: resolverSockaddr(), backlog: TCP_BACKLOG, why: `resolver at ${LOOPBACK_RESOLVER}, tcp`, source },
    {
      where: 'container', protocol: NETLINK_NETFILTER, batch: batch.writer.finish(), acks: 1,
      patches: batch.writer.labels.map(({ name, offset }) => ({ kind: 'port', offset, socket: name }) as const),
      why: `port 53 of ${LOOPBACK_RESOLVER} leads to them`, source,
    },
    { kind: 'send', where: 'container', path: socketPath, sockets: ['udp', 'tcp'], data: message, optional: true, why: 'the resolver gets its sockets', source },
  ];
}
