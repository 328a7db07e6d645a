import { closeSync, openSync, readdirSync } from 'node:fs';
import { hexOf } from './content/digest.ts';
import { checkStore } from './check/check-store.ts';
import { openDataRoot, sweep } from './data-root.ts';
import { openDatabase } from './db/database.ts';
import { openDocuments } from './documents/open-documents.ts';
import type { DocumentStore } from './documents/document-store.ts';
import { openImages, type Images } from './images/open-images.ts';
import { STORE_SCHEMA } from './schema.ts';
import { openSnapshots, restoreDirectories } from './snapshots/open-snapshots.ts';
import { packTree } from './trees/pack-tree.ts';
import { openTransfers } from './transfers/open-transfers.ts';
import type { Store } from './store.ts';
import type { Digest } from '#spec/ids.ts';

/**
 * Opens the store at `dataRoot` (made when missing), applies the schema (the store's, then `extraSchema`) and sweeps what a crash
 * left: every file without a row goes to the trash, rows of snapshots get their directories back. `self` is the command that
 * runs this program; heavy work (load, save, commit) is done by `…self internal core …` in a process of its own. Without it
 * (tests, development) the module is run by the interpreter directly.
 */
export async function openStore(dataRoot: string, extraSchema: readonly { name: string; sql: string }[], options: { self?: readonly string[] } = {}): Promise<Store> {
  const root = openDataRoot(dataRoot);
  // Environments of containers may hold secrets: SQLite's other files take this one's mode.
  closeSync(openSync(`${dataRoot}/naru.db`, 'a', 0o600));
  const db = openDatabase(`${dataRoot}/naru.db`, [...STORE_SCHEMA, ...extraSchema]);
  try {
    recover();
    const images = openImages({
      db, root, self: options.self,
      snapshotContent(id) {
        const row = db.sql('SELECT directory FROM snapshots WHERE id = ?').get(id) as { directory: string | null } | undefined;
        return row?.directory == null ? { upper: `${root.snapshots}/${id}/upper` } : { tree: () => snapshots.exportTar(id) };
      },
    });
    const snapshots = openSnapshots({ db, root, lowersOf: images.lowersOf, exportTree: (fd) => packTree(fd, { path: '/', name: '', closeRoot: true }) });
    const transfers = openTransfers({ db, root, self: options.self, images });
    const documents = openDocuments({ db, root });
    return { images: collecting(images, documents), snapshots, transfers, documents, db,
      check: (signal) => checkStore({ db, root, self: options.self }, signal),
      discardOrphan: (path) => root.discard(path),
      discard: (directory) => root.discard(directory, { wait: false }),
      imageNames: (id) => ({
        tags: (db.sql('SELECT reference AS v FROM tags WHERE image = ? ORDER BY reference').all(id) as { v: string }[]).map(({ v }) => v),
        digests: (db.sql('SELECT reference AS v FROM repo_digests WHERE image = ? ORDER BY reference').all(id) as { v: string }[]).map(({ v }) => v),
      }),
      close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }

  /** What was about an image goes with it. */
  function collecting(images: Images, documents: DocumentStore): Images {
    return {
      ...images,
      delete(id) {
        const { deleted, bytes } = images.delete(id);
        return { deleted, bytes: bytes + documents.collect() };
      },
    };
  }

  function recover(): void {
    const column = (sql: string): string[] => (db.sql(sql).all() as { v: string | number }[]).map((row) => String(row.v));
    const snapshots = column('SELECT id AS v FROM snapshots');
    const present = new Set(readdirSync(root.snapshots));
    for (const id of snapshots) if (!present.has(id)) restoreDirectories(root, id);
    sweep(root, {
      layers: new Set(column('SELECT DISTINCT dir AS v FROM layers')),
      snapshots: new Set(snapshots),
      blobs: new Set(column('SELECT id AS v FROM images').map((id) => hexOf(id as Digest))),
    });
  }
}
