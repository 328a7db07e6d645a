import { mkdirSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { OciMount } from '#spec/oci-runtime.ts';
import type { SnapshotMount } from '#core/store.ts';
import type { EngineContext } from '../../engine-context.ts';
import { volumeMount } from '../../volumes/volume-source.ts';
import { newVolume } from '../../volumes/volume-table.ts';
import type { Container, MountRecord } from '../container.ts';

/** What the container's own mounts are mounted from, each with its flag. Makes the sources that `-v` promises; `dry`: makes nothing. */
export function resolveUserMounts(engine: EngineContext, container: Container, { dry }: { dry: boolean }): { mount: OciMount; flag: string }[] {
  return container.doc.mounts.map((record, index) => ({ mount: resolve(engine, container, { record, index, dry }), flag: record.flag }));
}

function resolve(engine: EngineContext, container: Container, { record, index, dry }: { record: MountRecord; index: number; dry: boolean }): OciMount {
  const { destination } = record;
  switch (record.type) {
    case 'bind':
      if (record.makeSource === true && !dry) makeSource(record.source);
      return { destination, type: 'bind', source: record.source, options: [record.nonRecursive === true ? 'bind' : 'rbind', record.propagation, ...accessOf(record)] };
    case 'volume': {
      const volume = engine.volumes.get(record.name!) ?? (dry ? newVolume(record.name!) : undefined);
      if (volume === undefined) throw new NaruError('not-found', `get ${record.name}: no such volume`);
      const from = volumeMount(engine.volumes, volume);
      return { destination, ...from, options: [...(from.options ?? []), ...(from.type === 'bind' ? ['rprivate'] : []), ...accessOf(record), ...subpathOf(record)] };
    }
    case 'tmpfs':
      return { destination, type: 'tmpfs', source: 'tmpfs', options: [...(record.options ?? []), 'rprivate'] };
    case 'image':
      return imageMount(engine, container, { record, index });
  }
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

/** Resolved by the runtime inside the source, through descriptors: a link in a volume cannot lead out of it (CVE-2017-1002101). */
const subpathOf = ({ subpath }: MountRecord): string[] => (subpath === undefined ? [] : [`x-naru.subpath=${subpath}`]);

/** An image's tree, read-only. Its snapshot keeps the layers while the container exists. */
function imageMount(engine: EngineContext, container: Container, { record, index }: { record: MountRecord; index: number }): OciMount {
  const id = `${container.id}.image${index}`;
  const { lowers }: SnapshotMount = engine.store.snapshots.mount(id) ?? engine.store.snapshots.create(id, { image: record.source as Digest }, { durable: false });
  const { destination } = record;
  if (lowers.length === 1) return { destination, type: 'bind', source: lowers[0]!, options: ['rbind', 'rprivate', 'ro', ...subpathOf(record)] };
  if (record.subpath !== undefined) throw new NaruError('unsupported', `--mount type=image,target=${destination}: a subpath of an image with several layers is not supported`);
  if (lowers.length === 0) return { destination, type: 'tmpfs', source: 'tmpfs', options: ['ro', 'size=4k'] };
  return { destination, type: 'overlay', source: 'overlay', options: [`lowerdir=${lowers.join(':')}`, 'ro'] };
}
