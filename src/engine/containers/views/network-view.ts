import type { EndpointSettings, NetworkSettings, PortBinding, PortMap, PortSummary } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { parsePort } from '../create/ports.ts';

/** A container's networks by name, as inspect and ps show them. */
export function networksOf({ network }: EngineContext, container: Container): Record<string, EndpointSettings> {
  const mode = container.doc.hostConfig.NetworkMode ?? 'bridge';
  if (mode.startsWith('container:') || container.doc.config.NetworkDisabled === true) return {};
  const { endpoint, status } = container.state;
  const up = status === 'running' || status === 'paused';
  const asked = container.doc.endpoints[mode];
  return {
    [mode]: {
      IPAMConfig: asked?.IPAMConfig ?? null, Links: null, Aliases: null, MacAddress: endpoint?.mac ?? '', DriverOpts: asked?.DriverOpts ?? null, GwPriority: 0,
      NetworkID: up ? (mode === 'bridge' ? network.bridge.id : networkId(mode)) : '', EndpointID: endpoint?.endpointId ?? '', Gateway: endpoint?.gateway ?? '',
      IPAddress: endpoint?.address ?? '', IPPrefixLen: endpoint?.prefixLength ?? 0, IPv6Gateway: '', GlobalIPv6Address: '', GlobalIPv6PrefixLen: 0, DNSNames: null,
    },
  };
}

/** Stable ids for the networks that are none. */
export const networkId = (name: string): string => Buffer.from(`naru-${name}`).toString('hex').padEnd(64, '0').slice(0, 64);

export function networkSettings(engine: EngineContext, container: Container): NetworkSettings {
  const { endpoint, pid } = container.state;
  return {
    Bridge: '', SandboxID: pid > 0 ? container.id : '', SandboxKey: pid > 0 ? `/proc/${pid}/ns/net` : '', Ports: portMap(container), HairpinMode: false,
    LinkLocalIPv6Address: '', LinkLocalIPv6PrefixLen: 0, SecondaryIPAddresses: null, SecondaryIPv6Addresses: null,
    EndpointID: endpoint?.endpointId ?? '', Gateway: endpoint?.gateway ?? '', GlobalIPv6Address: '', GlobalIPv6PrefixLen: 0,
    IPAddress: endpoint?.address ?? '', IPPrefixLen: endpoint?.prefixLength ?? 0, IPv6Gateway: '', MacAddress: endpoint?.mac ?? '',
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
  for (const port of state.endpoint?.ports ?? []) {
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
