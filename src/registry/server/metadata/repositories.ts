import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from './open-metadata.ts';

export interface RepositorySummary { name: RepositoryName; tags: number; manifests: number; bytes: number; pushed: number | null }

/** The row of a repository, or nothing when nothing was ever pushed to it. */
export const findRepository = (metadata: Metadata, name: RepositoryName): number | undefined =>
  metadata.one<{ id: number }>('SELECT id FROM repositories WHERE name = ?', name)?.id;

/** The row of a repository, made when there is none; call it within a transaction that puts something into it. */
export function ensureRepository(metadata: Metadata, name: RepositoryName, now: number): number {
  metadata.run('INSERT INTO repositories (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING', name, now);
  return findRepository(metadata, name) as number;
}

/** Names after `last` in byte order, of repositories that hold a manifest or a blob. */
export const repositoryNames = (metadata: Metadata, last: string, limit: number): RepositoryName[] =>
  metadata.all<{ name: RepositoryName }>(
    `SELECT name FROM repositories r WHERE name > ? AND (EXISTS (SELECT 1 FROM manifests WHERE repository = r.id)
       OR EXISTS (SELECT 1 FROM repository_blobs WHERE repository = r.id)) ORDER BY name LIMIT ?`, last, limit).map((row) => row.name);

/** Bytes that count against a repository's quota: each of its blobs once, and its manifests. */
export const repositoryBytes = (metadata: Metadata, name: RepositoryName): number =>
  metadata.one<{ bytes: number }>(
    `SELECT coalesce((SELECT sum(b.size) FROM repository_blobs l JOIN blobs b USING (digest) WHERE l.repository = r.id), 0)
          + coalesce((SELECT sum(size) FROM manifests WHERE repository = r.id), 0) AS bytes
     FROM repositories r WHERE name = ?`, name)?.bytes ?? 0;

/** Figures of one repository, zero when there is none. */
export const summarizeRepository = (metadata: Metadata, name: RepositoryName): RepositorySummary => ({
  name, bytes: repositoryBytes(metadata, name),
  ...(metadata.one<{ tags: number; manifests: number; pushed: number | null }>(
    `SELECT (SELECT count(*) FROM tags WHERE repository = r.id) AS tags, (SELECT count(*) FROM manifests WHERE repository = r.id) AS manifests,
            (SELECT max(pushed) FROM manifests WHERE repository = r.id) AS pushed
     FROM repositories r WHERE name = ?`, name) ?? { tags: 0, manifests: 0, pushed: null }),
});

/** Takes a repository away with all its tags, manifests and links; its blobs go at the next collection. False: there is none. */
export const removeRepository = (metadata: Metadata, name: RepositoryName): boolean =>
  metadata.transaction(() => {
    const gone = metadata.run('DELETE FROM repositories WHERE name = ?', name) > 0;
    dropOrphanDocuments(metadata);
    return gone;
  });

/** Documents (the bytes of manifests) that no manifest names any more. */
export const dropOrphanDocuments = (metadata: Metadata): number =>
  metadata.run('DELETE FROM documents WHERE NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = documents.digest)');
