import type { Digest } from '#spec/ids.ts';
import type { Metadata } from '../metadata/open-metadata.ts';
import type { BlobStorage } from '../storage/blob-storage.ts';

export interface GarbageOptions {
  /** Milliseconds that a blob nobody names stays after it was last pushed, mounted or asked for: a push under way needs it. */
  grace: number;
  now: number;
  /** Also looks through the storage for blobs that have no row (a crash between the two). */
  checkStorage?: boolean;
  dryRun?: boolean;
}
export interface GarbageReport { links: number; blobs: number; bytes: number; strays: number }

/** How many go in one transaction: pushes wait no longer than that. */
const BATCH = 200;
/** No push takes longer between its first blob and its manifest, beyond the grace period. */
const REMEMBERED_MS = 7 * 24 * 3_600_000;

const UNUSED_LINKS = `SELECT l.repository, l.digest FROM repository_blobs l WHERE l.linked < ?1 AND NOT EXISTS (
  SELECT 1 FROM manifest_blobs b JOIN manifests m ON m.id = b.manifest WHERE b.digest = l.digest AND m.repository = l.repository)`;
const UNUSED_BLOBS = `SELECT digest, size FROM blobs WHERE touched < ?1 AND NOT deleting AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest)`;

/**
 * Online garbage collection by references, in small steps between which pushes and pulls go on, in any number of processes:
 * a blob that no manifest of its repository names loses its link; one without links is first marked in the database (from
 * then on nobody can claim or link it: a push under way stores it again), then removed from the storage, then forgotten.
 * Repositories that are empty go as well. Marks that a killed collector left are carried on.
 */
export async function collectGarbage(metadata: Metadata, storage: BlobStorage, options: GarbageOptions): Promise<GarbageReport> {
  const before = options.now - options.grace;
  const report: GarbageReport = { links: 0, blobs: 0, bytes: 0, strays: 0 };
  if (options.dryRun === true) return estimate(metadata, before);

  for (;;) {
    const dropped = metadata.transaction(() => {
      const rows = metadata.all<{ repository: number; digest: string }>(`${UNUSED_LINKS} LIMIT ${BATCH}`, before);
      for (const row of rows) metadata.run('DELETE FROM repository_blobs WHERE repository = ? AND digest = ?', row.repository, row.digest);
      return rows.length;
    });
    report.links += dropped;
    if (dropped < BATCH) break;
    await breathe();
  }
  for (;;) {
    metadata.transaction(() => {
      for (const { digest } of metadata.all<{ digest: string }>(`${UNUSED_BLOBS} LIMIT ${BATCH}`, before)) metadata.run('UPDATE blobs SET deleting = 1 WHERE digest = ?', digest);
    });
    const marked = metadata.all<{ digest: Digest; size: number }>('SELECT digest, size FROM blobs WHERE deleting LIMIT ?', BATCH);
    for (const { digest, size } of marked) {
      await storage.remove(digest);
      if (metadata.transaction(() => metadata.run('DELETE FROM blobs WHERE digest = ? AND deleting', digest)) === 0) continue;
      report.blobs++;
      report.bytes += size;
    }
    if (marked.length < BATCH) break;
  }
  metadata.transaction(() => metadata.run(
    `DELETE FROM repositories WHERE created < ? AND NOT EXISTS (SELECT 1 FROM manifests WHERE repository = repositories.id)
     AND NOT EXISTS (SELECT 1 FROM repository_blobs WHERE repository = repositories.id)`, before));
  metadata.transaction(() => metadata.run('DELETE FROM departed WHERE at < ?', before - REMEMBERED_MS), { durable: false });
  if (options.checkStorage === true) report.strays = await removeStrays(metadata, storage, before);
  await storage.sweep?.(before);
  return report;
}

/** Old files without a row: the row is written right after the file, so an old one will not get any. */
async function removeStrays(metadata: Metadata, storage: BlobStorage, before: number): Promise<number> {
  let strays = 0;
  for await (const { digest, modified } of storage.list()) {
    if (modified >= before) continue;
    // The mark is a row of its own, so that a push of the same digest waits.
    const marked = metadata.transaction(() => metadata.run('INSERT INTO blobs (digest, size, touched, deleting) VALUES (?, 0, 0, 1) ON CONFLICT DO NOTHING', digest));
    if (marked === 0) continue;
    await storage.remove(digest);
    metadata.transaction(() => metadata.run('DELETE FROM blobs WHERE digest = ? AND deleting', digest));
    strays++;
  }
  return strays;
}

/** What would go now; blobs that only lose a link in the same run are counted when that is their last one. */
function estimate(metadata: Metadata, before: number): GarbageReport {
  const links = metadata.all(UNUSED_LINKS, before).length;
  const blobs = metadata.all<{ size: number }>(
    `SELECT size FROM blobs WHERE touched < ?1 AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest AND (l.repository, l.digest) NOT IN (${UNUSED_LINKS}))`, before);
  return { links, blobs: blobs.length, bytes: blobs.reduce((sum, b) => sum + b.size, 0), strays: 0 };
}

/** Lets waiting requests run. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
