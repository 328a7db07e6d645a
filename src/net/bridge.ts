import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { MessageWriter } from '#sys/netlink/message-writer.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { writeAddress, writeAlias, writeCreateBridge, writeDeleteLink, writeLinkUp } from '#sys/netlink/route-messages.ts';
import { findLink, hostAddresses } from './host-network.ts';
import { ipBytes, lastOf, parsePrefix, tryParseIp } from './ip.ts';
import { type Ipv4Network, ipv4FromBytes, macBytes, macOf, networkOf } from './ipv4.ts';

const EEXIST = 17, ENODEV = 19;

/** The address that a bridge of this name has already: a daemon that comes back keeps its network. */
export function existingBridge(socket: NetlinkSocket, name: string): { index: number; mtu: number; address: { gateway: number; subnet: Ipv4Network } | undefined } | undefined {
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

export interface WantedBridge {
  readonly name: string;
  readonly mtu: number;
  /** The host's own addresses on it, with the subnet of each. */
  readonly addresses: readonly { readonly address: string; readonly subnet: string }[];
  /** What `ip link` says it is. */
  readonly alias: string;
  /** The six bytes of its MAC. */
  readonly mac: string;
}

/** Make the bridge, its addresses and its sysctls so, whatever of it is there. */
export function ensureBridge(socket: NetlinkSocket, bridge: WantedBridge): void {
  let link = findLink(socket, bridge.name);
  if (link === undefined) {
    createBridge(socket, bridge);
    link = findLink(socket, bridge.name);
  }
  if (link === undefined) throw new NaruError('internal', `bridge ${bridge.name} vanished while it was set up`);
  const hasIpv6 = bridge.addresses.some(({ address }) => address.includes(':'));
  // Before the first address and container: no IPv6 where there shall be none, and no word of a container changes the host's routes
  setSysctl(`net/ipv6/conf/${bridge.name}/disable_ipv6`, hasIpv6 ? '0' : '1', hasIpv6 ? 'required' : 'optional');
  setSysctl(`net/ipv6/conf/${bridge.name}/accept_ra`, '0', 'optional');
  // The bridge asks for its neighbours by its own link's address, which nobody else has: it needs not wait two seconds for somebody who objects
  if (hasIpv6) setSysctl(`net/ipv6/conf/${bridge.name}/accept_dad`, '0', 'optional');
  setSysctl(`net/ipv4/conf/${bridge.name}/route_localnet`, '1', 'required');
  setSysctl('net/ipv4/ip_forward', '1', 'required');
  if (hasIpv6) forwardIpv6();
  const w = new MessageWriter();
  const what = ['say what it is'];
  writeAlias(w, { index: link.index }, bridge.alias);
  for (const { address, subnet } of bridge.addresses) {
    const prefix = parsePrefix(subnet);
    what.push(`give it the address ${address}`);
    writeAddress(w, {
      link: { index: link.index }, address: ipBytes(tryParseIp(address)!), prefixLength: prefix.length,
      ...(prefix.family === 4 ? { broadcast: ipBytes({ family: 4, value: lastOf(prefix) }) } : {}),
    });
  }
  if (!link.up) {
    what.push('bring it up');
    writeLinkUp(w, { index: link.index });
  }
  socket.request(w, (index) => `bridge ${bridge.name}: ${what[index]}`);
}

function createBridge(socket: NetlinkSocket, bridge: WantedBridge): void {
  const w = new MessageWriter();
  // A fixed MAC: else it would change with the ports that come and go
  writeCreateBridge(w, { name: bridge.name, mtu: bridge.mtu, mac: macBytes(bridge.mac) });
  try {
    socket.request(w, () => `make bridge ${bridge.name}`);
  } catch (error) {
    if (!(error instanceof NaruError) || error.errno !== EEXIST) throw error;
  }
}

export const bridgeMac = (ipv4: string, id: string): string => {
  const address = tryParseIp(ipv4);
  return address?.family === 4 ? macOf(Number(address.value)) : `02:42:${id.slice(0, 8).replace(/(..)(?!$)/g, '$1:')}`;
};

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

/** A host that forwards IPv6 stops heeding router advertisements (accept_ra 1): its own interfaces are told to go on (2) first. */
function forwardIpv6(): void {
  const forwarding = '/proc/sys/net/ipv6/conf/all/forwarding';
  if (readFileSync(forwarding, 'utf8').trim() === '1') return;
  for (const name of readdirSync('/proc/sys/net/ipv6/conf')) {
    const path = `/proc/sys/net/ipv6/conf/${name}/accept_ra`;
    if (name !== 'all' && name !== 'lo' && readFileSync(path, 'utf8').trim() === '1') writeFileSync(path, '2');
  }
  setSysctl('net/ipv6/conf/all/forwarding', '1', 'required');
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
