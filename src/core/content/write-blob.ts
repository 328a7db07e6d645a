import { closeSync, existsSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import type { Digest } from '#spec/ids.ts';
import { digestOf, hexOf } from './digest.ts';
import type { DataRoot } from '../data-root.ts';

let counter = 0;

/** Writes a small document as `blobs/sha256/<hex>`: to a name of its own, synced, renamed, the directory synced. A crash at
 *  any point leaves the whole blob or none. Returns its digest. `durable: false` skips the syncs. */
export function writeBlob(root: DataRoot, bytes: Uint8Array, options: { durable: boolean }): Digest {
  const digest = digestOf(bytes);
  const path = `${root.blobs}/${hexOf(digest)}`;
  if (existsSync(path)) return digest;
  const temporary = `${root.incoming}/blob-${process.pid}-${counter++}`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeFileSync(fd, bytes);
    if (options.durable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  if (options.durable) {
    const directory = openSync(root.blobs, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }
  return digest;
}
