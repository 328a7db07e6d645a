import { closeSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import { errnoText } from '#sys/errno.ts';
import { openInRoot, rawFromText, statAt, textFromRaw } from '#sys/files.ts';
import { O_DIRECTORY, O_RDONLY } from '#sys/numbers.ts';
import { ByteSource } from '../archive/byte-source.ts';
import { cleanPath } from '../archive/clean-path.ts';
import { decompressed } from '../archive/decompress.ts';
import type { TarEntry } from '../archive/tar-entry.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { TreeWriter, type Place } from './tree-writer.ts';
import { isDirectoryMode, slicer } from './walk-tree.ts';

/**
 * Extracts an archive (plain, gzip, zstd) below the directory `path` of `root`, as `docker cp` into a container does. Links are
 * followed inside the root only: entries land in the tree that `root` is, whatever the archive and a process that changes the
 * tree meanwhile do. keepIds false: everything belongs to 0:0. (Docker keeps what the archive says, with and without `cp -a`.)
 */
export async function unpackTree(root: number, path: string, archive: Readable, options: { noOverwriteDirNonDir: boolean; keepIds: boolean }): Promise<void> {
  const below = openInRoot(root, rawFromText(path), { flags: O_RDONLY | O_DIRECTORY });
  if (below === -20) throw new NaruError('invalid', 'not a directory', { hint: `${path} in the container is a file` });
  if (below === -2) throw new NaruError('not-found', `Could not find the file ${path}`, { errno: 2 });
  if (below < 0) throw new NaruError('invalid', `${path}: ${errnoText(-below)}`, { errno: -below });
  const writer = new TreeWriter(below, { keepIds: options.keepIds });
  const pause = slicer();
  try {
    const reader = new TarReader(new ByteSource(decompressed(archive as AsyncIterable<Uint8Array>)));
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      const name = cleanPath(entry.name);
      if (name !== '') await add(writer, { name, entry }, { reader, noOverwriteDirNonDir: options.noOverwriteDirNonDir });
      else if (entry.type === 'directory') writer.directoryMetadata(below, '', entry);
      const wait = pause();
      if (wait !== undefined) await wait;
    }
    await reader.drain();
    writer.finish();
  } finally {
    writer.close();
    closeSync(below);
    archive.destroy();
  }
}

async function add(writer: TreeWriter, { name, entry }: { name: string; entry: TarEntry }, context: { reader: TarReader; noOverwriteDirNonDir: boolean }): Promise<void> {
  const place = writer.place(name);
  if (context.noOverwriteDirNonDir) refuseOverwrite(place, entry);
  if (entry.type !== 'file') {
    await writer.create(place, entry);
    return;
  }
  const fd = await writer.createFile(place, entry);
  let open = true;
  try {
    for (let bytes = await context.reader.content(); bytes !== undefined; bytes = await context.reader.content()) {
      for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at);
    }
    open = false;
    writer.finishFile(fd, entry);
  } finally {
    if (open) closeSync(fd);
  }
}

/** Docker's words. */
function refuseOverwrite(place: Place, entry: TarEntry): void {
  const stat = statAt(place.dir, place.name);
  if (typeof stat === 'number') return;
  const there = isDirectoryMode(stat.mode);
  if (there && entry.type !== 'directory') throw new NaruError('invalid', `cannot overwrite directory ${JSON.stringify(textFromRaw(place.path))} with non-directory ${JSON.stringify(textFromRaw(entry.name))}`);
  if (!there && entry.type === 'directory') throw new NaruError('invalid', `cannot overwrite non-directory ${JSON.stringify(textFromRaw(place.path))} with directory ${JSON.stringify(textFromRaw(entry.name))}`);
}
