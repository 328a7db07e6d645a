import { closeSync, createReadStream, existsSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { algorithmOf, digester, digestOf, hexOf, isDigest } from '../content/digest.ts';
import { freeBytes, type DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import { asNaruError } from '../images/as-naru-error.ts';
import type { DocumentIntake, DocumentStore, NewDocument, StoredBlob, StoredDocument } from './document-store.ts';

/** Disk space that is left free, bytes. */
const RESERVE = 128 << 20;

/** Everything that something keeps (document-store.ts says what does). */
const KEPT = `
WITH RECURSIVE known(digest) AS (
  SELECT digest FROM manifests UNION SELECT substr(reference, instr(reference, '@') + 1) FROM repo_digests
), kept(digest) AS (
  SELECT document FROM document_names
  UNION SELECT d.digest FROM documents d JOIN known k ON d.digest = k.digest
  UNION SELECT d.digest FROM documents d JOIN known k ON d.subject = k.digest
  UNION SELECT d.digest FROM documents d JOIN kept k ON d.subject = k.digest
  UNION SELECT c.child FROM document_children c JOIN kept k ON c.parent = k.digest
)`;

interface Row { digest: Digest; media_type: string; artifact_type: string | null; bytes: Uint8Array; subject: Digest | null }
const documentOf = (row: Row): StoredDocument => ({ digest: row.digest, mediaType: row.media_type, artifactType: row.artifact_type ?? undefined, bytes: row.bytes, subject: row.subject ?? undefined });
const COLUMNS = 'd.digest, d.media_type, d.artifact_type, d.bytes, d.subject';

export function openDocuments({ db, root }: { db: Database; root: DataRoot }): DocumentStore {
  /** Blobs and documents that an intake brings just now. */
  const held = new Map<Digest, number>();
  const pathOf = (digest: Digest): string => `${root.artifacts}/${algorithmOf(digest)}-${hexOf(digest)}`;
  const rows = (sql: string, ...values: string[]): StoredDocument[] => (db.sql(sql).all(...values) as unknown as Row[]).map(documentOf);
  let counter = 0;

  async function write(blob: { digest: Digest; size: number }, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const temporary = `${root.incoming}/artifact-${process.pid}-${counter++}`;
    try {
      if (freeBytes(root.incoming) < RESERVE + blob.size) throw new NaruError('no-space', `no space left on device for ${blob.digest}`);
      const fd = openSync(temporary, 'wx', 0o600);
      const hash = digester(algorithmOf(blob.digest));
      let size = 0;
      try {
        for await (const chunk of bytes) {
          size += chunk.byteLength;
          if (size > blob.size) break;
          hash.update(chunk);
          for (let at = 0; at < chunk.byteLength; ) at += writeSync(fd, chunk, at);
        }
        if (size !== blob.size || hash.digest() !== blob.digest) throw new NaruError('corrupt', `verification failed for digest ${blob.digest}`, { hint: 'what came is not what the manifest names' });
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, pathOf(blob.digest));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw asNaruError(error);
    }
  }

  function insert({ digest, mediaType, artifactType, bytes, subject, blobs, children = [], names = [] }: NewDocument): void {
    db.sql('INSERT INTO documents (digest, media_type, artifact_type, bytes, subject) VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET subject = coalesce(documents.subject, excluded.subject)').run(digest, mediaType, artifactType ?? null, bytes, subject ?? null);
    blobs.forEach((blob, position) => db.sql('INSERT INTO document_blobs (document, position, digest, size, media_type) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING').run(digest, position, blob.digest, blob.size, blob.mediaType));
    for (const child of children) db.sql('INSERT INTO document_children (parent, child) VALUES (?, ?) ON CONFLICT DO NOTHING').run(digest, child);
    for (const name of names) nameRow(name, digest);
  }

  const nameRow = (reference: string, digest: Digest): void =>
    void db.sql('INSERT INTO document_names (reference, document) VALUES (?, ?) ON CONFLICT (reference) DO UPDATE SET document = excluded.document').run(reference, digest);

  function intake(): DocumentIntake {
    const mine = new Set<Digest>();
    const hold = (digest: Digest): void => {
      if (mine.has(digest)) return;
      mine.add(digest);
      held.set(digest, (held.get(digest) ?? 0) + 1);
    };
    return {
      has(digest) {
        hold(digest);
        return existsSync(pathOf(digest));
      },
      async putBlob(blob, bytes) {
        hold(blob.digest);
        if (!existsSync(pathOf(blob.digest))) await write(blob, bytes);
      },
      put(documents) {
        for (const document of documents) {
          if (digestOf(document.bytes, algorithmOf(document.digest)) !== document.digest) throw new NaruError('corrupt', `document ${document.digest} has other bytes`);
          hold(document.digest);
        }
        const directory = openSync(root.artifacts, 'r');
        try {
          fsyncSync(directory);
        } finally {
          closeSync(directory);
        }
        db.transaction(() => documents.forEach(insert));
      },
      [Symbol.dispose]() {
        for (const digest of mine) {
          const left = held.get(digest)! - 1;
          if (left === 0) held.delete(digest);
          else held.set(digest, left);
        }
      },
    };
  }

  function collect(): number {
    const unneeded = (db.sql(`${KEPT} SELECT digest, length(bytes) AS size FROM documents WHERE digest NOT IN (SELECT digest FROM kept)`).all() as unknown as { digest: Digest; size: number }[]).filter(({ digest }) => !held.has(digest));
    if (unneeded.length > 0) {
      db.transaction(() => {
        for (const { digest } of unneeded) db.sql('DELETE FROM documents WHERE digest = ?').run(digest);
      });
    }
    const used = new Set((db.sql('SELECT DISTINCT digest FROM document_blobs').all() as unknown as { digest: Digest }[]).map(({ digest }) => digest.replace(':', '-')));
    for (const digest of held.keys()) used.add(digest.replace(':', '-'));
    let bytes = unneeded.reduce((sum, { size }) => sum + size, 0);
    for (const name of readdirSync(root.artifacts)) {
      if (used.has(name)) continue;
      try {
        bytes += statSync(`${root.artifacts}/${name}`).size;
        rmSync(`${root.artifacts}/${name}`);
      } catch {
        // Tried again the next time.
      }
    }
    return bytes;
  }

  collect();
  return {
    get: (digest) => rows(`SELECT ${COLUMNS} FROM documents d WHERE d.digest = ?`, digest)[0],
    find: (name) => (isDigest(name) ? rows(`SELECT ${COLUMNS} FROM documents d WHERE d.digest = ?`, name)[0] : rows(`SELECT ${COLUMNS} FROM documents d JOIN document_names n ON n.document = d.digest WHERE n.reference = ?`, name)[0]),
    list: () => rows(`SELECT ${COLUMNS} FROM documents d WHERE d.digest IN (SELECT document FROM document_names) ORDER BY d.digest`).map((one) => ({ ...one, names: namesOf(one.digest) })),
    names: namesOf,
    referrers: (subject) => rows(`SELECT ${COLUMNS} FROM documents d WHERE d.subject = ? ORDER BY d.digest`, subject),
    parents: (child) => rows(`SELECT ${COLUMNS} FROM documents d JOIN document_children c ON c.parent = d.digest WHERE c.child = ? ORDER BY d.digest`, child),
    name: (digest, reference) => db.transaction(() => nameRow(reference, digest)),
    untag: (reference) => db.transaction(() => db.sql('DELETE FROM document_names WHERE reference = ?').run(reference).changes > 0),
    remove: (digest) => db.transaction(() => void db.sql('DELETE FROM documents WHERE digest = ?').run(digest)),
    blobs: (document) => (db.sql('SELECT digest, size, media_type AS mediaType FROM document_blobs WHERE document = ? ORDER BY position').all(document) as unknown as StoredBlob[]),
    readBlob: (digest) => readFileSync(pathOf(digest)),
    openBlob: (digest) => createReadStream(pathOf(digest)),
    intake,
    collect,
    size: () => (db.sql('SELECT (SELECT coalesce(sum(length(bytes)), 0) FROM documents) + (SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT digest, size FROM document_blobs)) AS total').get() as { total: number }).total,
  };

  function namesOf(digest: Digest): string[] {
    return (db.sql('SELECT reference FROM document_names WHERE document = ? ORDER BY reference').all(digest) as { reference: string }[]).map(({ reference }) => reference);
  }
}
