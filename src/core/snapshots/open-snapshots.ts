import { chmodSync, chownSync, closeSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { openDirectory } from '#sys/files.ts';
import { check } from '#sys/syscalls.ts';
import type { Database } from '../db/database.ts';
import type { DataRoot } from '../data-root.ts';
import type { SnapshotMount, SnapshotStore } from '../store.ts';
import { isDirectoryMode, slicer, walkTree } from '../trees/walk-tree.ts';
import { cloneReadOnly, openOverlay } from './overlay.ts';
import { changesAsText, snapshotChanges } from './snapshot-changes.ts';

export interface SnapshotDependencies {
  readonly db: Database;
  readonly root: DataRoot;
  /** Layer directories of an image, top first, each once. Throws not-found. */
  readonly lowersOf: (image: Digest) => readonly string[];
  /** The whole tree below a directory descriptor as a tar; takes the descriptor over. */
  readonly exportTree: (fd: number) => Readable;
}

/** What names a directory below `snapshots/`: nothing that could be a path. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

interface SnapshotRow { image: string | null; directory: string | null }

/**
 * Writable trees. A snapshot is a row and two directories; its mount is data (SnapshotMount), which the runtime makes into an
 * overlay inside the container.
 *
 * While a container runs, its upper directory belongs to that overlay: `open` with readOnly looks at it as one more *lower*,
 * which never writes; a writable `open` is only for snapshots that nothing runs on (the engine takes /proc/<pid>/root then).
 */
export function openSnapshots({ db, root, lowersOf, exportTree }: SnapshotDependencies): SnapshotStore {
  const rowOf = (id: string): SnapshotRow | undefined =>
    db.sql('SELECT image, directory FROM snapshots WHERE id = ?').get(id) as SnapshotRow | undefined;

  const lowersOfRow = (row: SnapshotRow): readonly string[] =>
    row.directory !== null ? [row.directory] : lowersOf(row.image as Digest);

  const pathsOf = (id: string, lowers: readonly string[]): SnapshotMount => ({
    lowers, upper: `${root.snapshots}/${id}/upper`, work: `${root.snapshots}/${id}/work`,
  });

  const demand = (id: string): SnapshotMount => {
    const mount = store.mount(id);
    if (mount === undefined) throw new NaruError('not-found', `no such snapshot: ${id}`);
    return mount;
  };

  const shared = { empty: root.empty, scratch: `${root.incoming}/mount` };

  const open = (id: string, readOnly: boolean): number => {
    const { lowers, upper, work } = demand(id);
    if (!readOnly) return openOverlay({ ...shared, lowers, upper, work, readOnly });
    if (rowOf(id)?.directory == null) return openOverlay({ ...shared, lowers: [upper, ...lowers], readOnly });
    // The directory may hold the data root (`--rootfs /`): overlayfs takes an upper inside a lower, but not a lower inside
    // another. So the upper is an upper here too, with a work directory of its own that is never used.
    const view = mkdtempSync(`${root.snapshots}/${id}/view-`);
    try {
      return openOverlay({ ...shared, lowers, upper, work: view, readOnly });
    } finally {
      rmSync(view, { recursive: true, force: true });
    }
  };

  /** What lies under the snapshot, without it. */
  const openLower = (id: string, lowers: readonly string[]): number => {
    const directory = rowOf(id)?.directory;
    return directory == null ? openOverlay({ ...shared, lowers, readOnly: true }) : cloneReadOnly(directory);
  };

  const store: SnapshotStore = {
    create(id, base, options) {
      if (!ID.test(id)) throw new NaruError('invalid', `invalid snapshot id: ${JSON.stringify(id)}`);
      const directory = 'directory' in base ? checkedDirectory(base.directory) : null;
      const image = 'image' in base ? base.image : null;
      const mount = pathsOf(id, lowersOfRow({ image, directory }));
      // The row first: when it cannot be (the id is taken, the image is gone), nothing was made. When the directories cannot
      // be, the transaction takes the row back.
      db.transaction(() => {
        try {
          db.sql('INSERT INTO snapshots (id, image, directory, durable) VALUES (?, ?, ?, ?)').run(id, image, directory, options.durable ? 1 : 0);
        } catch (error) {
          if (rowOf(id) !== undefined) throw new NaruError('conflict', `snapshot ${id} exists`, { cause: error });
          throw error;
        }
        if (image !== null) db.sql('UPDATE images SET last_used = ? WHERE id = ?').run(Date.now(), image);
        makeDirectories(root, id, mount.lowers[0]!);
      }, options);
      return mount;
    },

    mount(id) {
      const row = rowOf(id);
      return row === undefined ? undefined : pathsOf(id, lowersOfRow(row));
    },

    async remove(id) {
      if (!ID.test(id)) return;
      db.transaction(() => void db.sql('DELETE FROM snapshots WHERE id = ?').run(id), { durable: false });
      await root.discard(`${root.snapshots}/${id}`, { wait: false, live: !isFlat(`${root.snapshots}/${id}/upper`) });
    },

    async usage(id) {
      const { upper } = demand(id);
      const fd = check(openDirectory(upper), `open ${upper}`);
      const pause = slicer();
      const linked = new Set<bigint>();
      let size = 0;
      let inodes = 0;
      try {
        for (const { stat } of walkTree(fd)) {
          const wait = pause();
          if (wait !== undefined) await wait;
          if (stat.links > 1 && !isDirectoryMode(stat.mode)) {
            if (linked.has(stat.inode)) continue;
            linked.add(stat.inode);
          }
          inodes++;
          if (!isDirectoryMode(stat.mode)) size += stat.size;
        }
      } finally {
        closeSync(fd);
      }
      return { size, inodes };
    },

    async changes(id) {
      const { upper, lowers } = demand(id);
      const fd = check(openDirectory(upper), `open ${upper}`);
      try {
        const below = openLower(id, lowers);
        try {
          return changesAsText(await snapshotChanges(fd, below));
        } finally {
          closeSync(below);
        }
      } finally {
        closeSync(fd);
      }
    },

    open: (id, options) => open(id, options.readOnly),
    openImage: (image) => openOverlay({ ...shared, lowers: lowersOf(image), readOnly: true }),
    exportTar: (id) => exportTree(open(id, true)),
  };
  return store;
}

/** Without directories in it, which is said by most file systems: such a snapshot holds nothing that is deep, and another thread may
 *  delete it whoever still writes to it: it follows no link. */
function isFlat(upper: string): boolean {
  const links = lstatSync(upper, { throwIfNoEntry: false })?.nlink;
  return links === undefined || links === 2;
}

/** The upper's own metadata is that of the merged root: it takes the lower's. */
function makeDirectories(root: DataRoot, id: string, lower: string): void {
  const directory = `${root.snapshots}/${id}`;
  try {
    mkdirSync(directory, 0o711);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // Left by a crash in between: nobody knows it.
    renameSync(directory, `${root.trash}/${id}-${Date.now().toString(36)}`);
    mkdirSync(directory, 0o711);
  }
  mkdirSync(`${directory}/upper`, 0o755);
  mkdirSync(`${directory}/work`, 0o700);
  const { mode, uid, gid } = statSync(lower);
  if (uid !== 0 || gid !== 0) chownSync(`${directory}/upper`, uid, gid);
  chmodSync(`${directory}/upper`, mode & 0o7777);
}

/** After a power cut a row may have outlived its still empty directories: they are made again. */
export function restoreDirectories(root: DataRoot, id: string): void {
  mkdirSync(`${root.snapshots}/${id}/upper`, { recursive: true, mode: 0o755 });
  mkdirSync(`${root.snapshots}/${id}/work`, { recursive: true, mode: 0o700 });
}

function checkedDirectory(path: string): string {
  if (!isAbsolute(path)) throw new NaruError('invalid', `rootfs directory must be an absolute path: ${path}`);
  let directory = false;
  try {
    directory = statSync(path).isDirectory();
  } catch (error) {
    throw new NaruError('not-found', `rootfs directory ${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : String(error)}`, { cause: error });
  }
  if (!directory) throw new NaruError('invalid', `rootfs directory ${path}: not a directory`);
  return path;
}
