import { isIP, isIPv4, isIPv6 } from 'node:net';
import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig, ContainerCreateRequest, EndpointSettings, HostConfig } from '#spec/engine-api.ts';
import type { NetworkRecord } from '#net/port.ts';
import type { EngineContext } from '../../engine-context.ts';
import { PREDEFINED } from '../../networks/network-table.ts';
import { networkOf } from './validate-modes.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);
const MAC = /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/;

/** What the request says of its networks, by name, the one of NetworkMode first. A network that is not there is the start's affair, as it is Docker's:
 *  it may be made until then. Throws in Docker's words. */
export function designEndpoints(engine: EngineContext, request: ContainerCreateRequest, { config, host }: { config: ContainerConfig; host: HostConfig }): Record<string, EndpointSettings> {
  const mode = networkOf(host);
  const given = new Map<string, EndpointSettings | null>();
  /** The name, also of one that was given by its id. */
  const nameOf = (reference: string): string => engine.networks.tryFind(reference)?.name ?? reference;
  for (const [name, settings] of Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {})) {
    given.set(name.startsWith('container:') ? name : nameOf(name), settings);
  }
  if (mode.startsWith('container:') || config.NetworkDisabled === true) {
    if ([...given.keys()].some((name) => name !== mode)) throw invalid('conflicting options: container sharing network namespace with another container or host cannot be connected to any other network');
    return {};
  }
  const main = nameOf(mode);
  // The name from here on, as Docker's own: what was given may have been an id.
  host.NetworkMode = main;
  const names = [main, ...[...given.keys()].filter((name) => name !== main)];
  if (names.length > 1 && names.some((name) => name === 'host' || name === 'none')) {
    throw invalid(names.includes('host') ? 'conflicting options: cannot attach both user-defined and non-user-defined network-modes' : 'container cannot be connected to multiple networks with one of the networks in private (none) mode');
  }
  const endpoints: Record<string, EndpointSettings> = {};
  for (const name of names) {
    const record = engine.networks.tryFind(name);
    let settings = given.get(name) ?? {};
    if (name === main && config.MacAddress) {
      if (settings.MacAddress && settings.MacAddress.toLowerCase() !== config.MacAddress.toLowerCase()) {
        throw invalid('the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty');
      }
      if (record === undefined || hasMac(record)) settings = { ...settings, MacAddress: config.MacAddress };
    }
    if (record !== undefined) checkEndpoint(record, settings);
    endpoints[name] = record === undefined || PREDEFINED.has(name) ? settings : { ...settings, NetworkID: record.id };
  }
  return endpoints;
}

const hasMac = ({ driver }: NetworkRecord): boolean => driver === 'bridge' || driver === 'macvlan';

/** What one network can be asked for. Throws invalid, or forbidden, in Docker's words. */
export function checkEndpoint(record: NetworkRecord, settings: EndpointSettings): void {
  if (record.configOnly) throw new NaruError('forbidden', `cannot connect container to network ${record.name}: it is a configuration network`);
  const { IPv4Address = '', IPv6Address = '', LinkLocalIPs } = settings.IPAMConfig ?? {};
  const bad = (text: string): NaruError => invalid(`invalid config for network ${record.name}: invalid endpoint settings:\n${text}`);
  if (PREDEFINED.has(record.name)) {
    if (IPv4Address || IPv6Address) throw bad('user specified IP address is supported on user defined networks only');
    if ((settings.Aliases ?? []).length > 0) throw bad('network-scoped aliases are only supported for user-defined networks');
    if ((settings.Links ?? []).length > 0) throw invalid('links are supported only for containers in user defined networks');
  }
  if (IPv4Address !== '' && !isIPv4(IPv4Address)) throw bad(`invalid IPv4 address: ${IPv4Address}`);
  if (IPv6Address !== '' && !isIPv6(IPv6Address)) throw bad(`invalid IPv6 address: ${IPv6Address}`);
  for (const address of LinkLocalIPs ?? []) if (isIP(address) === 0) throw bad(`invalid link-local IP address: ${address}`);
  if (IPv4Address !== '' && !record.ipv4) throw bad(`IPv4 address ${IPv4Address}: the network has no IPv4`);
  if (IPv6Address !== '' && !record.ipv6) throw bad(`no configured subnet or ip-range contain the IP address ${IPv6Address}`);
  if (settings.MacAddress && !MAC.test(settings.MacAddress)) throw invalid(`invalid MAC address: ${settings.MacAddress}`);
}
