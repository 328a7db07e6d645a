import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DnsConfiguration, DnsEndpoint } from '#net/dns/port.ts';
import { LOOPBACK_RESOLVER } from '#net/dns/resolver-address.ts';
import { type ResolverConf, resolverConf } from '#net/dns/resolver-conf.ts';
import type { EndpointRecord } from '#net/port.ts';
import { type ResolvOverrides, RESOLV_CONF, buildResolvConf, hostResolvConf } from '#net/resolv-conf.ts';
import type { EngineContext } from '../engine-context.ts';
import type { Container } from '../containers/container.ts';
import { stateDirectory } from '../containers/container-paths.ts';
import { dnsNamesOf } from '../containers/views/network-view.ts';
import { PREDEFINED } from './network-table.ts';

const onUserNetworks = (endpoints: readonly EndpointRecord[]): EndpointRecord[] => endpoints.filter(({ network }) => !PREDEFINED.has(network));

/** Whether a container with these endpoints has the resolver at 127.0.0.11: on the default bridge alone, as under Docker, none has. */
export const hasResolver = (engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[]): boolean =>
  onUserNetworks(endpoints).length > 0 || asksResolver(engine, container);

/** One that runs and left its last user-defined network still asks there. */
const asksResolver = (engine: EngineContext, container: Container): boolean =>
  container.task !== undefined && (read(resolvConfPath(engine, container)) ?? '').includes(`nameserver ${LOOPBACK_RESOLVER}\n`);

const resolvConfPath = (engine: EngineContext, { id }: Container): string => join(stateDirectory(engine, id), 'resolv.conf');

/** /etc/resolv.conf of a container, and whom its resolver asks (none on the default bridge). */
export function resolvConfOf(engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[]): Pick<ResolverConf, 'text'> & Partial<ResolverConf> {
  if (!hasResolver(engine, container, endpoints)) return { text: plainResolvConf(container) };
  return resolverConf(read(RESOLV_CONF) ?? '', overridesOf(container), { ipv6: endpoints.some((each) => each.ipv6 !== '') });
}

function plainResolvConf(container: Container): string {
  const host = hostResolvConf(read);
  const overrides = overridesOf(container);
  const own = Object.values(overrides).some((list: readonly string[]) => list.length > 0);
  return container.doc.hostConfig.NetworkMode === 'host' && !own ? host : buildResolvConf(host, overrides);
}

function overridesOf({ doc }: Container): ResolvOverrides {
  const { Dns, DnsSearch, DnsOptions } = doc.hostConfig;
  return { dns: Dns ?? [], search: DnsSearch ?? [], options: DnsOptions ?? [] };
}

/** undefined: it has no resolver of its own. */
export function dnsConfigurationOf(engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[]): DnsConfiguration | undefined {
  if (!hasResolver(engine, container, endpoints)) return undefined;
  const { upstreams, options } = resolvConfOf(engine, container, endpoints);
  if (upstreams === undefined || options === undefined) return undefined;
  const networks = onUserNetworks(endpoints).toSorted((a, b) => b.priority - a.priority);
  return {
    name: container.name,
    networks: networks.map((endpoint) => endpointOf(engine, container, endpoint)),
    links: [...networks.flatMap(({ network }) => container.doc.endpoints[network]?.Links ?? []), ...(container.doc.hostConfig.Links ?? [])].map((text) => parseLink(engine, text)),
    upstreams, options,
    internal: endpoints.length > 0 && endpoints.every(({ networkId }) => engine.networks.tryFind(networkId)?.internal === true),
  };
}

function endpointOf(engine: EngineContext, container: Container, endpoint: EndpointRecord): DnsEndpoint {
  return {
    networkId: endpoint.networkId, networkName: endpoint.network, addresses: [endpoint.address, endpoint.ipv6].filter((each) => each !== ''),
    names: dnsNamesOf(container, container.doc.endpoints[endpoint.network]),
    subnets: engine.networks.tryFind(endpoint.networkId)?.pools.map(({ subnet }) => subnet) ?? [],
  };
}

/** `name:alias` or `id:alias`, or Docker's full names of old: `/name:/self/alias`. */
function parseLink(engine: EngineContext, text: string): { alias: string; target: string } {
  const [name = '', alias = name] = text.split(':');
  const plain = name.replace(/^\//, '');
  return { target: engine.containers.get(plain)?.name ?? plain, alias: alias.slice(alias.lastIndexOf('/') + 1) };
}

/** The resolver hears what a container that runs is called and where it is. */
export function tellResolver(engine: EngineContext, container: Container): void {
  const { task, state } = container;
  if (task === undefined) return;
  const configuration = dnsConfigurationOf(engine, container, state.endpoints);
  if (configuration !== undefined) engine.dns.setContainer(container.id, { ...configuration, pid: task.pid });
}

/** A container that got its first user-defined network while it runs asks the resolver from now on, unless its resolv.conf was edited. */
export function switchToResolver(engine: EngineContext, container: Container): void {
  const path = resolvConfPath(engine, container);
  try {
    if (read(path) === plainResolvConf(container)) writeFileSync(path, resolvConfOf(engine, container, container.state.endpoints).text);
  } catch (error) {
    engine.report(error, `tell container ${container.name} of its resolver`);
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
