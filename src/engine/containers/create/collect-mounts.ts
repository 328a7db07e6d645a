import { randomBytes } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig, HostConfig, Mount } from '#spec/engine-api.ts';
import type { ImageRecord } from '#core/store.ts';
import type { MountRecord } from '../container.ts';
import { checkDestination, inVolume, parseBind } from './parse-bind.ts';
import { parseMount } from './parse-mount.ts';
import { tmpfsOptions } from './tmpfs-options.ts';

export interface MountSources {
  /** The mounts of another container, for `--volumes-from`. Throws not-found. */
  readonly mountsOf: (container: string) => readonly MountRecord[];
  /** Throws not-found. */
  readonly image: (name: string) => ImageRecord;
}

export interface CollectedMounts {
  readonly mounts: MountRecord[];
  /** What `--mount` says about a volume that it makes, by volume name. */
  readonly volumeOptions: ReadonlyMap<string, NonNullable<Mount['VolumeOptions']>>;
}

/**
 * Everything that will be mounted, in Docker's order of precedence: volumes-from, --volume, --mount, --tmpfs, then the image's VOLUMEs
 * where nothing else is. Anonymous volumes get their names here. Throws invalid for two at one place.
 */
export function collectMounts(config: ContainerConfig, host: HostConfig, sources: MountSources): CollectedMounts {
  const byDestination = new Map<string, MountRecord>();
  const named = new Set<string>();
  const volumeOptions = new Map<string, NonNullable<Mount['VolumeOptions']>>();
  const add = (record: MountRecord): MountRecord => {
    if (named.has(record.destination)) throw new NaruError('invalid', `Duplicate mount point: ${record.destination}`);
    named.add(record.destination);
    const full = record.type === 'volume' && record.name === '' ? { ...record, name: randomBytes(32).toString('hex') } : record;
    byDestination.set(record.destination, full);
    return full;
  };

  for (const spec of host.VolumesFrom ?? []) {
    for (const mount of inherit(spec, sources)) byDestination.set(mount.destination, mount);
  }
  for (const bind of host.Binds ?? []) {
    const record = parseBind(bind);
    add(record.type === 'volume' && host.VolumeDriver ? { ...record, driver: host.VolumeDriver } : record);
  }
  for (const mount of host.Mounts ?? []) {
    const record = parseMount(mount);
    const full = add(record.type === 'image' ? { ...record, source: sources.image(record.source).id } : record);
    if (full.type === 'volume' && mount.VolumeOptions !== undefined) volumeOptions.set(full.name!, mount.VolumeOptions);
  }
  for (const [path, options] of Object.entries(host.Tmpfs ?? {})) {
    const list = tmpfsOptions(options);
    const destination = checkDestination(path, '');
    // A tmpfs replaces what the image or another container would put there.
    add({ type: 'tmpfs', source: '', destination, mode: options, rw: !list.includes('ro'), propagation: '', options: list, flag: `--tmpfs ${path}${options === '' ? '' : `:${options}`}` });
  }
  for (const path of Object.keys(config.Volumes ?? {})) {
    const destination = checkDestination(path, inVolume(path, 'volume'));
    if (byDestination.has(destination)) continue;
    if (/^\/(proc|sys|dev)(\/|$)/.test(destination)) {
      throw new NaruError('invalid', `invalid volume specification: '${path}': a volume cannot be mounted over ${destination}`);
    }
    add({ type: 'volume', name: '', source: '', destination, driver: host.VolumeDriver || 'local', mode: '', rw: true, propagation: '', anonymous: true, flag: `VOLUME ${path}` });
  }
  return { mounts: [...byDestination.values()], volumeOptions };
}

function inherit(spec: string, { mountsOf }: MountSources): MountRecord[] {
  const at = spec.indexOf(':');
  const name = at < 0 ? spec : spec.slice(0, at);
  const mode = at < 0 ? 'rw' : spec.slice(at + 1);
  if (name === '') throw new NaruError('invalid', 'invalid volumes-from specification: a container is missing');
  if (!['ro', 'rw', 'z', 'Z'].includes(mode)) throw new NaruError('invalid', `invalid mode: ${mode}`);
  return mountsOf(name)
    .filter((mount) => mount.type !== 'tmpfs')
    .map((mount) => ({ ...mount, rw: mount.rw && mode !== 'ro', mode: mode === 'ro' ? 'ro' : mount.mode, noCopy: true, anonymous: false, flag: `--volumes-from ${spec}` }));
}
