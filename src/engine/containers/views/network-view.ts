import type { EndpointSettings, NetworkSettings, PortBinding, PortMap, PortSummary } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import { PREDEFINED } from '../../networks/network-table.ts';
import type { Container } from '../container.ts';
import { parsePort } from '../create/ports.ts';
import { networkNamesOf } from '../network-names.ts';

/** A container's networks by name, as inspect and ps show them. */
export function networksOf({ networks }: EngineContext, container: Container): Record<string, EndpointSettings> {
  const { endpoints, status } = container.state;
  const up = status === 'running' || status === 'paused';
  return Object.fromEntries(networkNamesOf(container).map((name) => {
    const asked = container.doc.endpoints[name];
    const id = asked?.NetworkID || (up ? networks.tryFind(name)?.id : undefined) || '';
    const endpoint = endpoints.find((each) => each.network === name);
    const dnsNames = PREDEFINED.has(name) ? null : dnsNamesOf(container, asked);
    return [name, {
      IPAMConfig: asked?.IPAMConfig ?? null, Links: asked?.Links ?? null, Aliases: asked?.Aliases ?? null, MacAddress: endpoint?.mac ?? (up ? '' : asked?.MacAddress ?? ''),
      DriverOpts: asked?.DriverOpts ?? null, GwPriority: asked?.GwPriority ?? 0, NetworkID: id, EndpointID: endpoint?.endpointId ?? '',
      Gateway: endpoint?.gateway ?? '', IPAddress: endpoint?.address ?? '', IPPrefixLen: endpoint?.prefixLength ?? 0, IPv6Gateway: endpoint?.ipv6Gateway ?? '',
      GlobalIPv6Address: endpoint?.ipv6 ?? '', GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0, DNSNames: dnsNames,
    }];
  }));
}

/** The names under which a container is known on a network: its own, its aliases, its short id, its host name. */
export function dnsNamesOf(container: Container, asked: EndpointSettings | undefined): string[] {
  return [...new Set([container.name, ...(asked?.Aliases ?? []), container.shortId, ...(container.doc.config.Hostname ? [container.doc.config.Hostname] : [])])];
}

export function networkSettings(engine: EngineContext, container: Container): NetworkSettings {
  const { endpoints, pid } = container.state;
  // Docker's fields of old: of the default bridge only.
  const endpoint = endpoints.find((each) => each.network === 'bridge');
  return {
    Bridge: '', SandboxID: pid > 0 ? container.id : '', SandboxKey: pid > 0 ? `/proc/${pid}/ns/net` : '', Ports: portMap(container), HairpinMode: false,
    LinkLocalIPv6Address: '', LinkLocalIPv6PrefixLen: 0, SecondaryIPAddresses: null, SecondaryIPv6Addresses: null,
    EndpointID: endpoint?.endpointId ?? '', Gateway: endpoint?.gateway ?? '', GlobalIPv6Address: endpoint?.ipv6 ?? '', GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
    IPAddress: endpoint?.address ?? '', IPPrefixLen: endpoint?.prefixLength ?? 0, IPv6Gateway: endpoint?.ipv6Gateway ?? '', MacAddress: endpoint?.mac ?? '',
    Networks: networksOf(engine, container),
  };
}

/** Every exposed port of a container that runs, with what it is published at. */
function portMap({ state, doc }: Container): PortMap {
  const map: PortMap = {};
  if (state.pid === 0) return map;
  for (const port of Object.keys(doc.config.ExposedPorts ?? {})) {
    const { port: number, protocol } = parsePort(port);
    map[`${number}/${protocol}`] = null;
  }
  for (const port of state.endpoints.flatMap((each) => each.ports)) {
    const list: PortBinding[] = (map[`${port.containerPort}/${port.protocol}`] ??= []);
    list.push({ HostIp: port.hostIp || '0.0.0.0', HostPort: String(port.hostPort) });
  }
  return map;
}

export function portSummaries(container: Container): PortSummary[] {
  const list: PortSummary[] = [];
  for (const [key, bindings] of Object.entries(portMap(container))) {
    const { port, protocol } = parsePort(key);
    if (bindings === null) list.push({ PrivatePort: port, Type: protocol });
    for (const { HostIp, HostPort } of bindings ?? []) list.push({ IP: HostIp, PrivatePort: port, PublicPort: Number(HostPort), Type: protocol });
  }
  return list;
}
