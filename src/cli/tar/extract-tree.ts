import { closeSync, constants, fchmodSync, futimesSync, linkSync, lstatSync, lutimesSync, mkdirSync, openSync, rmSync, symlinkSync, write, type Stats } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { readTar } from './read-tar.ts';
import type { TarHeader } from './tar-header.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

export interface ExtractOptions {
  /** The first component of the entries' names is replaced: `[from, to]`. */
  readonly rebase: readonly [string, string] | undefined;
  /** Told of entries that cannot be made here (devices, pipes). */
  skipped(path: string): void;
}

/**
 * Extracts a tar stream below `root`, which must exist. A hostile archive cannot reach out of it: names with `..` are refused,
 * and every step down is made on a descriptor of the directory above, without following symbolic links, be they in the archive
 * or there before. Files belong to whoever runs this, without set-user-id bits. Throws NaruError.
 */
export async function extractTree(source: AsyncIterable<Uint8Array>, root: string, options: ExtractOptions): Promise<void> {
  const tree = new Tree(root);
  const times: { components: string[]; mtime: number; mode: number }[] = [];
  try {
    for await (const { header, body } of readTar(source)) {
      const components = split(rebased(header.path, options.rebase), header.path);
      if (components.length === 0) {
        if (header.type !== 'directory') throw new NaruError('corrupt', `the archive has an entry without a name`);
        continue;
      }
      const name = components.at(-1) as string;
      tree.inParent(components, (at) => tree.clear(at(name), header, `${root}/${components.join('/')}`));
      switch (header.type) {
        case 'directory':
          tree.inParent(components, (at) => tree.makeDirectory(at(name)));
          times.push({ components, mtime: header.mtime, mode: header.mode });
          break;
        case 'file':
          await tree.writeFile(components, header, body());
          break;
        case 'symlink':
          tree.inParent(components, (at) => {
            symlinkSync(header.link, at(name));
            lutimesSync(at(name), header.mtime, header.mtime);
          });
          break;
        case 'link': {
          const target = split(rebased(header.link, options.rebase), header.link);
          tree.inParent(target, (from) => tree.inParent(components, (to) => linkSync(from(target.at(-1) as string), to(name))));
          break;
        }
        default:
          options.skipped(header.path);
      }
    }
    // Last: writing into a directory changes its time, and may need a mode that it shall not keep.
    for (const { components, mtime, mode } of times.reverse()) tree.finishDirectory(components, mtime, mode);
  } finally {
    tree.close();
  }
}

function rebased(path: string, rebase: readonly [string, string] | undefined): string {
  if (rebase === undefined) return path;
  const [from, to] = rebase;
  const bare = path.replace(/^(\.?\/)+/, '');
  if (from === '' || from === '/' || from === '.') return `${to}/${bare}`;
  return bare === from || bare.startsWith(`${from}/`) ? `${to}${bare.slice(from.length)}` : bare;
}

function split(path: string, shown: string): string[] {
  const components = path.split('/').filter((part) => part !== '' && part !== '.');
  if (components.includes('..') || path.includes('\0')) throw new NaruError('corrupt', `the archive would write outside of the destination: ${JSON.stringify(shown)}`);
  return components;
}

/** A directory tree that is walked by descriptors: `/proc/self/fd/N/name` is openat(N, name). */
class Tree {
  readonly #root: number;
  readonly #path: string;
  // The parent of the last entry: entries come directory by directory.
  #last: { path: string; fd: number } | undefined;

  constructor(root: string) {
    this.#path = root;
    this.#root = openSync(root, O_RDONLY | O_DIRECTORY);
  }

  /** Calls `work` with a way to name things in the parent directory of `components`, which is made when it is missing. */
  inParent<T>(components: readonly string[], work: (at: (name: string) => string) => T): T {
    const fd = this.#parent(components);
    try {
      return work((name) => `/proc/self/fd/${fd}/${name}`);
    } finally {
      if (fd !== this.#root && fd !== this.#last?.fd) closeSync(fd);
    }
  }

  async writeFile(components: readonly string[], header: TarHeader, body: AsyncIterable<Uint8Array>): Promise<void> {
    const fd = this.inParent(components, (at) => openSync(at(components.at(-1) as string), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600));
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.length; ) at += await new Promise<number>((resolve, reject) => write(fd, chunk, at, chunk.length - at, null, (error, count) => (error === null ? resolve(count) : reject(error))));
      }
      fchmodSync(fd, header.mode & 0o777);
      futimesSync(fd, header.mtime, header.mtime);
    } finally {
      closeSync(fd);
    }
  }

  /** Removes what is in the way. A directory is kept for a directory, and never replaced by anything else, nor the reverse. */
  clear(path: string, header: TarHeader, shown: string): void {
    let stat: Stats;
    try {
      stat = lstatSync(path);
    } catch {
      return;
    }
    const isDirectory = header.type === 'directory';
    if (stat.isDirectory() && !isDirectory) throw new NaruError('conflict', `cannot overwrite directory ${JSON.stringify(shown)} with non-directory ${JSON.stringify(this.#path)}`);
    if (!stat.isDirectory() && isDirectory) throw new NaruError('conflict', `cannot overwrite non-directory ${JSON.stringify(shown)} with directory ${JSON.stringify(this.#path)}`);
    if (!isDirectory) rmSync(path);
  }

  makeDirectory(path: string): void {
    try {
      mkdirSync(path, 0o755);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }

  finishDirectory(components: readonly string[], mtime: number, mode: number): void {
    const fd = this.inParent(components, (at) => openDirectory(at(components.at(-1) as string), components.join('/')));
    try {
      fchmodSync(fd, mode & 0o777);
      futimesSync(fd, mtime, mtime);
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    if (this.#last !== undefined) closeSync(this.#last.fd);
    closeSync(this.#root);
  }

  #parent(components: readonly string[]): number {
    if (components.length === 1) return this.#root;
    const path = components.slice(0, -1).join('/');
    if (this.#last?.path === path) return this.#last.fd;
    let fd = this.#root;
    for (const name of components.slice(0, -1)) {
      const step = `/proc/self/fd/${fd}/${name}`;
      this.makeDirectory(step);
      const next = openDirectory(step, path);
      if (fd !== this.#root) closeSync(fd);
      fd = next;
    }
    if (this.#last !== undefined) closeSync(this.#last.fd);
    this.#last = { path, fd };
    return fd;
  }
}

function openDirectory(path: string, shown: string): number {
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ELOOP' || code === 'ENOTDIR') throw new NaruError('forbidden', `the archive would write through a symbolic link or a file: ${JSON.stringify(shown)}`, { cause });
    throw cause;
  }
}
