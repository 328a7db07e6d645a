import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { EndpointRecord } from '#net/port.ts';
import { buildHosts, extendHosts } from '#net/hosts-file.ts';
import type { EngineContext } from '../../engine-context.ts';
import { resolvConfOf } from '../../networks/container-dns.ts';
import type { Container } from '../container.ts';
import { stateDirectory } from '../container-paths.ts';
import { namespaceOption } from '../../volumes/volume-source.ts';
import { linkHosts } from './links.ts';
import type { SpecInput } from './spec-draft.ts';

/** The container whose namespace is joined. Throws conflict when it does not run: there is nothing to join. */
export function joined(engine: EngineContext, mode: string | undefined): Container | undefined {
  if (mode?.startsWith('container:') !== true) return undefined;
  const other = engine.containers.find(mode.slice('container:'.length));
  if (other.task === undefined) throw new NaruError('conflict', `cannot join the namespaces of a container that is not running: container ${other.id} is not running`);
  return other;
}

/** Files for /etc in the container's own volatile directory; a container on another's network has that one's. */
export function writeHostFiles(engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[]): SpecInput['files'] {
  const { config, hostConfig } = container.doc;
  const donor = joined(engine, hostConfig.NetworkMode);
  if (donor !== undefined) return filesIn(stateDirectory(engine, donor.id));
  const files = filesIn(stateDirectory(engine, container.id));
  const hostname = config.Hostname || container.shortId;
  const names = { extraHosts: hostConfig.ExtraHosts ?? [], hostGateway: engine.network.bridge.pools[0]!.gateway };
  const host = hostConfig.NetworkMode === 'host';
  writeFileSync(files.hostname, `${hostname}\n`, { mode: 0o644 });
  writeFileSync(files.resolvConf, resolvConfOf(engine, container, endpoints).text, { mode: 0o644 });
  writeFileSync(files.hosts, host
    ? extendHosts(readText('/etc/hosts') ?? '', names)
    : buildHosts({ ...names, hostname, domainname: config.Domainname ?? '', addresses: endpoints.flatMap((each) => [each.address, each.ipv6]) }) + linkHosts(engine, container), { mode: 0o644 });
  return files;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

const filesIn = (directory: string): NonNullable<SpecInput['files']> => ({
  resolvConf: join(directory, 'resolv.conf'), hostname: join(directory, 'hostname'), hosts: join(directory, 'hosts'),
});

/** Where /dev/shm comes from when it is not a new tmpfs of the container's own. */
export function sharedMemory(engine: EngineContext, container: Container): SpecInput['sharedMemory'] {
  const mode = container.doc.hostConfig.IpcMode ?? 'private';
  if (mode === 'host') return { source: '/dev/shm', options: [] };
  const donor = joined(engine, mode);
  return donor === undefined ? undefined : { source: '/dev/shm', options: [namespaceOption(donor.task!.pid)] };
}
