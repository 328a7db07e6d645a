import { closeSync, fdatasync, mkdirSync, openSync, writeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { dupDescriptor } from '#sys/descriptors.ts';
import { ERRNO } from '#sys/errno.ts';
import { beginWriteback, mknodAt, openSubdirectory, renameAt, statAt, unlinkAt } from '#sys/files.ts';
import { setXattr } from '#sys/files-xattr.ts';
import { S_IFCHR, S_IFMT, S_IFREG } from '#sys/numbers.ts';
import { check } from '#sys/syscalls.ts';
import { ByteSource } from '../archive/byte-source.ts';
import { cleanPath, splitPath } from '../archive/clean-path.ts';
import type { TarEntry } from '../archive/tar-entry.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { digester, type Digester } from '../content/digest.ts';
import { isWhiteout, OPAQUE_XATTR } from './whiteout.ts';
import { TreeWriter, type Place } from '../trees/tree-writer.ts';
import { isDirectoryMode } from '../trees/walk-tree.ts';
import { RecipeWriter } from './recipe.ts';

export interface AppliedLayer {
  /** Digest of the bytes that passed. */
  readonly diffId: Digest;
  /** Their number. */
  readonly tarSize: number;
  /** Unpacked bytes of files. */
  readonly size: number;
  /** Directories that the archive did not name but needed (raw paths): they must get the metadata that the layers below give
   *  them (fit-layer.ts), unless this is the lowest. */
  readonly implicit: readonly string[];
}

export interface ApplyOptions {
  /** Descriptor of the fresh directory. */
  readonly target: number;
  /** Fresh directory for the recipe. */
  readonly recipe: string;
  /** Makes the digest (sha256); default: in this thread. */
  readonly hash?: Digester;
  /** Bytes of the tar that passed so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** Files from this size on are handed to the disk at once: it works while the rest is unpacked, and the sync at the end has
 *  little to wait for. Smaller ones are better written together. */
const WRITEBACK = 64 << 10;
/** After so many bytes the disk is also told to keep what it has: asked once for all of it, it takes half a second for 400 MB, with
 *  nothing else to do beside it. */
const FLUSH = 32 << 20;
/** https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const META = '.wh..wh.';

/**
 * Extracts one layer's tar (uncompressed) into the fresh directory `target`, in overlayfs's own terms: a whiteout becomes a
 * character device 0:0, an opaque directory gets its attribute. Nothing outside of `target` and `recipe` is touched, whatever
 * the archive says; when it throws, both are garbage for the caller to delete. The digest is for the caller to check: until
 * then nothing refers to what was made.
 */
export async function applyLayer(source: AsyncIterable<Uint8Array>, options: ApplyOptions): Promise<AppliedLayer> {
  const hash = options.hash ?? digester();
  let tarSize = 0;
  async function* hashed(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source) {
      hash.update(chunk);
      tarSize += chunk.byteLength;
      options.onProgress?.(tarSize);
      yield chunk;
    }
  }
  const recipe = new RecipeWriter(options.recipe);
  try {
    const reader = new TarReader(new ByteSource(hashed()), (bytes) => recipe.frame(bytes));
    const layer = new LayerWriter(options.target, recipe);
    try {
      for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) await layer.add(entry, reader);
      await reader.drain();
      layer.finish();
    } finally {
      layer.close();
    }
    recipe.finish();
    return { diffId: hash.digest(), tarSize, size: layer.size, implicit: [...layer.implicit] };
  } catch (error) {
    recipe.abandon();
    hash.digest(); // it may serve the next layer: let it forget this one
    throw error;
  }
}

class LayerWriter {
  size = 0;
  readonly implicit = new Set<string>();
  readonly #target: number;
  readonly #recipe: RecipeWriter;
  readonly #tree: TreeWriter;
  #side = -1;
  #whiteouts = 0;
  #unflushed = 0;
  #flushing = false;

  constructor(target: number, recipe: RecipeWriter) {
    this.#target = target;
    this.#recipe = recipe;
    this.#tree = new TreeWriter(target, {
      keepIds: true,
      fresh: true,
      onImplicit: (path) => this.implicit.add(path),
      onReplace: (place, directory) => this.#setAside(place, directory),
      onObstacle: ({ fd }, name) => this.#liftWhiteout(fd, name),
    });
  }

  async add(entry: TarEntry, reader: TarReader): Promise<void> {
    const path = cleanPath(entry.name);
    const { base } = splitPath(path);
    if (path === '') {
      if (entry.type === 'directory') this.#tree.directoryMetadata(this.#target, '', entry);
      else await this.#keepInline(reader);
    } else if (base.startsWith(WHITEOUT)) {
      await this.#keepInline(reader);
      this.#whiteout(path, base);
    } else if (entry.type === 'file') await this.#file(this.#tree.place(path), entry, reader);
    else {
      const place = this.#tree.place(path);
      const hides = entry.type === 'directory' && this.#liftedWhiteout(place);
      await this.#tree.create(place, entry);
      if (hides) this.#makeOpaque(place);
      this.implicit.delete(place.path);
    }
  }

  async #file(place: Place, entry: TarEntry, reader: TarReader): Promise<void> {
    const fd = await this.#tree.createFile(place, entry);
    let open = true;
    try {
      if (entry.size > 0) this.#recipe.content(entry.size, place.path);
      while (reader.remaining > 0) {
        const bytes = reader.tryContent() ?? (await reader.content());
        if (bytes === undefined) break;
        for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at);
      }
      if (entry.size >= WRITEBACK) this.#writeBack(fd, entry.size);
      open = false;
      this.#tree.finishFile(fd, entry);
    } finally {
      if (open) closeSync(fd);
    }
    this.size += entry.size;
  }

  #writeBack(fd: number, size: number): void {
    beginWriteback(fd);
    this.#unflushed += size;
    if (this.#unflushed < FLUSH || this.#flushing) return;
    const own = dupDescriptor(fd);
    this.#unflushed = 0;
    this.#flushing = true;
    // Whether it worked, the sync at the end tells.
    fdatasync(own, () => {
      this.#flushing = false;
      closeSync(own);
    });
  }

  /** Content that no file of the layer will hold. */
  async #keepInline(reader: TarReader): Promise<void> {
    for (let bytes = await reader.content(); bytes !== undefined; bytes = await reader.content()) this.#recipe.frame(bytes);
  }

  #whiteout(path: string, base: string): void {
    if (base === OPAQUE) {
      const { parent } = splitPath(path);
      const { fd } = this.#tree.parents.get(parent);
      check(setXattr(fd, '', OPAQUE_XATTR), 'mark directory opaque');
      return;
    }
    if (base.startsWith(META)) return; // aufs's own bookkeeping
    const hidden = base.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.' || hidden === '..') throw new NaruError('corrupt', `invalid archive: whiteout ${JSON.stringify(base)} names nothing`);
    const place = this.#tree.place(path.slice(0, path.length - base.length) + hidden);
    this.#whiteouts++;
    const made = mknodAt(place.dir, place.name, { mode: S_IFCHR, major: 0, minor: 0 });
    if (made !== -ERRNO.EEXIST!) return void check(made, 'make whiteout');
    // It hides what lies below, not what this layer itself brings.
    const stat = statAt(place.dir, place.name);
    if (typeof stat === 'object' && isDirectoryMode(stat.mode)) this.#makeOpaque(place);
  }

  #makeOpaque(place: Place): void {
    const fd = check(openSubdirectory(place.dir, place.name), 'open directory');
    try {
      check(setXattr(fd, '', OPAQUE_XATTR), 'mark directory opaque');
    } finally {
      closeSync(fd);
    }
  }

  /** A directory after its own whiteout: it replaces what lies below. */
  #liftedWhiteout(place: Place): boolean {
    if (this.#whiteouts === 0) return false;
    const stat = statAt(place.dir, place.name);
    if (typeof stat !== 'object' || !isWhiteout(stat)) return false;
    unlinkAt(place.dir, place.name);
    return true;
  }

  #liftWhiteout(dir: number, name: string): boolean {
    const stat = statAt(dir, name);
    return typeof stat === 'object' && isWhiteout(stat) && unlinkAt(dir, name) === 0;
  }

  /** A later entry takes a name: what was there is still part of the tar, so contents are kept beside the recipe. */
  #setAside(place: Place, directory: boolean): void {
    const stat = statAt(place.dir, place.name);
    if (typeof stat !== 'object') return;
    if (!directory && (stat.size === 0 || (stat.mode & S_IFMT) !== S_IFREG)) {
      unlinkAt(place.dir, place.name);
      return;
    }
    if (this.#side < 0) {
      mkdirSync(`${this.#recipe.directory}/moved`, { mode: 0o700 });
      this.#side = openSync(`${this.#recipe.directory}/moved`, 'r');
    }
    const number = this.#recipe.moved.length;
    check(renameAt(place.dir, place.name, this.#side, String(number)), 'set aside');
    this.#recipe.moved.push({ before: this.#recipe.files, path: place.path, number });
    for (const path of this.implicit) if (path === place.path || path.startsWith(`${place.path}/`)) this.implicit.delete(path);
  }

  finish(): void {
    this.#tree.finish();
  }

  close(): void {
    this.#tree.close();
    if (this.#side >= 0) closeSync(this.#side);
  }
}
