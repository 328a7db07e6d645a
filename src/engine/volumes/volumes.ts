import { randomBytes } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { Filters, PruneReport, Volume, VolumeCreateRequest } from '#spec/engine-api.ts';
import type { Volumes } from '#api/engine-port.ts';
import type { EngineContext } from '../engine-context.ts';
import { booleanFilter, checkFilterKeys, matchesExactly, matchesLabels, matchesPattern, untilFilter } from '../filters/match-filters.ts';
import { parseTime } from '../time/timestamps.ts';
import { checkVolumeName } from '../containers/create/parse-bind.ts';
import { checkVolumeOptions, volumeDirectory } from './volume-source.ts';
import { newVolume, type VolumeRecord } from './volume-table.ts';

const LIST_KEYS = new Set(['dangling', 'driver', 'label', 'name']);
const PRUNE_KEYS = new Set(['all', 'label', 'label!', 'until']);

/** The API's volumes: the local driver. */
export function createVolumes(engine: EngineContext): Volumes {
  const { volumes, events } = engine;
  const find = (name: string): VolumeRecord => {
    const record = volumes.get(name);
    if (record === undefined) throw new NaruError('not-found', `get ${name}: no such volume`);
    return record;
  };
  const remove = async (record: VolumeRecord): Promise<void> => {
    await volumes.remove(record.name);
    events.emit('volume', 'destroy', { id: record.name, attributes: { driver: 'local' } });
  };
  return {
    async create(request) {
      return volumeView(engine, createVolume(engine, request));
    },
    async list(filters) {
      checkFilterKeys(filters, LIST_KEYS);
      const dangling = booleanFilter(filters, 'dangling');
      const chosen = volumes.all().filter((record) =>
        matchesPattern(filters, 'name', record.name) && matchesExactly(filters, 'driver', record.driver) && matchesLabels(filters, record.labels) &&
        (dangling === undefined || (volumes.users(record.name).length === 0) === dangling));
      return { Volumes: chosen.map((record) => volumeView(engine, record)), Warnings: null };
    },
    async inspect(name) {
      return volumeView(engine, find(name));
    },
    async remove(name, force) {
      const record = volumes.get(name);
      if (record === undefined && force) return;
      await remove(find(name));
    },
    async prune(filters) {
      return pruneVolumes(engine, filters, remove);
    },
  };
}

/** Idempotent, as Docker's: an existing volume is answered when driver and options agree. Throws conflict when they do not. */
export function createVolume({ volumes, events }: EngineContext, request: VolumeCreateRequest): VolumeRecord {
  const { Name = '', Driver = '', DriverOpts = {}, Labels = {} } = request;
  if (Driver !== '' && Driver !== 'local') throw new NaruError('not-found', `error looking up volume plugin ${Driver}: plugin "${Driver}" not found`);
  const name = Name === '' ? randomBytes(32).toString('hex') : Name;
  checkVolumeName(name);
  checkVolumeOptions(name, DriverOpts ?? {});
  const existing = volumes.get(name);
  if (existing !== undefined) {
    const options = DriverOpts ?? {};
    const differs = Object.keys(options).length > 0 && JSON.stringify(Object.entries(options).sort()) !== JSON.stringify(Object.entries(existing.options).sort());
    if (differs) throw new NaruError('conflict', `create ${name}: conflict: volume name must be unique`);
    return existing;
  }
  const record = newVolume(name, {
    labels: { ...Labels, ...(Name === '' ? { 'com.docker.volume.anonymous': '' } : {}) }, options: DriverOpts ?? {}, anonymous: Name === '',
  });
  volumes.insert(record);
  events.emit('volume', 'create', { id: name, attributes: { driver: 'local' } });
  return record;
}

export const volumeView = ({ volumes }: EngineContext, record: VolumeRecord): Volume => ({
  CreatedAt: record.created.replace(/\.\d+Z$/, 'Z'), Driver: record.driver, Labels: record.labels, Mountpoint: volumes.dataPath(record.name), Name: record.name,
  Options: Object.keys(record.options).length === 0 ? null : record.options, Scope: 'local',
});

/** Anonymous ones only, unless `all` says otherwise. */
async function pruneVolumes(engine: EngineContext, filters: Filters, remove: (record: VolumeRecord) => Promise<void>): Promise<PruneReport> {
  checkFilterKeys(filters, PRUNE_KEYS);
  const all = booleanFilter(filters, 'all') ?? false;
  const until = untilFilter(filters);
  const report: PruneReport & { VolumesDeleted: string[] } = { VolumesDeleted: [], SpaceReclaimed: 0 };
  for (const record of engine.volumes.all()) {
    if ((!all && !record.anonymous) || !matchesLabels(filters, record.labels)) continue;
    if (until !== undefined && (parseTime(record.created) ?? 0n) >= until) continue;
    if (engine.volumes.users(record.name).length > 0) continue;
    const size = await volumeSize(engine, record);
    try {
      await remove(record);
    } catch (error) {
      if (error instanceof NaruError && error.kind === 'conflict') continue; // somebody took it meanwhile
      throw error;
    }
    report.VolumesDeleted.push(record.name);
    report.SpaceReclaimed += size;
  }
  engine.events.emit('volume', 'prune', { id: '', attributes: { reclaimed: String(report.SpaceReclaimed) } });
  return report;
}

/** Bytes on disk; 0 for a volume that lies elsewhere. Hard links count once. */
export async function volumeSize({ volumes }: EngineContext, record: VolumeRecord): Promise<number> {
  const directory = volumeDirectory(volumes, record);
  if (directory === undefined || record.options['device'] !== undefined) return 0;
  const seen = new Set<string>();
  const walk = async (path: string): Promise<number> => {
    let total = 0;
    for (const entry of await readdir(path, { withFileTypes: true }).catch(() => [])) {
      const child = join(path, entry.name);
      const stat = await lstat(child).catch(() => undefined);
      if (stat === undefined) continue;
      const key = `${stat.dev}:${stat.ino}`;
      if (stat.nlink > 1 && !entry.isDirectory()) {
        if (seen.has(key)) continue;
        seen.add(key);
      }
      total += entry.isDirectory() ? await walk(child) : stat.size;
    }
    return total;
  };
  return walk(directory);
}
