import { closeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { ERRNO } from '#sys/errno.ts';
import {
  O_PATH_NOFOLLOW, chmodAt, chownAt, fchmod, linkAt, mkdirAt, mknodAt, openAt, openInRoot, openSubdirectory, statAt, symlinkAt,
  textFromRaw, unlinkAt, utimensAt,
} from '#sys/files.ts';
import { removeTree } from '#sys/files-directory.ts';
import { setXattr } from '#sys/files-xattr.ts';
import {
  AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY, RESOLVE_NO_SYMLINKS, S_IFBLK, S_IFCHR, S_IFIFO,
} from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { cleanPath, splitPath } from '../archive/clean-path.ts';
import type { TarEntry } from '../archive/tar-entry.ts';
import { isDirectoryMode } from './walk-tree.ts';
import { ParentCache, type Parent, type ParentCacheOptions } from './parent-cache.ts';

export interface TreeWriterOptions extends ParentCacheOptions {
  /** Set owners as the archive says (otherwise everything belongs to whoever `owner` says). */
  readonly keepIds: boolean;
  readonly owner?: { uid: number; gid: number };
  /** Nobody else works in the tree and nothing was in it: what a new file has already need not be set again. */
  readonly fresh?: boolean;
  /** Something stands where an entry goes (and they are not both directories). It takes it away; the default deletes it. */
  readonly onReplace?: (place: Place, isDirectory: boolean) => void | Promise<void>;
}

/** Where an entry goes: its parent's descriptor, its name, its path with links resolved. */
export interface Place {
  readonly dir: number;
  readonly name: string;
  readonly path: string;
}

/**
 * Makes archive entries below a root that may be hostile: parents by ParentCache, the last name always by calls that do not
 * follow links, metadata by descriptor. Directories' times come last (`finish`), because making files changes them.
 */
export class TreeWriter {
  readonly parents: ParentCache;
  readonly #root: number;
  readonly #options: TreeWriterOptions;
  readonly #times = new Map<string, bigint>();
  /** Bits that open(2) does not set. */
  readonly #umask: number;
  /** A directory hands its group down: new files need chown even for 0:0. */
  #inheritsGroup: boolean;

  constructor(root: number, options: TreeWriterOptions) {
    this.#root = root;
    this.#options = options;
    this.parents = new ParentCache(root, options);
    this.#umask = process.umask();
    this.#inheritsGroup = options.fresh !== true;
  }

  /** path: cleaned, not ''. */
  place(path: string): Place {
    const { parent: above, base } = splitPath(path);
    const parent: Parent = this.parents.get(above);
    return { dir: parent.fd, name: base, path: parent.path === '' ? base : `${parent.path}/${base}` };
  }

  /** A new regular file, open for writing; `finishFile` sets what is left and closes it. */
  async createFile(place: Place, entry: TarEntry): Promise<number> {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const mode = this.#born(entry) ? entry.mode : 0o600;
    let fd = openAt(place.dir, place.name, flags, mode);
    if (fd === -ERRNO.EEXIST!) {
      await this.#clear(place);
      fd = openAt(place.dir, place.name, flags, mode);
    }
    return check(fd, `create ${textFromRaw(place.path)}`);
  }

  finishFile(fd: number, entry: TarEntry): void {
    try {
      if (this.#born(entry)) this.#xattrs(fd, '', entry);
      else this.#metadata(fd, entry);
      check(utimensAt(fd, undefined, entry.mtime), `set times of ${textFromRaw(entry.name)}`);
    } finally {
      closeSync(fd);
    }
  }

  /** Everything but regular files. True when a directory was made that was not there. */
  async create(place: Place, entry: TarEntry): Promise<boolean> {
    switch (entry.type) {
      case 'directory': return this.#directory(place, entry);
      case 'symlink': {
        await this.#make(place, () => symlinkAt(entry.linkName, place.dir, place.name));
        this.#owner(place, entry);
        this.#xattrs(place.dir, place.name, entry);
        utimensAt(place.dir, place.name, entry.mtime);
        return false;
      }
      case 'link': {
        const target = cleanPath(entry.linkName);
        const { parent, base } = splitPath(target);
        const from = openInRoot(this.#root, parent, { flags: O_PATH | O_DIRECTORY });
        if (from < 0 || base === '') throw missingTarget(entry);
        try {
          if (target === place.path) return false; // a link to itself: what is there stays
          const result = await this.#make(place, () => linkAt(from, base, place.dir, place.name), [-ERRNO.ENOENT!, -ERRNO.EPERM!]);
          if (result < 0) throw missingTarget(entry);
        } finally {
          closeSync(from);
        }
        return false;
      }
      default: {
        const type = entry.type === 'char' ? S_IFCHR : entry.type === 'block' ? S_IFBLK : S_IFIFO;
        await this.#make(place, () => mknodAt(place.dir, place.name, { mode: type | entry.mode, major: entry.devMajor, minor: entry.devMinor }));
        this.#owner(place, entry);
        const fd = openAt(place.dir, place.name, O_PATH_NOFOLLOW);
        if (fd >= 0) {
          try {
            chmodAt(AT_FDCWD, `/proc/self/fd/${fd}`, entry.mode);
          } finally {
            closeSync(fd);
          }
        }
        utimensAt(place.dir, place.name, entry.mtime);
        return false;
      }
    }
  }

  /** Owner, mode and attributes of a directory that is open, its time at the end. */
  directoryMetadata(fd: number, path: string, entry: TarEntry): void {
    if ((entry.mode & 0o2000) !== 0) this.#inheritsGroup = true;
    this.#metadata(fd, entry);
    this.#times.set(path, entry.mtime);
  }

  /** Times of directories. Always call `close` after. */
  finish(): void {
    for (const [path, time] of this.#times) {
      const fd = openInRoot(this.#root, path, { flags: O_DIRECTORY, resolve: RESOLVE_NO_SYMLINKS });
      if (fd < 0) continue; // replaced meanwhile
      utimensAt(fd, undefined, time);
      closeSync(fd);
    }
  }

  close(): void {
    this.parents.clear();
  }

  async #directory(place: Place, entry: TarEntry): Promise<boolean> {
    let fresh = true;
    let made = mkdirAt(place.dir, place.name, 0o700);
    if (made === -ERRNO.EEXIST!) {
      const stat = statAt(place.dir, place.name);
      if (typeof stat === 'object' && isDirectoryMode(stat.mode)) {
        fresh = false;
        made = 0;
      } else {
        await this.#clear(place);
        made = mkdirAt(place.dir, place.name, 0o700);
      }
    }
    check(made, `make directory ${textFromRaw(place.path)}`);
    const fd = check(openSubdirectory(place.dir, place.name), `open ${textFromRaw(place.path)}`);
    try {
      this.directoryMetadata(fd, place.path, entry);
    } finally {
      closeSync(fd);
    }
    return fresh;
  }

  async #make(place: Place, make: () => number, tolerated: readonly number[] = []): Promise<number> {
    let result = make();
    if (result === -ERRNO.EEXIST!) {
      await this.#clear(place);
      result = make();
    }
    return tolerated.includes(result) ? result : check(result, `make ${textFromRaw(place.path)}`);
  }

  async #clear(place: Place): Promise<void> {
    const stat = statAt(place.dir, place.name);
    if (typeof stat === 'number') return;
    const directory = isDirectoryMode(stat.mode);
    if (this.#options.onReplace !== undefined) await this.#options.onReplace(place, directory);
    else if (directory) await removeTree(place.dir, place.name);
    else unlinkAt(place.dir, place.name);
    // place.dir itself stays open: what was taken away was below it. But cached paths may have led through it.
    if (directory || (stat.mode & 0o170000) === 0o120000) this.#forgetBelow(place);
  }

  #forgetBelow(place: Place): void {
    for (const key of this.#times.keys()) if (key === place.path || key.startsWith(`${place.path}/`)) this.#times.delete(key);
    this.parents.clearAllBut(place.dir);
  }

  #ids(entry: TarEntry): { uid: number; gid: number } {
    return this.#options.keepIds ? entry : (this.#options.owner ?? { uid: 0, gid: 0 });
  }

  #owner(place: Place, entry: TarEntry): void {
    const { uid, gid } = this.#ids(entry);
    check(chownAt(place.dir, place.name, uid, gid), `chown ${textFromRaw(place.path)}`);
  }

  /** A new file has this entry's owner and mode from its birth. */
  #born(entry: TarEntry): boolean {
    const { uid, gid } = this.#ids(entry);
    return !this.#inheritsGroup && uid === 0 && gid === 0 && (entry.mode & (this.#umask | 0o7000)) === 0;
  }

  /** In this order: chown(2) clears setuid bits and capabilities. */
  #metadata(fd: number, entry: TarEntry): void {
    const { uid, gid } = this.#ids(entry);
    check(chownAt(fd, '', uid, gid), `chown ${textFromRaw(entry.name)}`);
    check(fchmod(fd, entry.mode), `chmod ${textFromRaw(entry.name)}`);
    this.#xattrs(fd, '', entry);
  }

  #xattrs(dir: number, name: string, entry: TarEntry): void {
    for (const [attribute, value] of entry.xattrs) {
      if (!isKept(attribute)) continue;
      const result = setXattr(dir, name, { name: attribute, value });
      // A file system without user attributes, a label of another security module: the file is good without, as in Docker.
      if (result < 0 && result !== -ERRNO.ENOTSUP! && result !== -ERRNO.EPERM! && result !== -ERRNO.EINVAL!) {
        check(result, `set attribute ${attribute} of ${textFromRaw(entry.name)}`);
      }
    }
  }
}

/** overlayfs's own attributes could make a layer show files of the host: never taken from an archive. */
export const isKept = (attribute: string): boolean =>
  !attribute.startsWith('trusted.overlay.') && !attribute.startsWith('user.overlay.') && !attribute.includes('\0') && attribute.length <= 255;

const missingTarget = (entry: TarEntry): NaruError =>
  new NaruError('corrupt', `invalid archive: hard link ${textFromRaw(entry.name)}: target ${textFromRaw(entry.linkName)} is not in the archive`);
