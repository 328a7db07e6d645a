import { NaruError } from '#spec/errors.ts';
import type { NetworkInspect } from '#spec/engine-api.ts';
import type { Networks } from '#api/engine-port.ts';
import type { EngineContext } from '../engine-context.ts';
import { booleanFilter, checkFilterKeys, matchesExactly, matchesLabels, matchesPattern } from '../filters/match-filters.ts';
import { networkId } from '../containers/views/network-view.ts';
import { parseTime } from '../time/timestamps.ts';

const KEYS = new Set(['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']);

/** The three networks of this build: bridge, host, none. */
export function createNetworks(engine: EngineContext, created: string): Networks {
  const all = (): NetworkInspect[] => [bridge(engine, created), builtIn('host', 'host', created), builtIn('none', 'null', created)];
  return {
    async list(filters) {
      checkFilterKeys(filters, KEYS);
      const dangling = booleanFilter(filters, 'dangling');
      return all()
        .filter((network) =>
          matchesPattern(filters, 'name', network.Name) && matchesPattern(filters, 'id', network.Id) && matchesExactly(filters, 'driver', network.Driver) &&
          matchesExactly(filters, 'scope', network.Scope) && matchesLabels(filters, network.Labels) && matchesExactly(filters, 'type', 'builtin') && dangling !== true)
        .map((network) => ({ ...network, Containers: {} }));
    },
    async inspect(name) {
      const networks = all();
      const found = networks.find((network) => network.Name === name || network.Id === name) ?? (name.length >= 3 ? networks.find((network) => network.Id.startsWith(name)) : undefined);
      if (found === undefined) throw new NaruError('not-found', `network ${name} not found`);
      return { ...found, Containers: members(engine, found.Name) };
    },
  };
}

function bridge({ network }: EngineContext, created: string): NetworkInspect {
  const { name, subnet, gateway, id, mtu } = network.bridge;
  return {
    ...base('bridge', created), Id: id, Driver: 'bridge', IPAM: { Driver: 'default', Options: null, Config: [{ Subnet: subnet, Gateway: gateway }] },
    Options: {
      'com.docker.network.bridge.default_bridge': 'true', 'com.docker.network.bridge.enable_icc': 'true', 'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0', 'com.docker.network.bridge.name': name, 'com.docker.network.driver.mtu': String(mtu),
    },
  };
}

const builtIn = (name: string, driver: string, created: string): NetworkInspect => ({ ...base(name, created), Id: networkId(name), Driver: driver });

const base = (name: string, created: string): Omit<NetworkInspect, 'Id' | 'Driver'> => ({
  Name: name, Created: parseTime(created) === undefined ? '' : created, Scope: 'local', EnableIPv4: true, EnableIPv6: false, IPAM: { Driver: 'default', Options: null, Config: [] },
  Internal: false, Attachable: false, Ingress: false, ConfigFrom: { Network: '' }, ConfigOnly: false, Options: {}, Labels: {},
});

function members({ containers }: EngineContext, name: string): NonNullable<NetworkInspect['Containers']> {
  const found: NonNullable<NetworkInspect['Containers']> = {};
  for (const container of containers.all()) {
    if (container.task === undefined || container.doc.hostConfig.NetworkMode !== name) continue;
    const { endpoint } = container.state;
    found[container.id] = {
      Name: container.name, EndpointID: endpoint?.endpointId ?? '', MacAddress: endpoint?.mac ?? '',
      IPv4Address: endpoint === undefined ? '' : `${endpoint.address}/${endpoint.prefixLength}`, IPv6Address: '',
    };
  }
  return found;
}
