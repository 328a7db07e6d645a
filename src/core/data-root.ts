import { closeSync, mkdirSync, readFileSync, readdirSync, renameSync, statfsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { openDirectory, spreadChildren } from '#sys/files.ts';
import { removeTree } from '#sys/files-directory.ts';
import { check } from '#sys/syscalls.ts';

/** Where things lie below a data root. All names are naru's own (numbers, digests, ids that were checked). */
export interface DataRoot {
  readonly path: string;
  /** `blobs/sha256/<hex>`: configs. */
  readonly blobs: string;
  /** `layers/<n>`: one unpacked layer each, ready to be a lower directory. Short names: old kernels take one page of them. */
  readonly layers: string;
  /** `recipes/<n>`: what is needed to write the layer's tar again, bit by bit (core/layers/recipe.ts). */
  readonly recipes: string;
  /** `snapshots/<id>/upper` and `/work`. */
  readonly snapshots: string;
  /** `artifacts/<algorithm>-<hex>`: blobs of documents that are no images. */
  readonly artifacts: string;
  /** Half-made things, one directory per job. */
  readonly incoming: string;
  readonly trash: string;
  /** An empty directory: the lower of an image without layers. */
  readonly empty: string;
  /** Move a directory out of the way, at once, and delete it. Resolves when it is gone, or after a while: a big tree does not
   *  hold the caller. Missing is fine. */
  discard(path: string, options?: DiscardOptions): Promise<void>;
  /** Resolves when the deletions that are under way are done, or after RECLAIM_DEADLINE. */
  reclaimed(): Promise<void>;
  /** A fresh directory below `incoming`. */
  newIncoming(): string;
}

export interface DiscardOptions {
  /** false: resolve before it is gone, unless many deletions are under way. Default true. */
  readonly wait?: boolean;
  /** It may be deep, and somebody may still make it deeper (a container that does not die): it is deleted in this thread, a slice at a
   *  time, which takes as long as there are entries. Otherwise in another thread, by Bun's `rm`: it follows no link either, but begins
   *  anew at every sixteenth level. */
  readonly live?: boolean;
}

/** How long `discard` waits for the bytes to be gone, in milliseconds. */
const PATIENCE = 200;
/** Deletions under way from which on every caller waits. */
const MAX_PENDING = 128;
/** Longest wait of `reclaimed`, in milliseconds. */
const RECLAIM_DEADLINE = 20_000;

const later = <T>(work: () => Promise<T>): Promise<T> => new Promise((resolve, reject) => {
  setImmediate(() => work().then(resolve, reject));
});

export function openDataRoot(path: string): DataRoot {
  const make = (name: string, mode: number): string => {
    const directory = name === '' ? path : `${path}/${name}`;
    mkdirSync(directory, { recursive: true, mode });
    return directory;
  };
  make('', 0o711);
  const trash = make('trash', 0o700);
  const incoming = make('incoming', 0o700);
  spread(incoming);
  let counter = 0;
  const pending = new Set<Promise<void>>();
  const unique = (): string => `${process.pid.toString(36)}-${Date.now().toString(36)}-${(counter++).toString(36)}`;

  async function empty(name: string): Promise<void> {
    const fd = check(openDirectory(trash), `open ${trash}`);
    try {
      await removeTree(fd, name);
    } finally {
      closeSync(fd);
    }
  }

  make('blobs', 0o700);
  return {
    path,
    blobs: make('blobs/sha256', 0o700),
    layers: make('layers', 0o711),
    recipes: make('recipes', 0o700),
    snapshots: make('snapshots', 0o711),
    artifacts: make('artifacts', 0o700),
    incoming,
    trash,
    empty: make('empty', 0o755),
    async discard(victim, { wait = true, live = false } = {}) {
      const name = unique();
      try {
        renameSync(victim, `${trash}/${name}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
        throw error;
      }
      const work = live ? () => empty(name) : () => rm(`${trash}/${name}`, { recursive: true, force: true });
      // What could not be deleted is tried again at the next open.
      const gone = (wait ? work() : later(work)).catch(() => {});
      pending.add(gone);
      void gone.then(() => pending.delete(gone));
      if (wait || pending.size > MAX_PENDING) await within(gone, PATIENCE);
    },
    reclaimed: () => within(Promise.all(pending), RECLAIM_DEADLINE),
    newIncoming() {
      const directory = `${incoming}/${unique()}`;
      mkdirSync(directory, { mode: 0o700 });
      return directory;
    },
  };
}

async function within(work: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}

/**
 * ext4 does not use the number of an inode again within a minute of its deletion, and looks at each of them in turn before it
 * finds a free one: loading an image soon after another was removed took four times as long. Each job's directory is put where
 * nothing was deleted lately.
 */
function spread(directory: string): void {
  const fd = check(openDirectory(directory), `open ${directory}`);
  spreadChildren(fd);
  closeSync(fd);
}

/** Move everything that no row knows to the trash, and start emptying it. `known` are the names that stay, per directory. */
export function sweep(root: DataRoot, known: { layers: ReadonlySet<string>; snapshots: ReadonlySet<string>; blobs: ReadonlySet<string> }): void {
  const orphans = (directory: string, keep: ReadonlySet<string>): void => {
    for (const name of readdirSync(directory)) if (!keep.has(name)) void root.discard(`${directory}/${name}`, { wait: false, live: true });
  };
  orphans(root.layers, known.layers);
  orphans(root.recipes, known.layers);
  orphans(root.snapshots, known.snapshots);
  orphans(root.blobs, known.blobs);
  orphans(root.incoming, new Set());
  for (const name of readdirSync(root.trash)) void root.discard(`${root.trash}/${name}`, { wait: false, live: true });
}

/** Free bytes that may be used on the file system of `path`. */
export function freeBytes(path: string): number {
  const stat = statfsSync(path);
  return stat.bavail * stat.bsize;
}

export const readBlob = (root: DataRoot, hex: string): Buffer => readFileSync(`${root.blobs}/${hex}`);
