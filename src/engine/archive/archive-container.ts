import { closeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { isKind, NaruError } from '#spec/errors.ts';
import type { PathStat } from '#spec/engine-api.ts';
import type { EngineContext } from '../engine-context.ts';
import { containerEvent } from '../events/container-event.ts';
import { formatTime } from '../time/timestamps.ts';
import type { Container } from '../containers/container.ts';
import { openContainerTree, type ContainerTree } from './container-tree.ts';

/** A name of the path that is asked about, in Docker's words when it is not there. */
function statIn(engine: EngineContext, container: Container, { tree, path }: { tree: ContainerTree; path: string }): PathStat {
  try {
    const stat = engine.trees.stat(tree.root, tree.path);
    return { name: tree.name ?? stat.name, size: stat.size, mode: stat.mode, mtime: formatTime(stat.mtime), linkTarget: stat.linkTarget === '' || tree.linkTarget === undefined ? stat.linkTarget : tree.linkTarget(path) };
  } catch (error) {
    throw isKind(error, 'not-found') ? new NaruError('not-found', `Could not find the file ${path} in container ${container.name}`, { cause: error }) : error;
  }
}

export async function statPath(engine: EngineContext, container: Container, path: string): Promise<PathStat> {
  const tree = await openContainerTree(engine, container, { path, write: false });
  try {
    return statIn(engine, container, { tree, path });
  } finally {
    closeSync(tree.root);
  }
}

/** A tar of the path. The descriptor lives as long as the stream. */
export async function getArchive(engine: EngineContext, container: Container, path: string): Promise<{ stat: PathStat; stream: Readable }> {
  const tree = await openContainerTree(engine, container, { path, write: false });
  try {
    const stat = statIn(engine, container, { tree, path });
    const stream = engine.trees.pack(tree.root, tree.path, tree.name);
    stream.once('close', () => closeSync(tree.root));
    containerEvent(engine, container, 'archive-path', { path });
    return { stat, stream };
  } catch (error) {
    closeSync(tree.root);
    throw error;
  }
}

/** Extracts a tar into a directory of the container. Throws forbidden where the container may not write, in Docker's words. */
export async function putArchive(engine: EngineContext, container: Container, path: string, { archive, noOverwriteDirNonDir }: { archive: Readable; noOverwriteDirNonDir: boolean }): Promise<void> {
  const tree = await openContainerTree(engine, container, { path, write: true, follow: true });
  try {
    if (tree.mount !== undefined && !tree.mount.rw) throw new NaruError('forbidden', 'mounted volume is marked read-only');
    if (tree.mount === undefined && container.doc.hostConfig.ReadonlyRootfs === true) throw new NaruError('forbidden', 'container rootfs is marked read-only');
    let { path: inside } = tree;
    let stat = engine.trees.stat(tree.root, inside);
    if (stat.linkTarget !== '') {
      inside = stat.linkTarget;
      stat = engine.trees.stat(tree.root, inside);
    }
    if (!stat.isDirectory) throw new NaruError('invalid', 'extraction point is not a directory');
    await engine.trees.unpack(tree.root, inside, archive, { noOverwriteDirNonDir, keepIds: true });
    containerEvent(engine, container, 'extract-to-dir', { path });
  } catch (error) {
    archive.destroy();
    throw isKind(error, 'not-found') ? new NaruError('not-found', `Could not find the file ${path} in container ${container.name}`, { cause: error }) : error;
  } finally {
    closeSync(tree.root);
  }
}

/** A tree that nothing runs on is written under the mutex: a start must not mount it meanwhile. */
export const archiveLock = <T>(container: Container, work: () => Promise<T>): Promise<T> =>
  container.task === undefined ? container.mutex.run('copy into it', work) : work();
