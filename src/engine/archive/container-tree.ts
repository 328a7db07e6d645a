import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly } from '#sys/descriptors.ts';
import { openInRoot } from '#sys/files.ts';
import { HOST_VIEW, mayWait, viewOf } from '#sys/remote-files.ts';
import type { EngineContext } from '../engine-context.ts';
import { sourcesOf, volumeDirectory } from '../volumes/volume-source.ts';
import type { Container, MountRecord } from '../containers/container.ts';
import { openProcessRoot } from '../containers/to-spec/process-user.ts';
import { resolveAcrossMounts, type Resolved } from './resolve-across-mounts.ts';

/** A directory descriptor and the path in it that a path in the container means. */
export interface ContainerTree {
  readonly root: number;
  readonly path: string;
  /** The mount it lies in; undefined: the root file system. */
  readonly mount: MountRecord | undefined;
  /** What the path's last name is called, when the path is a mount point itself. */
  readonly name: string | undefined;
  /** Where a link at the path leads, as the container sees it; undefined: the tree itself knows. */
  readonly linkTarget: ((path: string) => string) | undefined;
}

/**
 * Where a path of a container lies. A running container is seen through its first process, with all mounts. One that does not run is
 * its snapshot with its volumes and binds where they would be mounted. `write`: for changes; `follow`: a link at the end too. The
 * caller closes `root`.
 */
export async function openContainerTree(engine: EngineContext, container: Container, { path, write, follow = false }: { path: string; write: boolean; follow?: boolean }): Promise<ContainerTree> {
  if (path === '' || path.includes('\0')) throw new NaruError('invalid', `invalid path: ${JSON.stringify(path)}`);
  const absolute = path.startsWith('/') ? path : `/${path}`;
  const { task } = container;
  if (task !== undefined) {
    await engine.answers.of([absolute], viewOf(task.pid));
    const root = openProcessRoot(task.pid);
    // The number could have been given to another process before it was opened: the task must still be there.
    if (container.task === task) return { root, path: absolute, mount: mountOf(container, absolute), name: undefined, linkTarget: undefined };
    closeSync(root);
  }
  if (container.state.status === 'removing' || container.state.status === 'dead') throw new NaruError('conflict', `container ${container.name} is marked for removal`);
  // The links of one tree may lead into another: which mounts are looked at is known when they are.
  for (const asked = new Set<MountRecord>(); ;) {
    const found = openStopped(engine, container, { absolute, write, follow, asked });
    if (!('ask' in found)) return found;
    await engine.answers.of(sourcesOf(engine, [found.ask]));
    asked.add(found.ask);
  }
}

/** `ask`: that mount's source is to be asked first. */
function openStopped(engine: EngineContext, container: Container, { absolute, write, follow, asked }: { absolute: string; write: boolean; follow: boolean; asked: ReadonlySet<MountRecord> }): ContainerTree | { ask: MountRecord } {
  const mounts = container.doc.mounts.filter((mount) => mount.type === 'bind' || mount.type === 'volume');
  const roots = new Map<MountRecord | undefined, { fd: number; file: string | undefined }>();
  let ask: MountRecord | undefined;
  const open = (mount: MountRecord | undefined): number => {
    let found = roots.get(mount);
    if (found === undefined) {
      if (mount !== undefined && !asked.has(mount) && mayWait(sourcesOf(engine, [mount]), HOST_VIEW)) throw (ask = mount, new NaruError('unavailable', `${mount.source} is not asked yet`));
      found = mount === undefined ? { fd: engine.store.snapshots.open(container.id, { readOnly: !write }), file: undefined } : openMount(engine, container, mount);
      roots.set(mount, found);
    }
    return found.fd;
  };
  let kept = -1;
  try {
    const resolve = (path: string, last: boolean): Resolved => resolveAcrossMounts(engine.trees, path, { mounts, open, follow: last });
    const { root, mount, inside, logical } = resolve(absolute, follow);
    // A file is mounted: its directory stands in for it.
    const file = roots.get(mount)?.file;
    const linkTarget = resolve(absolute, true).logical;
    kept = root;
    return {
      root, mount, path: file === undefined ? inside : `/${file}`, name: inside === '/' && mount !== undefined ? posix.basename(absolute) : undefined,
      linkTarget: () => (linkTarget === logical ? '' : linkTarget),
    };
  } catch (error) {
    if (ask !== undefined) return { ask };
    throw error;
  } finally {
    for (const { fd } of roots.values()) if (fd !== kept) closeQuietly(fd);
  }
}

/** The root of a mount's source. `file`: the source is a file of this name in it. Throws not-found. */
function openMount(engine: EngineContext, container: Container, mount: MountRecord): { fd: number; file: string | undefined } {
  const directory = hostDirectory(engine, mount);
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  try {
    if (directory === undefined) throw new Error('its file system is mounted only while the container runs');
    if (mount.subpath === undefined) return { fd: openSync(directory, flags), file: undefined };
    const volume = openSync(directory, flags);
    const fd = openInRoot(volume, mount.subpath, { flags });
    closeSync(volume);
    if (fd < 0) throw new Error('its subpath is not there, or is a file');
    return { fd, file: undefined };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR' && directory !== undefined) return { fd: openSync(posix.dirname(directory), flags), file: posix.basename(directory) };
    throw new NaruError('not-found', `Could not find the file ${mount.destination} in container ${container.name}`, { cause: error });
  }
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
  if (mount.type === 'bind') return mount.source;
  const record = mount.type === 'volume' ? volumes.get(mount.name!) : undefined;
  return record === undefined ? undefined : volumeDirectory(volumes, record);
}
