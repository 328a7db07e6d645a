import { readFileSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { writeAddress, writeCreateBridge, writeDeleteLink, writeLinkUp } from '#sys/netlink/route-messages.ts';
import { findLink, hostAddresses } from './host-network.ts';
import { type Ipv4Network, ipv4Bytes, ipv4FromBytes, macBytes, macOf, networkOf, networkSize } from './ipv4.ts';

const EEXIST = 17, ENODEV = 19;

export interface BridgeAddress {
  readonly gateway: number;
  readonly subnet: Ipv4Network;
}

/** The address that a bridge of this name has already: a daemon that comes back keeps its network. */
export function existingBridge(socket: NetlinkSocket, name: string): { index: number; mtu: number; address: BridgeAddress | undefined } | undefined {
  const link = findLink(socket, name);
  if (link === undefined) return undefined;
  if (link.kind !== 'bridge') {
    throw new NaruError('conflict', `interface ${name} exists and is ${link.kind === '' ? 'not virtual' : `a ${link.kind}`}, not a bridge`, {
      hint: 'give the daemon another bridge name',
    });
  }
  const found = hostAddresses(socket).find((each) => each.index === link.index && each.prefixLength <= 30);
  const gateway = found === undefined ? 0 : ipv4FromBytes(found.address);
  const address = found === undefined ? undefined : { gateway, subnet: networkOf(gateway, found.prefixLength) };
  return { index: link.index, mtu: link.mtu, address };
}

/** Make the bridge, its address and its sysctls so, whatever of it is there. Returns its index. */
export function ensureBridge(socket: NetlinkSocket, bridge: BridgeAddress & { name: string; mtu: number }): number {
  if (findLink(socket, bridge.name) === undefined) createBridge(socket, bridge);
  const link = findLink(socket, bridge.name);
  if (link === undefined) throw new NaruError('internal', `bridge ${bridge.name} vanished while it was set up`);
  // Before the first address and container: no IPv6 here, and no word of a container changes the host's IPv6 routes
  setSysctl(`net/ipv6/conf/${bridge.name}/disable_ipv6`, '1', 'optional');
  setSysctl(`net/ipv6/conf/${bridge.name}/accept_ra`, '0', 'optional');
  setSysctl(`net/ipv4/conf/${bridge.name}/route_localnet`, '1', 'required');
  setSysctl('net/ipv4/ip_forward', '1', 'required');
  const w = new MessageWriter();
  writeAddress(w, {
    link: { index: link.index },
    address: ipv4Bytes(bridge.gateway),
    prefixLength: bridge.subnet.prefixLength,
    broadcast: ipv4Bytes(bridge.subnet.base + networkSize(bridge.subnet) - 1),
  });
  if (!link.up) writeLinkUp(w, { index: link.index });
  const what = ['give it its address', 'bring it up'];
  socket.request(w, (index) => `bridge ${bridge.name}: ${what[index]}`);
  return link.index;
}

function createBridge(socket: NetlinkSocket, bridge: BridgeAddress & { name: string; mtu: number }): void {
  const w = new MessageWriter();
  // A fixed MAC: else it would change with the ports that come and go
  writeCreateBridge(w, { name: bridge.name, mtu: bridge.mtu, mac: macBytes(macOf(bridge.gateway)) });
  try {
    socket.request(w, () => `make bridge ${bridge.name}`);
  } catch (error) {
    if (!(error instanceof NaruError) || error.errno !== EEXIST) throw error;
  }
}

/** Delete an interface; false when there is none. */
export function deleteLink(socket: NetlinkSocket, name: string): boolean {
  const w = new MessageWriter();
  writeDeleteLink(w, { name });
  try {
    socket.request(w, () => `delete interface ${name}`);
    return true;
  } catch (error) {
    if (error instanceof NaruError && error.errno === ENODEV) return false;
    throw error;
  }
}

/** Written only when it differs: a write to ip_forward resets other sysctls. */
function setSysctl(name: string, value: string, need: 'required' | 'optional'): void {
  const path = `/proc/sys/${name}`;
  try {
    if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  } catch (cause) {
    if (need === 'optional') return; // a kernel without IPv6 has nothing to switch off
    throw new NaruError('unsupported', `set sysctl ${name.replaceAll('/', '.')} to ${value}: ${(cause as Error).message}`, {
      cause, hint: 'containers need the host to forward packets: set it by hand, or make /proc/sys writable for the daemon',
    });
  }
}
