import type { ContainerInspect, NetworkInspect } from '#spec/engine-api.ts';
import { alignTabs } from '../format/tab-writer.ts';

interface Row { readonly who: string; readonly where: string; readonly answer: string; readonly rule: string }

/** `port --who`: who reaches each published port, where, and by which rule of naru's nftables table (its comment, or the set that decides). */
export function reachTable(container: ContainerInspect, networks: readonly NetworkInspect[]): string {
  const mine = networks.filter((network) => Object.hasOwn(container.NetworkSettings.Networks, network.Name));
  const byHost = networks.find((network) => network.Name === 'bridge')?.Options?.['naru.firewall'] ?? 'open';
  const lines: string[] = [];
  for (const [inner, bindings] of Object.entries(container.NetworkSettings.Ports ?? {})) {
    for (const { HostIp, HostPort } of bindings ?? []) {
      const isIpv6 = HostIp.includes(':');
      // The container's way out in this family is the network that it is published through
      const network = mine.find((each) => carries(container, each, isIpv6)) ?? mine[0];
      if (network === undefined) continue;
      lines.push(`${inner} -> ${isIpv6 ? `[${HostIp}]` : HostIp}:${HostPort}, by network ${network.Name}`);
      const rows = reach(network, { hostIp: HostIp, port: HostPort, isIpv6, firewall: network.Options?.['naru.firewall'] ?? byHost });
      lines.push(...alignTabs(rows.map(({ who, where, answer, rule }) => [`  ${who}`, where, answer, rule].join('\t')).join('\n'), { minimum: 0, padding: 3 }).split('\n'));
    }
  }
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function carries({ NetworkSettings }: ContainerInspect, network: NetworkInspect, isIpv6: boolean): boolean {
  const endpoint = NetworkSettings.Networks[network.Name];
  return network.Internal !== true && Boolean(isIpv6 ? endpoint?.GlobalIPv6Address : endpoint?.IPAddress);
}

function reach(network: NetworkInspect, { hostIp, port, isIpv6, firewall }: { hostIp: string; port: string; isIpv6: boolean; firewall: string }): Row[] {
  const options = network.Options ?? {};
  const mode = options[`com.docker.network.bridge.gateway_mode_${isIpv6 ? 'ipv6' : 'ipv4'}`] || 'nat';
  const icc = !['false', '0', 'f'].includes((options['com.docker.network.bridge.enable_icc'] ?? 'true').toLowerCase());
  const six = isIpv6 ? '6' : '';
  const direct = 'the container\'s address';
  const neighbours: Row = icc
    ? { who: `containers of ${network.Name}`, where: `${direct}, every port`, answer: 'yes', rule: 'between containers of a network (icc)' }
    : { who: `containers of ${network.Name}`, where: direct, answer: 'no', rule: 'icc is off' };
  if (mode === 'routed') {
    const rule = `published without rewriting (routed${six})`;
    return [
      { who: 'this host', where: direct, answer: 'yes', rule: 'a route of its own' }, neighbours,
      { who: 'other networks and hosts that have a route', where: direct, answer: 'yes', rule },
      { who: 'everybody', where: `this host's addresses`, answer: 'no', rule: 'nothing is rewritten' },
    ];
  }
  const isLoopback = hostIp.startsWith('127.') || hostIp === '::1';
  const isAny = hostIp === '0.0.0.0' || hostIp === '::';
  const at = isAny ? `every address of this host, port ${port}` : `${hostIp}, port ${port}`;
  const judged = firewall === 'host';
  const others: Omit<Row, 'who'> = isLoopback ? { where: at, answer: 'no', rule: 'loopback comes from outside only by forgery' }
    : judged ? { where: at, answer: 'if the host\'s input rules let them', rule: `the host's input rules judge first (judged${six})` }
    : { where: at, answer: 'yes', rule: `published ports (${isAny ? 'ports' : 'ports_at'}${six}, or a range)` };
  return [
    { who: 'this host', where: isAny ? `${isIpv6 ? '::1' : '127.0.0.1'} and its addresses, port ${port}` : at, answer: 'yes', rule: 'published ports, from the host itself' },
    { who: 'other hosts', ...others },
    { who: 'containers, whatever their network', ...others },
    neighbours,
    mode === 'nat-unprotected'
      ? { who: 'other networks, hosts that have a route', where: `${direct}, every port`, answer: 'yes', rule: `any port of an open network (open${six})` }
      : { who: 'other networks, hosts that have a route', where: direct, answer: 'no', rule: 'everything else from outside' },
  ];
}
