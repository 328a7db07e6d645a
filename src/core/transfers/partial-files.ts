import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync, statSync, write } from 'node:fs';
import { rm } from 'node:fs/promises';
import { asNaruError } from '../images/as-naru-error.ts';
import type { Digest } from '#spec/ids.ts';
import { algorithmOf, hexOf } from '../content/digest.ts';

/** What came of a blob is kept for so long after the last byte, milliseconds. */
export const KEEP_PARTIAL = 7 * 24 * 3600 * 1000;

/** Files that hold the beginning of a blob each. */
export interface PartialFiles {
  path(digest: Digest): string;
  /** Bytes that are there. */
  length(digest: Digest): number;
  remove(digest: Digest): Promise<void>;
  /** Deletes all that are not open. Returns bytes. */
  prune(): number;
  /** To write on at `offset`: what lies behind it is cut off. */
  open(digest: Digest, offset: number): PartialFile;
}

export interface PartialFile {
  append(bytes: Uint8Array): Promise<void>;
  close(): void;
}

/** Opens the directory (made when missing) and deletes what is too old. */
export function openPartialFiles(directory: string, now = Date.now()): PartialFiles {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    const path = `${directory}/${name}`;
    try {
      if (now - statSync(path).mtimeMs > KEEP_PARTIAL) rmSync(path);
    } catch {
      // Somebody else removed it.
    }
  }
  const opened = new Map<string, number>();
  const path = (digest: Digest): string => `${directory}/${algorithmOf(digest)}-${hexOf(digest)}.partial`;
  return {
    path,
    length: (digest) => statSync(path(digest), { throwIfNoEntry: false })?.size ?? 0,
    remove: (digest) => rm(path(digest), { force: true }), // not here: freeing a large file takes a while
    prune() {
      let bytes = 0;
      for (const name of readdirSync(directory)) {
        const file = `${directory}/${name}`;
        if (opened.has(file)) continue;
        try {
          bytes += statSync(file).size;
          rmSync(file);
        } catch {
          // Somebody else removed it.
        }
      }
      return bytes;
    },
    open(digest, offset) {
      const file = path(digest);
      opened.set(file, (opened.get(file) ?? 0) + 1);
      const fd = openSync(path(digest), constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      // Not for nothing: ext4 writes a file that was truncated to nothing to the disk when it is closed, and this one is deleted soon.
      if (fstatSync(fd).size !== offset) ftruncateSync(fd, offset);
      let at = offset;
      let writing: Promise<void> = Promise.resolve();
      return {
        append(bytes) {
          writing = writeAll(fd, bytes, at);
          at += bytes.byteLength;
          return writing;
        },
        // Not under a write that is on its way: the number could mean another file by then.
        close: () => {
          const left = opened.get(file)! - 1;
          if (left === 0) opened.delete(file);
          else opened.set(file, left);
          void writing.catch(() => {}).then(() => closeSync(fd));
        },
      };
    },
  };
}

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength; ) {
    at += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, at, bytes.byteLength - at, position + at, (error, count) => (error === null ? resolve(count) : reject(asNaruError(error))));
    });
  }
}
