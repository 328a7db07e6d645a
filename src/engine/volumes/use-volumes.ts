import { lookup } from 'node:dns/promises';
import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../engine-context.ts';
import type { Container } from '../containers/container.ts';
import { serverName } from './volume-source.ts';
import type { VolumeRecord } from './volume-table.ts';

/**
 * Runs the start of a container whose volumes may be file systems of their own. `work` gets the addresses of the servers that they name.
 * Users of a tmpfs, which is made by its first one, start one after the other. Throws unavailable for a server that has no address.
 */
export async function useVolumes<T>(engine: EngineContext, container: Container, work: (servers: ReadonlyMap<string, string>) => Promise<T>): Promise<T> {
  const names = new Set(container.doc.mounts.flatMap(({ type, name }) => (type === 'volume' ? [name!] : [])));
  const volumes = [...names].sort().flatMap((name) => engine.volumes.get(name) ?? []).filter(({ options }) => options['type'] !== undefined);
  if (volumes.length === 0) return work(new Map());
  const servers = new Map(await Promise.all(volumes.flatMap((volume) => {
    const name = serverName(volume);
    return name === undefined ? [] : [addressOf(volume, name)];
  })));
  const locked = volumes.filter(({ options }) => options['type'] === 'tmpfs').reduceRight(
    (next, { name }) => () => engine.volumes.mutex(name).run(`start container ${container.name}`, next), () => work(servers));
  return locked();
}

async function addressOf(volume: VolumeRecord, server: string): Promise<[string, string]> {
  try {
    return [server, (await lookup(server)).address];
  } catch (cause) {
    throw new NaruError('unavailable', `error resolving passed in network volume address: volume ${volume.name}: lookup ${server}: no such host`, { cause });
  }
}
