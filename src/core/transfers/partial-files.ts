import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import type { Digest } from '#spec/ids.ts';
import { algorithmOf, hexOf } from '../content/digest.ts';

/** What came of a blob is kept for so long after the last byte, milliseconds. */
export const KEEP_PARTIAL = 7 * 24 * 3600 * 1000;

/** Files that hold the beginning of a blob each. */
export interface PartialFiles {
  path(digest: Digest): string;
  /** Bytes that are there. */
  length(digest: Digest): number;
  remove(digest: Digest): void;
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
  const path = (digest: Digest): string => `${directory}/${algorithmOf(digest)}-${hexOf(digest)}.partial`;
  return {
    path,
    length: (digest) => statSync(path(digest), { throwIfNoEntry: false })?.size ?? 0,
    remove: (digest) => rmSync(path(digest), { force: true }),
  };
}
