import { closeSync } from 'node:fs';
import { openSubdirectory, statAt, textFromRaw, type FileStat } from '#sys/files.ts';
import { readDirectory } from '#sys/files-directory.ts';
import { isOpaque, isWhiteout } from '../layers/whiteout.ts';
import { isDirectoryMode, slicer, walkTree, type TreeNode } from '../trees/walk-tree.ts';

export interface Change {
  /** Absolute inside the container, raw. */
  readonly path: string;
  /** 0 modified, 1 added, 2 deleted. */
  readonly kind: 0 | 1 | 2;
}

/**
 * The difference that an upper directory makes over the merged lowers, as `docker diff` means it: a directory counts as
 * modified when its own metadata changed or a name in it was added or deleted; of a deleted or hidden tree only the top is
 * named. Sorted by the bytes of the path.
 */
export async function snapshotChanges(upper: number, lower: number): Promise<Change[]> {
  const changes = new Map<string, 0 | 1 | 2>();
  const pause = slicer();
  /** The ancestors of the node at hand and their lower counterparts (-1: none), root first. */
  const ancestors: { prefix: string; lower: number }[] = [{ prefix: '', lower }];
  const close = (fd: number): void => {
    if (fd >= 0 && fd !== lower) closeSync(fd);
  };
  const mark = (path: string, kind: 1 | 2): void => {
    changes.set(path, kind);
    const slash = path.lastIndexOf('/');
    const parent = path.slice(0, Math.max(slash, 0));
    if (parent !== '' && !changes.has(parent)) changes.set(parent, 0);
  };
  try {
    for (const node of walkTree(upper)) {
      while (!node.path.startsWith(ancestors[ancestors.length - 1]!.prefix)) close(ancestors.pop()!.lower);
      const below = ancestors[ancestors.length - 1]!.lower;
      const old = below < 0 ? undefined : present(statAt(below, node.name));
      const directory = isDirectoryMode(node.stat.mode);
      if (isWhiteout(node.stat)) {
        if (old !== undefined) mark(node.path, 2);
      } else if (old === undefined) mark(node.path, 1);
      else if (!(directory && sameDirectory(node.stat, old)) && !changes.has(node.path)) changes.set(node.path, 0);
      if (directory) {
        const counterpart = old !== undefined && isDirectoryMode(old.mode) ? openSubdirectory(below, node.name) : -1;
        ancestors.push({ prefix: `${node.path}/`, lower: counterpart });
        if (counterpart >= 0 && isOpaque(node.dir, node.name)) {
          for (const gone of hidden(node, counterpart)) mark(`${node.path}/${gone}`, 2);
        }
      }
      const wait = pause();
      if (wait !== undefined) await wait;
    }
  } finally {
    for (const ancestor of ancestors) close(ancestor.lower);
  }
  return [...changes]
    .map(([path, kind]): Change => ({ path: `/${path}`, kind }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

const present = (stat: FileStat | number): FileStat | undefined => (typeof stat === 'object' ? stat : undefined);

/** A directory that only exists in the upper because something below it was touched. */
const sameDirectory = (a: FileStat, b: FileStat): boolean => a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtime === b.mtime;

function hidden(node: TreeNode, lower: number): string[] {
  const dir = openSubdirectory(node.dir, node.name);
  if (dir < 0) return [];
  try {
    return readDirectory(lower).map((entry) => entry.name).filter((name) => typeof statAt(dir, name) === 'number');
  } finally {
    closeSync(dir);
  }
}

/** For people and the API. */
export const changesAsText = (changes: readonly Change[]): { path: string; kind: 0 | 1 | 2 }[] =>
  changes.map(({ path, kind }) => ({ path: textFromRaw(path), kind }));
