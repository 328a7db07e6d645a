import { closeSync } from 'node:fs';
import {
  chmodAt, chownAt, descriptorPath, openAt, openDirectory, openInRoot, openSubdirectory, renameAt, statAt, textFromRaw,
  unlinkAt, utimensAt,
} from '#sys/files.ts';
import { readDirectory } from '#sys/files-directory.ts';
import { getXattr, listXattrs, setXattr } from '#sys/files-xattr.ts';
import { AT_FDCWD, O_DIRECTORY, O_PATH, O_RDONLY, RESOLVE_NO_SYMLINKS } from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { splitPath } from '../archive/clean-path.ts';
import type { DataRoot } from '../data-root.ts';
import { openOverlay } from '../snapshots/overlay.ts';
import { ParentCache } from '../trees/parent-cache.ts';
import { isKept } from '../trees/tree-writer.ts';
import { isDirectoryMode } from '../trees/walk-tree.ts';

/**
 * A layer whose archive left out directories that it needed was given plain ones. Over its parents they would hide what the
 * layers below say of them: so each gets their mode, owner, times and attributes, and where the path leads through a link
 * below (`lib` -> `usr/lib`), its contents move to where the link leads, as if it had been unpacked over the whole image.
 */
export function fitLayer(layer: { directory: string; implicit: readonly string[] }, { below, root }: { below: readonly string[]; root: DataRoot }): void {
  const lower = openOverlay({ lowers: below, readOnly: true, empty: root.empty, scratch: `${root.incoming}/mount` });
  const target = check(openDirectory(layer.directory), `open ${layer.directory}`);
  const parents = new ParentCache(target);
  try {
    const lowerRoot = descriptorPath(lower);
    // Shortest first: a link high up moves everything below it.
    for (const path of [...layer.implicit].sort((a, b) => a.length - b.length)) {
      const there = openInRoot(lower, path, { flags: O_PATH | O_DIRECTORY });
      if (there < 0) continue; // not below: the plain directory is what it is
      try {
        const real = descriptorPath(there).slice(lowerRoot === '/' ? 1 : lowerRoot.length + 1);
        const here = openInRoot(target, path, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
        if (here < 0) continue; // moved with a parent
        closeSync(here);
        if (real === path) copyMetadata(there, target, path);
        else moveContents({ target, parents, from: path, to: real, lower });
      } finally {
        closeSync(there);
      }
    }
  } finally {
    parents.clear();
    closeSync(target);
    closeSync(lower);
  }
}

function copyMetadata(from: number, root: number, path: string): void {
  const stat = statAt(from, '');
  const to = openInRoot(root, path, { flags: O_RDONLY | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
  if (typeof stat === 'number' || to < 0) return;
  try {
    check(chownAt(to, '', stat.uid, stat.gid), `chown ${textFromRaw(path)}`);
    check(chmodAt(AT_FDCWD, `/proc/self/fd/${to}`, stat.mode & 0o7777), `chmod ${textFromRaw(path)}`);
    const names = listXattrs(from, '');
    for (const name of typeof names === 'number' ? [] : names) {
      const value = isKept(name) ? getXattr(from, '', name) : undefined;
      if (value instanceof Uint8Array) setXattr(to, '', { name, value });
    }
    utimensAt(to, undefined, stat.mtime);
  } finally {
    closeSync(to);
  }
}

function moveContents({ target, parents, from, to, lower }: { target: number; parents: ParentCache; from: string; to: string; lower: number }): void {
  const missing: string[] = [];
  for (let path = to; path !== ''; path = splitPath(path).parent) {
    const fd = openInRoot(target, path, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
    if (fd >= 0) {
      closeSync(fd);
      break;
    }
    missing.push(path);
  }
  const destination = parents.get(to);
  merge({ dir: parents.get(from).fd, into: destination.fd });
  const { parent, base } = splitPath(from);
  check(unlinkAt(parents.get(parent).fd, base, true), `remove ${textFromRaw(from)}`);
  parents.clear();
  for (const path of missing) {
    const there = openInRoot(lower, path, { flags: O_PATH | O_DIRECTORY });
    if (there < 0) continue;
    copyMetadata(there, target, path);
    closeSync(there);
  }
}

/** Moves all names; directories that exist on both sides are merged, other names are replaced. */
function merge({ dir, into }: { dir: number; into: number }): void {
  const fd = check(openAt(dir, '.', O_RDONLY | O_DIRECTORY), 'open directory');
  try {
    for (const { name } of readDirectory(fd)) {
      const stat = statAt(fd, name);
      const there = statAt(into, name);
      if (typeof stat === 'object' && typeof there === 'object' && isDirectoryMode(stat.mode) && isDirectoryMode(there.mode)) {
        const a = check(openSubdirectory(fd, name), 'open directory');
        const b = check(openSubdirectory(into, name), 'open directory');
        merge({ dir: a, into: b });
        closeSync(a);
        closeSync(b);
        check(unlinkAt(fd, name, true), `remove ${textFromRaw(name)}`);
      } else check(renameAt(fd, name, into, name), `move ${textFromRaw(name)}`);
    }
  } finally {
    closeSync(fd);
  }
}

