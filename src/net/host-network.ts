import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { RTN_LOCAL, RT_TABLE_MAIN } from '#sys/netlink/route-constants.ts';
import { type LinkTarget, writeDump, writeGetLink, writeImpossibleIpvlan } from '#sys/netlink/route-messages.ts';
import { type InterfaceAddress, type Link, type Route, parseAddress, parseLink, parseRoute } from '#sys/netlink/route-objects.ts';
import { NaruError } from '#spec/errors.ts';
import { type IpPrefix, ipFromBytes, prefixOf } from './ip.ts';

const ENODEV = 19, EOPNOTSUPP = 95;
/** A route that leads nowhere (blackhole) has the interface 0. */
const NO_INTERFACE = -1;

/** One interface, or undefined when there is none of that name. */
export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const w = new MessageWriter();
  const target: LinkTarget = { name };
  writeGetLink(w, target);
  try {
    const [answer] = socket.request(w, () => `look up interface ${name}`);
    return answer === undefined ? undefined : parseLink(answer);
  } catch (error) {
    if (error instanceof NaruError && error.errno === ENODEV) return undefined;
    throw error;
  }
}

/** Asking loads the module, where there is one. */
export function kernelHasIpvlan(socket: NetlinkSocket): boolean {
  const w = new MessageWriter();
  writeImpossibleIpvlan(w);
  try {
    socket.request(w, () => 'ask whether the kernel has ipvlan');
    return true;
  } catch (error) {
    return !(error instanceof NaruError && error.errno === EOPNOTSUPP);
  }
}

export function hostAddresses(socket: NetlinkSocket, family: 4 | 6 = 4): InterfaceAddress[] {
  const w = new MessageWriter();
  writeDump(w, 'addresses', family);
  return socket.dump(w, 'list the host\'s addresses').map(parseAddress);
}

function hostRoutes(socket: NetlinkSocket, family: 4 | 6 = 4): Route[] {
  const w = new MessageWriter();
  writeDump(w, 'routes', family);
  return socket.dump(w, 'list the host\'s routes').map(parseRoute);
}

/** Every network that the host reaches other than by its default route, and so must not be used for containers; what concerns
 *  the interface `except` does not count. */
export function usedNetworks(socket: NetlinkSocket, family: 4 | 6, except = NO_INTERFACE): IpPrefix[] {
  const addresses = hostAddresses(socket, family)
    .filter((each) => each.index !== except && each.address.byteLength > 0)
    .map((each) => prefixOf(ipFromBytes(each.address), each.prefixLength));
  const routes = hostRoutes(socket, family)
    .filter((each) => each.outInterface !== except && each.prefixLength > 0 && each.type !== RTN_LOCAL && each.destination.byteLength > 0)
    .map((each) => prefixOf(ipFromBytes(each.destination), each.prefixLength));
  return [...addresses, ...routes];
}

/** The MTU of the interface that the default route leaves by; undefined without one. */
export function defaultRouteMtu(socket: NetlinkSocket): number | undefined {
  const route = hostRoutes(socket)
    .filter((each) => each.prefixLength === 0 && each.table === RT_TABLE_MAIN)
    .toSorted((a, b) => a.metric - b.metric)[0];
  if (route === undefined) return undefined;
  const w = new MessageWriter();
  writeDump(w, 'links');
  return socket.dump(w, 'list the host\'s interfaces').map(parseLink).find((link) => link.index === route.outInterface)?.mtu;
}
