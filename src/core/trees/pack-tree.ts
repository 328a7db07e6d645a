import { closeSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { openAt, openInRoot, readlinkAt, statAt, textFromRaw, type FileStat } from '#sys/files.ts';
import { getXattr, listXattrs } from '#sys/files-xattr.ts';
import {
  O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG,
} from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { padding, type TarType } from '../archive/tar-entry.ts';
import { TAR_END, tarHeader } from '../archive/tar-writer.ts';
import { isOpaque, isWhiteout } from '../layers/whiteout.ts';
import { splitPath } from '../archive/clean-path.ts';
import { openRegularAt } from './open-regular.ts';
import { slicer, walkTree } from './walk-tree.ts';

export interface PackOptions {
  /** Raw path in the root; links before the last name are followed. '/' or '': everything below the root. */
  readonly path: string;
  /** What the entries' names begin with instead of the path (raw); '' leaves out the top directory's own entry. */
  readonly name: string;
  /** Close the root's descriptor at the end. */
  readonly closeRoot: boolean;
  /** The root is an overlay's upper: whiteouts become `.wh.` entries (a layer's tar). */
  readonly layer?: boolean;
}

const CHUNK = 1 << 18;

const TYPES: ReadonlyMap<number, TarType> = new Map([
  [S_IFREG, 'file'], [S_IFDIR, 'directory'], [S_IFLNK, 'symlink'], [S_IFCHR, 'char'], [S_IFBLK, 'block'], [S_IFIFO, 'fifo'],
]);

/** A deterministic tar of a tree, read through descriptors: sorted names, no access to what links lead to. Sockets are left out.
 *  Streamed with back-pressure; never keeps the event loop for long. */
export const packTree = (root: number, options: PackOptions): Readable => Readable.from(packChunks(root, options), { objectMode: false, highWaterMark: CHUNK });

/** The same as chunks that are the receiver's own. */
export async function* packChunks(root: number, options: PackOptions): AsyncGenerator<Buffer, void, undefined> {
  const packer = new Packer(options.layer ?? false);
  const pause = slicer();
  try {
    for (const full of packer.tree(root, options)) {
      if (full !== undefined) yield full;
      const wait = pause();
      if (wait !== undefined) await wait;
    }
    packer.put(TAR_END);
    yield* packer.full;
    packer.full.length = 0;
    yield packer.rest();
  } finally {
    if (options.closeRoot) closeSync(root);
  }
}

class Packer {
  /** Chunks that are complete. */
  readonly full: Buffer[] = [];
  #chunk: Buffer = Buffer.allocUnsafe(CHUNK);
  #used = 0;
  readonly #layer: boolean;
  /** Names by inode of files with several links. */
  readonly #linked = new Map<string, string>();

  constructor(layer: boolean) {
    this.#layer = layer;
  }

  *tree(root: number, { path, name }: PackOptions): Generator<Buffer | undefined, void, undefined> {
    const trimmed = path.replace(/\/+$/, '');
    if (trimmed === '' && name === '') {
      yield* this.#below(root, '');
      return;
    }
    const follow = trimmed === '' || path.endsWith('/') || trimmed.endsWith('/.');
    const { parent, base } = follow ? { parent: trimmed, base: '' } : splitPath(trimmed);
    const dir = check(openInRoot(root, parent === '' ? '/' : parent, { flags: O_PATH | O_DIRECTORY }), `open ${textFromRaw(path)}`);
    try {
      const stat = statAt(dir, base);
      if (typeof stat === 'number') check(stat, `stat ${textFromRaw(path)}`);
      else if ((stat.mode & S_IFMT) !== S_IFDIR) yield* this.#entry(dir, base, { name, stat });
      else {
        const top = check(openAt(dir, base === '' ? '.' : base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), `open ${textFromRaw(path)}`);
        try {
          yield* this.#entry(top, '', { name, stat });
          yield* this.#below(top, name.endsWith('/') ? name : `${name}/`);
        } finally {
          closeSync(top);
        }
      }
    } finally {
      closeSync(dir);
    }
  }

  *#below(top: number, prefix: string): Generator<Buffer | undefined, void, undefined> {
    for (const node of walkTree(top)) {
      if (this.#layer && isWhiteout(node.stat)) {
        const { parent, base } = splitPath(node.path);
        this.put(tarHeader({ name: `${prefix}${parent === '' ? '' : `${parent}/`}.wh.${base}`, type: 'file' }));
        yield this.full.shift();
        continue;
      }
      yield* this.#entry(node.dir, node.name, { name: prefix + node.path, stat: node.stat });
      if (this.#layer && (node.stat.mode & S_IFMT) === S_IFDIR && isOpaque(node.dir, node.name)) {
        this.put(tarHeader({ name: `${prefix}${node.path}/.wh..wh..opq`, type: 'file' }));
      }
    }
  }

  /** dir and base '' : the descriptor itself. */
  *#entry(dir: number, base: string, { name, stat }: { name: string; stat: FileStat }): Generator<Buffer | undefined, void, undefined> {
    const type = TYPES.get(stat.mode & S_IFMT);
    if (type === undefined) return;
    const shared = { name, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: stat.mtime };
    if (type !== 'directory' && stat.links > 1) {
      const key = `${stat.devMajor}:${stat.devMinor}:${stat.inode}`;
      const first = this.#linked.get(key);
      if (first !== undefined) {
        this.put(tarHeader({ ...shared, type: 'link', linkName: first }));
        yield this.full.shift();
        return;
      }
      this.#linked.set(key, name);
    }
    const xattrs = readXattrs(dir, base);
    if (type === 'file') {
      yield* this.#file(dir, base, { ...shared, xattrs });
      return;
    }
    const linkName = type === 'symlink' ? readlinkAt(dir, base) : '';
    if (typeof linkName === 'number') return; // replaced meanwhile
    const device = type === 'char' || type === 'block' ? { devMajor: stat.rdevMajor, devMinor: stat.rdevMinor } : {};
    this.put(tarHeader({ ...shared, ...device, type, linkName, xattrs }));
    yield this.full.shift();
  }

  *#file(dir: number, base: string, fields: { name: string; mode: number; uid: number; gid: number; mtime: bigint; xattrs: ReadonlyMap<string, Uint8Array> }): Generator<Buffer | undefined, void, undefined> {
    const file = openRegularAt(dir, base);
    if (file === undefined) return; // something else has taken its place
    const { fd, stat } = file;
    try {
      this.put(tarHeader({ ...fields, type: 'file', size: stat.size }));
      for (let rest = stat.size; rest > 0; ) {
        const got = readSync(fd, this.#chunk, this.#used, Math.min(rest, CHUNK - this.#used), null);
        // It shrank while it was read: the size is promised, zeros make it up (as GNU tar does).
        if (got === 0) {
          const zeros = Math.min(rest, CHUNK - this.#used);
          this.#chunk.fill(0, this.#used, this.#used + zeros);
          this.#took(zeros);
          rest -= zeros;
        } else {
          this.#took(got);
          rest -= got;
        }
        yield this.full.shift();
      }
      this.put(new Uint8Array(padding(stat.size)));
      yield this.full.shift();
    } finally {
      closeSync(fd);
    }
  }

  put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const part = bytes.subarray(at, at + CHUNK - this.#used);
      this.#chunk.set(part, this.#used);
      this.#took(part.byteLength);
      at += part.byteLength;
    }
  }

  #took(length: number): void {
    this.#used += length;
    if (this.#used < CHUNK) return;
    this.full.push(this.#chunk);
    this.#chunk = Buffer.allocUnsafe(CHUNK);
    this.#used = 0;
  }

  rest(): Buffer {
    return this.#chunk.subarray(0, this.#used);
  }
}

/** What belongs to a file's meaning: capabilities, ACLs, the user's own. Labels of the host and overlayfs's marks do not. */
function readXattrs(dir: number, base: string): ReadonlyMap<string, Uint8Array> {
  const names = listXattrs(dir, base);
  if (typeof names === 'number' || names.length === 0) return NONE;
  const xattrs = new Map<string, Uint8Array>();
  for (const name of names) {
    const kept = name === 'security.capability' || name.startsWith('system.posix_acl_') || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
    if (!kept) continue;
    const value = getXattr(dir, base, name);
    if (value instanceof Uint8Array) xattrs.set(name, value);
  }
  return xattrs;
}

const NONE: ReadonlyMap<string, Uint8Array> = new Map();
