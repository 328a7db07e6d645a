import { closeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { ERRNO, errnoText } from '#sys/errno.ts';
import { descriptorPath, mkdirAt, openAt, openInRoot, readlinkAt, statAt, textFromRaw } from '#sys/files.ts';
import { O_DIRECTORY, O_PATH, RESOLVE_NO_SYMLINKS, S_IFLNK, S_IFMT } from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { splitPath } from '../archive/clean-path.ts';

export interface Parent {
  /** O_PATH descriptor of the directory, the cache's own. */
  readonly fd: number;
  /** Its path in the root with links resolved, raw, '' for the root. */
  readonly path: string;
}

export interface ParentCacheOptions {
  /** A directory was made because an entry's parents were missing. */
  readonly onImplicit?: (path: string) => void;
  /** Something that is no directory stands where a parent is needed. True: it was taken away, make the directory. */
  readonly onObstacle?: (parent: Parent, name: string) => boolean;
}

const SIZE = 256;
const MAX_LINKS = 40;
const IMPLICIT_MODE = 0o755;

/**
 * Directories below a root, opened by path through openat2 RESOLVE_IN_ROOT: links on the way are followed as if the root were
 * `/`, so whatever an archive puts there, a descriptor from here is inside. Keeps the latest open. After a directory or a link
 * was removed or replaced, `clear` must be called.
 */
export class ParentCache {
  readonly #root: number;
  readonly #options: ParentCacheOptions;
  readonly #open = new Map<string, Parent>();
  #rootPath: string | undefined;

  constructor(root: number, options: ParentCacheOptions = {}) {
    this.#root = root;
    this.#options = options;
  }

  /** The directory at a cleaned path; missing ones are made. */
  get(path: string, links = 0): Parent {
    if (path === '') return { fd: this.#root, path: '' };
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    let fd = openInRoot(this.#root, path, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
    if (fd >= 0) return this.#keep(path, { fd, path });
    if (fd === -ERRNO.ELOOP!) {
      fd = openInRoot(this.#root, path, { flags: O_PATH | O_DIRECTORY });
      if (fd >= 0) return this.#keep(path, { fd, path: this.#inside(fd) });
    }
    if (fd === -ERRNO.ENOENT! || fd === -ERRNO.ENOTDIR!) return this.#make(path, links);
    throw new NaruError('corrupt', `invalid archive: parent directory ${textFromRaw(path)}: ${errnoText(-fd)}`, { errno: -fd });
  }

  #make(path: string, links: number): Parent {
    const { parent: above, base } = splitPath(path);
    const parent = this.get(above, links);
    let made = mkdirAt(parent.fd, base, IMPLICIT_MODE);
    if (made === -ERRNO.EEXIST!) {
      const stat = statAt(parent.fd, base);
      if (typeof stat === 'object' && (stat.mode & S_IFMT) === S_IFLNK) return this.#throughLink(parent, base, links);
      if (this.#options.onObstacle?.(parent, base) === true) made = mkdirAt(parent.fd, base, IMPLICIT_MODE);
    }
    if (made === -ERRNO.EEXIST!) throw new NaruError('corrupt', `invalid archive: parent ${textFromRaw(path)} is not a directory`);
    check(made, `make directory ${textFromRaw(path)}`);
    const inside = parent.path === '' ? base : `${parent.path}/${base}`;
    this.#options.onImplicit?.(inside);
    const fd = check(openAt(parent.fd, base, O_PATH | O_DIRECTORY), `open ${textFromRaw(path)}`);
    return this.#keep(path, { fd, path: inside });
  }

  /** A link to a directory that is not there (yet): the directory is made where the link leads, inside the root. */
  #throughLink(parent: Parent, base: string, links: number): Parent {
    const target = readlinkAt(parent.fd, base);
    if (typeof target === 'number' || links >= MAX_LINKS) throw new NaruError('corrupt', `invalid archive: too many links at ${textFromRaw(base)}`);
    const parts = target.startsWith('/') || parent.path === '' ? [] : parent.path.split('/');
    for (const part of target.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return this.get(parts.join('/'), links + 1);
  }

  #inside(fd: number): string {
    this.#rootPath ??= descriptorPath(this.#root);
    const path = descriptorPath(fd);
    const prefix = this.#rootPath === '/' ? '/' : `${this.#rootPath}/`;
    return path === this.#rootPath ? '' : path.startsWith(prefix) ? path.slice(prefix.length) : path;
  }

  #keep(path: string, parent: Parent): Parent {
    if (this.#open.size >= SIZE) {
      // The oldest goes; an entry's own parent is always the newest.
      const [oldest, gone] = this.#open.entries().next().value as [string, Parent];
      this.#open.delete(oldest);
      closeSync(gone.fd);
    }
    this.#open.set(path, parent);
    return parent;
  }

  clear(): void {
    this.clearAllBut(-1);
  }

  /** Keeps one descriptor that the caller still works with. */
  clearAllBut(kept: number): void {
    for (const [path, { fd }] of this.#open) {
      if (fd === kept) continue;
      this.#open.delete(path);
      closeSync(fd);
    }
  }
}
