import { createHash } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { existingBridge } from './bridge.ts';
import { type SubnetPool, chooseSubnet } from './choose-subnet.ts';
import { usedNetworks } from './host-network.ts';
import { bitsOf, formatIp, formatPrefix, tryParseIp, tryParsePrefix } from './ip.ts';
import { formatIpv4 } from './ipv4.ts';
import { type Firewall, OPTION } from './network-facts.ts';
import type { NetworkOptions } from './network-options.ts';
import type { IpamPool, NetworkRecord } from './records.ts';

/** The network `bridge`. Its subnet is the one asked for, else that of the bridge which is there, else a free one. Throws invalid. */
export function designDefaultBridge(route: NetlinkSocket, options: NetworkOptions, { name, table, firewall, mtu, pools: from }: { name: string; table: string; firewall: Firewall; mtu: number; pools: readonly SubnetPool[] }): NetworkRecord {
  const existing = existingBridge(route, name);
  const kept = existing?.address;
  const asked = options.subnet === undefined ? undefined : tryParsePrefix(options.subnet);
  if (options.subnet !== undefined && asked?.family !== 4) throw new NaruError('invalid', `${options.subnet} is not an IPv4 network`, { hint: 'write it as 172.17.0.0/16' });
  const subnet = asked ?? (kept === undefined ? chooseSubnet(4, usedNetworks(route, 4, existing?.index), from)
    : { family: 4 as const, base: BigInt(kept.subnet.base), length: kept.subnet.prefixLength });
  const own = kept !== undefined && kept.gateway >= Number(subnet.base) && kept.gateway < Number(subnet.base) + 2 ** (bitsOf(4) - subnet.length);
  // --bip names the host's own address when it is not the network's
  const named = options.subnet === undefined ? undefined : tryParseIp(options.subnet.split('/')[0]!);
  const gateway = named !== undefined && named.value !== subnet.base ? formatIp(named) : own ? formatIpv4(kept.gateway) : formatIp({ family: 4, value: subnet.base + 1n });
  const id = createHash('sha256').update(`naru bridge ${name} ${table} ${formatPrefix(subnet)}`).digest('hex');
  const pools: IpamPool[] = [{ subnet: formatPrefix(subnet), ipRange: '', gateway, auxiliary: {} }];
  if (options.ipv6 !== undefined) {
    const six = options.ipv6 === 'auto' ? chooseSubnet(6, usedNetworks(route, 6, existing?.index), from) : tryParsePrefix(options.ipv6);
    if (six?.family !== 6 || six.length > 126) throw new NaruError('invalid', `invalid IPv6 subnet ${options.ipv6}`, { hint: 'write it as fd00:1::/64' });
    pools.push({ subnet: formatPrefix(six), ipRange: '', gateway: formatIp({ family: 6, value: six.base + 1n }), auxiliary: {} });
  }
  return {
    id, name: 'bridge', driver: 'bridge', created: options.created ?? '', link: name, ipv4: true, ipv6: options.ipv6 !== undefined, internal: false, attachable: false, configOnly: false, configFrom: '',
    ipamOptions: {}, labels: {}, pools,
    options: {
      [OPTION.defaultBridge]: 'true', [OPTION.icc]: 'true', [OPTION.masquerade]: 'true', [OPTION.hostBinding]: '0.0.0.0', [OPTION.bridgeName]: name, [OPTION.mtu]: String(mtu),
      ...(firewall === 'host' ? { [OPTION.firewall]: 'host' } : {}),
    },
  };
}
