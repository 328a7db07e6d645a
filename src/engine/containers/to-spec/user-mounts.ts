import { mkdirSync } from 'node:fs';
import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { OciMount } from '#spec/oci-runtime.ts';
import type { SnapshotMount } from '#core/store.ts';
import type { EngineContext } from '../../engine-context.ts';
import { namespaceOption, volumeMount } from '../../volumes/volume-source.ts';
import { newVolume, type VolumeRecord } from '../../volumes/volume-table.ts';
import type { Container, MountRecord } from '../container.ts';

export interface MountingOptions {
  /** Nothing is made. */
  readonly dry: boolean;
  /** For a plan: the user's own request. */
  readonly given?: ContainerCreateRequest;
  /** Addresses of the servers that network volumes name. */
  readonly servers?: ReadonlyMap<string, string>;
}

/** What the container's own mounts are mounted from, each with its flag. Makes the sources that `-v` promises. */
export function resolveUserMounts(engine: EngineContext, container: Container, options: MountingOptions): { mount: OciMount; flag: string }[] {
  return container.doc.mounts.map((record, index) => ({ mount: resolve(engine, container, { record, index, ...options }), flag: record.flag }));
}

function resolve(engine: EngineContext, container: Container, { record, index, dry, servers }: { record: MountRecord; index: number } & MountingOptions): OciMount {
  const { destination } = record;
  switch (record.type) {
    case 'bind':
      if (record.makeSource === true && !dry) makeSource(record.source);
      return { destination, type: 'bind', source: record.source, options: [record.nonRecursive === true ? 'bind' : 'rbind', record.propagation, ...accessOf(record), ...(record.idmap === undefined ? [] : ['idmap'])], ...mappingsOf(record) };
    case 'volume': {
      const volume = engine.volumes.get(record.name!) ?? (dry ? newVolume(record.name!) : undefined);
      if (volume === undefined) throw new NaruError('not-found', `get ${record.name}: no such volume`);
      const from = sharedInstance(engine, container, volume) ?? volumeMount(engine.volumes, volume, servers);
      return { destination, ...from, options: [...(from.options ?? []), ...(from.type === 'bind' ? ['rprivate'] : []), ...accessOf(record), ...subpathOf(record)] };
    }
    case 'tmpfs':
      return { destination, type: 'tmpfs', source: 'tmpfs', options: [...(record.options ?? []), 'rprivate'] };
    case 'image':
      return imageMount(engine, container, { record, index });
  }
}

/** A tmpfs is one as long as somebody has it: whoever comes later takes it from a container that runs with it. */
function sharedInstance({ containers }: EngineContext, container: Container, volume: VolumeRecord): Pick<OciMount, 'type' | 'source' | 'options'> | undefined {
  if (volume.options['type'] !== 'tmpfs') return undefined;
  const holders = containers.all().filter((other) => other !== container && other.task !== undefined).flatMap((other) =>
    other.doc.mounts.filter((mount) => mount.type === 'volume' && mount.name === volume.name).map((mount) => ({ mount, pid: other.task!.pid })));
  const holder = holders.find(({ mount }) => mount.subpath === undefined);
  if (holder !== undefined) return { type: 'bind', source: holder.mount.destination, options: ['bind', 'rw', namespaceOption(holder.pid)] };
  if (holders.length === 0) return undefined;
  throw new NaruError('unsupported', `volume ${volume.name}: the containers that run with it have only a part of it, and a tmpfs lies nowhere else`, { hint: 'start one that mounts the whole volume first' });
}

/** `-v` makes a missing host directory; what stands there already is left alone. */
function makeSource(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return; // a file, a socket, a device
    throw new NaruError('invalid', `error while creating mount source path '${path}': ${(error as Error).message}`, { cause: error });
  }
}

/** Read-only holds for everything mounted below, unless the user says otherwise. */
const accessOf = ({ rw, type, readOnlyNonRecursive, nonRecursive }: MountRecord): string[] =>
  rw ? [] : type === 'bind' && readOnlyNonRecursive !== true && nonRecursive !== true ? ['rro'] : ['ro'];

const mappingsOf = ({ idmap }: MountRecord): Pick<OciMount, 'uidMappings' | 'gidMappings'> =>
  idmap === undefined ? {} : { uidMappings: [...idmap.uids], gidMappings: [...idmap.gids] };

/** Resolved by the runtime inside the source, through descriptors: a link in a volume cannot lead out of it (CVE-2017-1002101). */
const subpathOf = ({ subpath }: MountRecord): string[] => (subpath === undefined ? [] : [`x-naru.subpath=${subpath}`]);

/** An image's tree, read-only. Its snapshot keeps the layers while the container exists. */
function imageMount(engine: EngineContext, container: Container, { record, index }: { record: MountRecord; index: number }): OciMount {
  const id = `${container.id}.image${index}`;
  const { lowers }: SnapshotMount = engine.store.snapshots.mount(id) ?? engine.store.snapshots.create(id, { image: record.source as Digest }, { durable: false });
  const { destination } = record;
  if (lowers.length === 1) return { destination, type: 'bind', source: lowers[0]!, options: ['rbind', 'rprivate', 'ro', ...subpathOf(record)] };
  if (lowers.length === 0) return { destination, type: 'tmpfs', source: 'tmpfs', options: ['ro', 'size=4k'] };
  return { destination, type: 'overlay', source: 'overlay', options: [`lowerdir=${lowers.join(':')}`, 'ro', ...subpathOf(record)] };
}
