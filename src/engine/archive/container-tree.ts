import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../engine-context.ts';
import { volumeDirectory } from '../volumes/volume-source.ts';
import type { Container, MountRecord } from '../containers/container.ts';
import { openProcessRoot } from '../containers/to-spec/process-user.ts';

/** A directory descriptor and the path in it that a path in the container means. */
export interface ContainerTree {
  readonly root: number;
  readonly path: string;
  /** The mount it lies in; undefined: the root file system. */
  readonly mount: MountRecord | undefined;
  /** Between mount and destination: what the path's last name is called, when the path is the mount point itself. */
  readonly name: string | undefined;
}

/**
 * Where a path of a container lies. A running container is seen through its first process, with all mounts. One that does not run is
 * its snapshot; a path below one of its volumes or binds is looked up there. `write`: for changes. The caller closes `root`.
 */
export function openContainerTree(engine: EngineContext, container: Container, { path, write }: { path: string; write: boolean }): ContainerTree {
  if (path === '' || path.includes('\0')) throw new NaruError('invalid', `invalid path: ${JSON.stringify(path)}`);
  const absolute = path.startsWith('/') ? path : `/${path}`;
  const mount = mountOf(container, absolute);
  const { task } = container;
  if (task !== undefined) {
    const root = openProcessRoot(task.pid);
    // The number could have been given to another process before it was opened: the task must still be there.
    if (container.task === task) return { root, path: absolute, mount, name: undefined };
    closeSync(root);
  }
  if (container.state.status === 'removing' || container.state.status === 'dead') throw new NaruError('conflict', `container ${container.name} is marked for removal`);
  const directory = mount === undefined ? undefined : hostDirectory(engine, mount);
  if (mount !== undefined && directory !== undefined) {
    const inside = relative(mount.destination, absolute);
    try {
      return { root: openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY), path: inside, mount, name: inside === '/' ? posix.basename(mount.destination) : undefined };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw new NaruError('not-found', `Could not find the file ${path} in container ${container.name}`, { cause: error });
      // A file is mounted: its directory stands in for it.
      return { root: openSync(posix.dirname(directory), constants.O_RDONLY | constants.O_DIRECTORY), path: `/${posix.basename(directory)}`, mount, name: posix.basename(mount.destination) };
    }
  }
  return { root: engine.store.snapshots.open(container.id, { readOnly: !write }), path: absolute, mount, name: undefined };
}

/** The innermost mount at or above a path, judged by its text. */
export function mountOf({ doc }: Container, path: string): MountRecord | undefined {
  const clean = posix.normalize(path);
  let best: MountRecord | undefined;
  for (const mount of doc.mounts) {
    if (clean !== mount.destination && !clean.startsWith(`${mount.destination}/`)) continue;
    if (best === undefined || mount.destination.length > best.destination.length) best = mount;
  }
  return best;
}

function hostDirectory({ volumes }: EngineContext, mount: MountRecord): string | undefined {
  if (mount.subpath !== undefined) return undefined;
  if (mount.type === 'bind') return mount.source;
  const record = mount.type === 'volume' ? volumes.get(mount.name!) : undefined;
  return record === undefined ? undefined : volumeDirectory(volumes, record);
}

/** The rest of the path; a trailing slash or dot is kept, since it means something. */
function relative(destination: string, path: string): string {
  const rest = posix.normalize(path).slice(destination.length);
  const tail = path.endsWith('/.') ? '/.' : path.endsWith('/') ? '/' : '';
  return `${rest === '' || rest === '/' ? '' : rest.replace(/\/$/, '')}${tail}` || '/';
}
