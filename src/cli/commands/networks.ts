import { isKind, NaruError } from '#spec/errors.ts';
import type { EndpointSettings, NetworkInspect } from '#spec/engine-api.ts';
import type { CommandRunner } from '../command.ts';
import { naturalOrder } from '../format/natural-order.ts';
import { renderTable, shortId, type Row } from '../format/table.ts';

const HEADERS = { ID: 'NETWORK ID', Name: 'NAME', Driver: 'DRIVER', Scope: 'SCOPE', IPv4: 'IPV4', IPv6: 'IPV6', Internal: 'INTERNAL', Labels: 'LABELS', CreatedAt: 'CREATED AT' };

/** `network ls`. */
export const listNetworks: CommandRunner = async ({ client, flags, io, config }) => {
  const quiet = flags.bool('quiet');
  const networks = (await client().networks.list(flags.filters())).sort((a, b) => naturalOrder(a.Name, b.Name));
  const asked = flags.string('format') || (quiet ? '' : (config().networksFormat ?? ''));
  const format = asked === '' || asked === 'table' ? (quiet ? '{{.ID}}' : 'table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}')
    : asked === 'raw' ? (quiet ? 'network_id: {{.ID}}' : 'network_id: {{.ID}}\\nname: {{.Name}}\\ndriver: {{.Driver}}\\nscope: {{.Scope}}\\n') : asked;
  const trunc = !flags.bool('no-trunc');
  io.out(renderTable(networks.map((network) => networkRow(network, trunc)), { format, headers: HEADERS, goType: '*network.networkContext' }));
  return 0;
};

function networkRow(network: NetworkInspect, trunc: boolean): Row {
  const labels = network.Labels ?? {};
  return {
    CreatedAt: network.Created.replace('T', ' ').replace(/Z$/, ' +0000 UTC'), Driver: network.Driver, ID: trunc ? shortId(network.Id) : network.Id, IPv4: String(network.EnableIPv4 ?? false), IPv6: String(network.EnableIPv6 ?? false), Internal: String(network.Internal ?? false),
    Labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(','), Label: (name: string) => labels[name] ?? '', Name: network.Name, Scope: network.Scope,
  };
}

/** `network create`. */
export const createNetwork: CommandRunner = async ({ client, flags, args, io }) => {
  const labels = Object.fromEntries(flags.list('label').map((label) => [label.split('=')[0] as string, label.includes('=') ? label.slice(label.indexOf('=') + 1) : '']));
  const from = flags.string('config-from');
  const subnets = flags.list('subnet');
  const inside = (address: string): number => Math.max(0, subnets.findIndex((subnet) => subnet.includes(':') === address.includes(':')));
  const pools: { Subnet?: string; IPRange?: string; Gateway?: string; AuxiliaryAddresses?: Record<string, string> }[] = subnets.map((subnet) => ({ Subnet: subnet }));
  const place = (address: string): (typeof pools)[number] => {
    if (pools.length === 0) throw new NaruError('invalid', `no matching subnet for ${address}`);
    return pools[inside(address)] as (typeof pools)[number];
  };
  for (const range of flags.list('ip-range')) place(range).IPRange = range;
  for (const gateway of flags.list('gateway')) place(gateway).Gateway = gateway;
  for (const [name, address] of flags.list<[string, string]>('aux-address')) (place(address).AuxiliaryAddresses ??= {})[name] = address;
  const answer = await client().networks.create({
    Name: args[0] as string, Driver: flags.string('driver'), Options: flags.map('opt'), Labels: labels, Internal: flags.bool('internal'), Attachable: flags.bool('attachable'), Ingress: flags.bool('ingress'), ConfigOnly: flags.bool('config-only'),
    ...(flags.string('scope') === '' ? {} : { Scope: flags.string('scope') }), ...(flags.changed('ipv4') ? { EnableIPv4: flags.bool('ipv4') } : {}), ...(flags.changed('ipv6') ? { EnableIPv6: flags.bool('ipv6') } : {}),
    IPAM: { Driver: flags.string('ipam-driver'), Options: flags.map('ipam-opt'), Config: pools }, ...(from === '' ? {} : { ConfigFrom: { Network: from } }),
  });
  if (answer.Warning !== undefined && answer.Warning !== '') io.err(`WARNING: ${answer.Warning}\n`);
  io.out(`${answer.Id}\n`);
  return 0;
};

/** `network connect`. */
export const connectNetwork: CommandRunner = async ({ client, flags, args }) => {
  const [network = '', container = ''] = args;
  const options = flags.list('driver-opt').map((option) => option.split('=') as [string, string]);
  const [ip, ip6, linkLocal] = [flags.string('ip'), flags.string('ip6'), flags.list('link-local-ip')];
  const endpoint: EndpointSettings = {
    ...(ip === '' && ip6 === '' && linkLocal.length === 0 ? {} : { IPAMConfig: { ...(ip === '' ? {} : { IPv4Address: ip }), ...(ip6 === '' ? {} : { IPv6Address: ip6 }), ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: linkLocal }) } }),
    Links: flags.list('link'), Aliases: flags.list('alias'), DriverOpts: Object.fromEntries(options), GwPriority: flags.number('gw-priority'),
  };
  await client().networks.connect(network, container, endpoint);
  return 0;
};

/** `network disconnect`. */
export const disconnectNetwork: CommandRunner = async ({ client, flags, args }) => {
  await client().networks.disconnect(args[0] as string, args[1] as string, { force: flags.bool('force') });
  return 0;
};

/** `network rm`. */
export const removeNetworks: CommandRunner = async ({ client, flags, args, io }) => {
  let failed = false;
  for (const name of args) {
    try {
      await client().networks.remove(name);
    } catch (error) {
      if (flags.bool('force') && isKind(error, 'not-found')) continue;
      io.err(`${(error as Error).message}\n`);
      failed = true;
      continue;
    }
    io.out(`${name}\n`);
  }
  if (failed) throw new NaruError('internal', 'exit status 1');
  return 0;
};
