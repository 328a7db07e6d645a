import type { Readable } from 'node:stream';

/**
 * Trees that a container controls (core/trees): everything goes through descriptors and RESOLVE_IN_ROOT, so no link inside can
 * lead outside. `root` is a directory descriptor, from SnapshotStore.open or /proc/<pid>/root through a pidfd check.
 */
export interface Trees {
  /** lstat of the last component, links before it followed inside the root. linkTarget: the link's resolved target in the root. */
  stat(root: number, path: string): { name: string; size: number; mode: number; mtime: bigint; uid: number; gid: number; isDirectory: boolean; linkTarget: string };
  /** A tar of path: entries are named from the base name on, as `docker cp` expects, or from `name` on. */
  pack(root: number, path: string, name?: string): Readable;
  /** Extract a tar below path (an existing directory; symlinks inside the root are followed). */
  unpack(root: number, path: string, archive: Readable, options: { noOverwriteDirNonDir: boolean; keepIds: boolean }): Promise<void>;
  /** Copy a whole subtree into an empty directory (volume population): ownership, modes, xattrs, hard links kept. */
  copyInto(root: number, path: string, destination: string): Promise<void>;
  /** First `limit` bytes of a regular file, or undefined when it is missing or not regular. */
  readFile(root: number, path: string, limit: number): Uint8Array | undefined;
  /** The text of a link; undefined when the path is no link, or not there. Links before the last name are followed inside the root. */
  readLink(root: number, path: string): string | undefined;
}
