import { NaruError } from '#spec/errors.ts';
import type { NetworkInspect } from '#spec/engine-api.ts';
import type { Networks } from '#api/engine-port.ts';
import type { NetworkRecord } from '#net/port.ts';
import type { EngineContext } from '../engine-context.ts';
import { booleanFilter, checkFilterKeys, matchesExactly, matchesLabels, matchesPattern, untilFilter } from '../filters/match-filters.ts';
import { networkNamesOf } from '../containers/network-names.ts';
import { parseTime } from '../time/timestamps.ts';
import { connectContainer, disconnectContainer } from './connect-container.ts';
import { dnsReport } from './dns-report.ts';
import { createNetwork } from './create-network.ts';
import { PREDEFINED } from './network-table.ts';

const KEYS = new Set(['dangling', 'driver', 'id', 'label', 'label!', 'name', 'scope', 'type']);
const PRUNE_KEYS = new Set(['label', 'label!', 'until']);

/** The API's networks. */
export function createNetworks(engine: EngineContext): Networks {
  const { networks } = engine;
  const isUsed = (record: NetworkRecord): boolean => engine.containers.all().some((container) => networkNamesOf(container).includes(record.name));
  return {
    async create(request) {
      return createNetwork(engine, request);
    },
    async list(filters) {
      checkFilterKeys(filters, KEYS);
      const dangling = booleanFilter(filters, 'dangling');
      for (const type of filters.get('type') ?? []) if (type !== 'builtin' && type !== 'custom') throw new NaruError('invalid', `invalid filter: 'type'='${type}'`);
      return networks.all()
        .filter((record) =>
          matchesPattern(filters, 'name', record.name) && matchesPattern(filters, 'id', record.id) && matchesExactly(filters, 'driver', record.configOnly ? 'null' : record.driver) &&
          matchesExactly(filters, 'scope', 'local') && matchesLabels(filters, record.labels) && matchesExactly(filters, 'type', PREDEFINED.has(record.name) ? 'builtin' : 'custom') &&
          (dangling === undefined || dangling === (!PREDEFINED.has(record.name) && !isUsed(record))))
        .map((record) => ({ ...networkView(record), Containers: {} }));
    },
    async inspect(name) {
      const record = networks.find(name);
      return { ...networkView(record), Containers: members(engine, record) };
    },
    async remove(name) {
      if (!(await removeNetwork(engine, networks.find(name)))) throw new NaruError('not-found', `network ${name} not found`);
    },
    async connect(name, reference, settings) {
      await connectContainer(engine, networks.find(name), { container: engine.containers.find(reference), settings });
    },
    async disconnect(name, reference, force) {
      const record = networks.find(name);
      const container = engine.containers.tryFind(reference);
      if (container === undefined) {
        if (force) return;
        throw new NaruError('not-found', `No such container: ${reference}`);
      }
      await disconnectContainer(engine, record, { container, force });
    },
    dns: () => dnsReport(engine),
    async prune(filters) {
      checkFilterKeys(filters, PRUNE_KEYS);
      const until = untilFilter(filters);
      const deleted: string[] = [];
      for (const record of networks.userDefined()) {
        if (isUsed(record) || record.configOnly || !matchesLabels(filters, record.labels)) continue;
        if (until !== undefined && (parseTime(record.created) ?? 0n) >= until) continue;
        if (await removeNetwork(engine, record)) deleted.push(record.name);
      }
      engine.events.emit('network', 'prune', { id: '', attributes: { reclaimed: '0' } });
      return { NetworksDeleted: deleted, SpaceReclaimed: 0 };
    },
  };
}

/** The kernel first: without the row nobody would look for the bridge. Throws forbidden for a predefined one and while it is in use. */
async function removeNetwork(engine: EngineContext, record: NetworkRecord): Promise<boolean> {
  if (PREDEFINED.has(record.name)) throw new NaruError('forbidden', `${record.name} is a pre-defined network and cannot be removed`);
  const users = engine.containers.all().flatMap((container) => container.state.endpoints.filter((each) => each.networkId === record.id).map((each) => `name:"${container.name}" id:"${each.endpointId.slice(0, 12)}"`));
  if (users.length > 0) throw new NaruError('forbidden', `error while removing network: network ${record.name} has active endpoints (${users.join(', ')})`);
  const heirs = engine.networks.userDefined().filter((each) => each.configFrom === record.name && record.configOnly);
  if (heirs.length > 0) throw new NaruError('forbidden', `error while removing network: configuration network "${record.name}" is in use`);
  await engine.network.forget(record);
  if (engine.networks.tryFind(record.id) === undefined) return false; // another removal was first
  engine.networks.delete(record);
  engine.events.emit('network', 'destroy', { id: record.id, attributes: { name: record.name, type: record.driver } });
  return true;
}

export const networkView = (record: NetworkRecord): NetworkInspect => ({
  Name: record.name, Id: record.id, Created: record.created, Scope: 'local', Driver: record.configOnly ? 'null' : record.driver, EnableIPv4: record.ipv4, EnableIPv6: record.ipv6,
  IPAM: {
    Driver: 'default', Options: record.name === 'bridge' || Object.keys(record.ipamOptions).length === 0 ? (PREDEFINED.has(record.name) ? null : {}) : record.ipamOptions,
    Config: record.pools.map((pool) => ({
      Subnet: pool.subnet, ...(pool.ipRange === '' ? {} : { IPRange: pool.ipRange }), ...(pool.gateway === '' ? {} : { Gateway: pool.gateway }),
      ...(Object.keys(pool.auxiliary).length === 0 ? {} : { AuxiliaryAddresses: pool.auxiliary }),
    })),
  },
  Internal: record.internal, Attachable: record.attachable, Ingress: false, ConfigFrom: { Network: record.configFrom }, ConfigOnly: record.configOnly,
  Options: record.options, Labels: record.labels,
});

function members({ containers }: EngineContext, record: NetworkRecord): NonNullable<NetworkInspect['Containers']> {
  const found: NonNullable<NetworkInspect['Containers']> = {};
  const cidr = (address: string, length: number): string => (address === '' ? '' : `${address}/${length}`);
  for (const container of containers.all()) {
    if (container.task === undefined || !networkNamesOf(container).includes(record.name)) continue;
    const endpoint = container.state.endpoints.find((each) => each.networkId === record.id);
    found[container.id] = {
      Name: container.name, EndpointID: endpoint?.endpointId ?? '', MacAddress: endpoint?.mac ?? '',
      IPv4Address: cidr(endpoint?.address ?? '', endpoint?.prefixLength ?? 0), IPv6Address: cidr(endpoint?.ipv6 ?? '', endpoint?.ipv6PrefixLength ?? 0),
    };
  }
  return found;
}
