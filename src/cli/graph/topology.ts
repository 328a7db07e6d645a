import type { ContainerSummary, NetworkInspect } from '#spec/engine-api.ts';
import { naturalOrder } from '../format/natural-order.ts';

/** What `network graph` draws: a value made from two answers of the Engine API. */
export interface Topology {
  readonly networks: readonly TopologyNetwork[];
  readonly containers: readonly TopologyContainer[];
}

export interface TopologyNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  /** CIDR, v4 and v6. */
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
  readonly internal: boolean;
}

export interface TopologyContainer {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** `running`, `exited`, … */
  readonly state: string;
  readonly endpoints: readonly TopologyEndpoint[];
  /** Such as `127.0.0.1:8080 → 80/tcp`; a run of ports is one line: `0.0.0.0:8000-8009 → 8000-8009/tcp`. */
  readonly ports: readonly string[];
  /** Whose network it uses: the other container's name. */
  readonly shares?: string;
}

export interface TopologyEndpoint { readonly networkId: string; readonly addresses: readonly string[]; readonly aliases: readonly string[] }

/** Networks in natural order of their names, without those that nobody is on when `used` is set; containers in that of theirs. */
export function buildTopology(networks: readonly NetworkInspect[], containers: readonly ContainerSummary[], options: { used: boolean }): Topology {
  const idByName = new Map(networks.map((network) => [network.Name, network.Id]));
  const nameById = new Map(containers.map((container) => [container.Id, nameOf(container)]));
  const drawn = containers.map((container): TopologyContainer => {
    const mode = container.HostConfig.NetworkMode;
    const target = mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;
    const endpoints = Object.entries(container.NetworkSettings.Networks).flatMap(([name, endpoint]): TopologyEndpoint[] => {
      const networkId = idByName.get(name) ?? networks.find((network) => network.Id === endpoint.NetworkID)?.Id;
      if (networkId === undefined) return [];
      const addresses = [endpoint.IPAddress, endpoint.GlobalIPv6Address].filter((address): address is string => address !== undefined && address !== '');
      return [{ networkId, addresses, aliases: (endpoint.Aliases ?? []).filter((alias) => !container.Id.startsWith(alias)) }];
    });
    return {
      id: container.Id, name: nameOf(container), image: container.Image, state: container.State, endpoints, ports: describePorts(container.Ports),
      ...(target === undefined ? {} : { shares: nameById.get(target) ?? target.slice(0, 12) }),
    };
  });
  const inUse = new Set(drawn.flatMap((container) => container.endpoints.map((endpoint) => endpoint.networkId)));
  return {
    networks: networks.filter((network) => !options.used || inUse.has(network.Id)).map((network): TopologyNetwork => ({
      id: network.Id, name: network.Name, driver: network.Driver, internal: network.Internal,
      subnets: network.IPAM.Config.flatMap((pool) => pool.Subnet ?? []), gateways: network.IPAM.Config.flatMap((pool) => pool.Gateway ?? []),
    })).sort((a, b) => naturalOrder(a.name, b.name)),
    containers: drawn.sort((a, b) => naturalOrder(a.name, b.name)),
  };
}

const nameOf = (container: ContainerSummary): string => container.Names[0]?.replace(/^\//, '') ?? container.Id.slice(0, 12);

/** Published ports as lines; neighbours that map one to one are joined into ranges. */
export function describePorts(ports: ContainerSummary['Ports']): string[] {
  const published = ports.flatMap((port) => (port.PublicPort === undefined ? [] : [{ ip: port.IP ?? '', inner: port.PrivatePort, outer: port.PublicPort, protocol: port.Type }]))
    .sort((a, b) => a.ip.localeCompare(b.ip) || a.protocol.localeCompare(b.protocol) || a.outer - b.outer);
  const runs: { ip: string; inner: number; outer: number; protocol: string; length: number }[] = [];
  for (const port of published) {
    const last = runs.at(-1);
    if (last !== undefined && last.ip === port.ip && last.protocol === port.protocol && port.outer === last.outer + last.length && port.inner === last.inner + last.length) last.length++;
    else runs.push({ ...port, length: 1 });
  }
  const range = (from: number, length: number): string => (length === 1 ? String(from) : `${from}-${from + length - 1}`);
  return runs.map(({ ip, inner, outer, protocol, length }) => `${ip.includes(':') ? `[${ip}]` : ip}:${range(outer, length)} → ${range(inner, length)}/${protocol}`);
}
