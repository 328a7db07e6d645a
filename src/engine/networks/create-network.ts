import { randomBytes } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { NetworkCreateRequest, NetworkCreateResponse } from '#spec/engine-api.ts';
import type { NetworkDriver, NetworkRecord, NetworkRequest } from '#net/port.ts';
import type { EngineContext } from '../engine-context.ts';
import { formatTime, nowNano } from '../time/timestamps.ts';
import { PREDEFINED } from './network-table.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Throws in Docker's words: invalid, conflict (the name), forbidden (an overlap, a predefined name). The row comes first: a daemon
 *  that dies before the kernel was told makes the rest at its next start. */
export async function createNetwork(engine: EngineContext, request: NetworkCreateRequest): Promise<NetworkCreateResponse> {
  const { networks, network } = engine;
  const name = request.Name ?? '';
  if (name.trim() === '') throw new NaruError('invalid', 'invalid network name: name is empty');
  if (PREDEFINED.has(name) || name === 'default') throw new NaruError('forbidden', `operation is not permitted on predefined ${name} network`);
  if (name.startsWith('container:') || !NAME.test(name)) throw new NaruError('invalid', `invalid network name "${name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  if (networks.all().some((each) => each.name === name)) throw new NaruError('conflict', `network with name ${name} already exists`);
  const record = network.design(toDesign(engine, name, request));
  try {
    networks.insert(record);
    await network.make(record);
  } catch (error) {
    await network.forget(record);
    networks.delete(record);
    throw error;
  }
  engine.events.emit('network', 'create', { id: record.id, attributes: { name, type: record.driver } });
  return { Id: record.id, Warning: '' };
}

function toDesign(engine: EngineContext, name: string, request: NetworkCreateRequest): NetworkRequest {
  if (request.Ingress === true) throw new NaruError('unsupported', 'ingress networks belong to swarm mode, which is not supported');
  if (request.Scope === 'swarm') throw new NaruError('unsupported', 'networks of scope swarm are not supported');
  if (request.IPAM?.Driver && request.IPAM.Driver !== 'default') throw new NaruError('not-found', `plugin "${request.IPAM.Driver}" not found`, { hint: 'addresses are managed by the driver "default"' });
  const from = request.ConfigFrom?.Network ?? '';
  if (request.ConfigOnly === true) {
    if (from !== '') throw new NaruError('forbidden', 'a configuration network cannot depend on another configuration network');
    if (request.Internal === true || request.Attachable === true) throw new NaruError('forbidden', 'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.');
  }
  if (from !== '') {
    if (request.EnableIPv6 === true || [request.Labels, request.IPAM?.Options, request.IPAM?.Config].some((each) => Object.keys(each ?? {}).length > 0)) throw new NaruError('forbidden', 'user specified configurations are not supported if the network depends on a configuration network');
    if (Object.keys(request.Options ?? {}).length > 0) throw new NaruError('forbidden', 'network driver options are not supported if the network depends on a configuration network');
  }
  const base = from === '' ? undefined : configOf(engine, from);
  return {
    id: randomBytes(32).toString('hex'), name, created: formatTime(nowNano()), driver: driverOf(request.Driver ?? ''),
    ipv4: base?.ipv4 ?? request.EnableIPv4 ?? true, ipv6: base?.ipv6 ?? request.EnableIPv6 ?? false, internal: request.Internal ?? false,
    attachable: request.Attachable ?? false, configOnly: request.ConfigOnly ?? false, configFrom: base?.name ?? '', ipamOptions: base?.ipamOptions ?? request.IPAM?.Options ?? {},
    options: base?.options ?? request.Options ?? {}, labels: base?.labels ?? request.Labels ?? {},
    pools: base?.pools ?? (request.IPAM?.Config ?? []).map((pool) => ({
      subnet: pool.Subnet ?? '', ipRange: pool.IPRange ?? '', gateway: (pool.Gateway ?? '').split('/')[0]!, auxiliary: pool.AuxiliaryAddresses ?? {},
    })),
  };
}

function configOf({ networks }: EngineContext, name: string): NetworkRecord {
  const record = networks.tryFind(name);
  if (record?.configOnly !== true) throw new NaruError('not-found', `configuration network "${name}" does not exist`);
  return record;
}

function driverOf(driver: string): NetworkDriver {
  if (driver === '' || driver === 'bridge' || driver === 'default') return 'bridge';
  if (driver === 'macvlan' || driver === 'ipvlan') return driver;
  if (driver === 'host' || driver === 'null' || driver === 'none') throw new NaruError('forbidden', `only one instance of "${driver === 'none' ? 'null' : driver}" network is allowed`);
  if (driver === 'overlay') throw new NaruError('unsupported', 'network driver overlay is not supported: it belongs to swarm mode');
  throw new NaruError('not-found', `could not find plugin ${driver} in v1 plugin registry: plugin "${driver}" not found`);
}
