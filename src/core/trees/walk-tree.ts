import { closeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { openAt, openSubdirectory, statAt, type FileStat } from '#sys/files.ts';
import { readDirectory } from '#sys/files-directory.ts';
import { O_DIRECTORY, O_RDONLY, S_IFDIR, S_IFMT } from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';

/** Deepest nesting that is walked: one open descriptor for each level. */
export const MAX_DEPTH = 1000;

export interface TreeNode {
  /** The open parent directory; valid until the walk goes on. */
  readonly dir: number;
  readonly name: string;
  /** Raw path below the walk's root, without a leading slash. */
  readonly path: string;
  readonly stat: FileStat;
}

export const isDirectoryMode = (mode: number): boolean => (mode & S_IFMT) === S_IFDIR;

/** Everything below the directory `root`, parents before children, siblings sorted by their bytes, links never followed. What
 *  disappears while the walk passes is left out. `enter` false: not below that directory. */
export function* walkTree(root: number, enter: (node: TreeNode) => boolean = () => true): Generator<TreeNode, void, undefined> {
  interface Level { fd: number; prefix: string; names: string[]; next: number }
  const names = (fd: number): string[] => readDirectory(fd).map((entry) => entry.name);
  const first = check(openAt(root, '.', O_RDONLY | O_DIRECTORY), 'open directory');
  const stack: Level[] = [{ fd: first, prefix: '', names: [], next: 0 }];
  try {
    stack[0]!.names = names(first);
    while (stack.length > 0) {
      const level = stack[stack.length - 1]!;
      const name = level.names[level.next++];
      if (name === undefined) {
        closeSync(level.fd);
        stack.pop();
        continue;
      }
      const stat = statAt(level.fd, name);
      if (typeof stat === 'number') continue;
      const node: TreeNode = { dir: level.fd, name, path: level.prefix + name, stat };
      yield node;
      if (!isDirectoryMode(stat.mode) || !enter(node)) continue;
      if (stack.length >= MAX_DEPTH) throw new NaruError('invalid', `directories are nested deeper than ${MAX_DEPTH} levels`);
      const fd = openSubdirectory(level.fd, name);
      if (fd === -2 || fd === -20 || fd === -40) continue;
      check(fd, `open ${node.path}`);
      const child: Level = { fd, prefix: `${node.path}/`, names: [], next: 0 };
      stack.push(child);
      child.names = names(fd);
    }
  } finally {
    for (const level of stack) closeSync(level.fd);
  }
}

/** Milliseconds that a long synchronous walk may keep the event loop. */
const SLICE = 3;

/** Call between steps of long work: yields to the event loop when the slice is used up. */
export function slicer(): () => Promise<void> | undefined {
  let until = performance.now() + SLICE;
  return () => {
    if (performance.now() < until) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        until = performance.now() + SLICE;
        resolve();
      });
    });
  };
}
