import type { Digest } from '#spec/ids.ts';
import type { ParsedManifest } from '#registry/protocol/manifest.ts';
import type { ManifestReference, RepositoryName, TagName } from '#registry/protocol/repository-name.ts';
import { findBlob } from './blobs.ts';
import type { Metadata } from './open-metadata.ts';
import { checkQuota } from './check-quota.ts';
import { ensureRepository, findRepository } from './repositories.ts';

export interface ManifestRow { id: number; digest: Digest; media_type: string; size: number; pushed: number; pulled: number | null }

/** A manifest by tag or digest, without its bytes. `checked`: when the tag was last compared with an upstream. */
export function findManifest(metadata: Metadata, name: RepositoryName, reference: ManifestReference): (ManifestRow & { checked: number }) | undefined {
  return reference.tag === undefined
    ? metadata.one(
        `SELECT m.id, m.digest, m.media_type, m.size, m.pushed, m.pulled, 0 AS checked FROM manifests m JOIN repositories r ON r.id = m.repository
         WHERE r.name = ? AND m.digest = ?`, name, reference.digest)
    : metadata.one(
        `SELECT m.id, m.digest, m.media_type, m.size, m.pushed, m.pulled, t.checked FROM tags t JOIN repositories r ON r.id = t.repository
         JOIN manifests m ON m.id = t.manifest WHERE r.name = ? AND t.name = ?`, name, reference.tag);
}

export const manifestBytes = (metadata: Metadata, digest: Digest): Uint8Array | undefined =>
  metadata.one<{ bytes: Uint8Array }>('SELECT bytes FROM documents WHERE digest = ?', digest)?.bytes;

/** Notes a pull; kept to one write a minute for each manifest, since it serves retention only. */
export const notePull = (metadata: Metadata, manifest: ManifestRow, now: number): void => {
  if (manifest.pulled !== null && now - manifest.pulled < 60_000) return;
  metadata.transaction(() => metadata.run('UPDATE manifests SET pulled = ? WHERE id = ?', now, manifest.id), { durable: false });
};

/** Of `digests`, those that the repository held not long ago and let go: whoever pushes what names them may have seen them there. */
export const departedReferences = (metadata: Metadata, name: RepositoryName, digests: readonly Digest[]): Digest[] =>
  digests.filter((digest) => metadata.one('SELECT 1 FROM departed WHERE repository = ? AND digest = ?', name, digest) !== undefined);

/** What a push names and the repository does not hold. */
export function missingReferences(metadata: Metadata, name: RepositoryName, manifest: ParsedManifest): Digest[] {
  const repository = findRepository(metadata, name) ?? -1;
  const lacks = (table: 'repository_blobs' | 'manifests', digest: Digest): boolean =>
    metadata.one(`SELECT 1 FROM ${table} WHERE repository = ? AND digest = ?`, repository, digest) === undefined;
  return [
    ...manifest.blobs.filter((b) => !b.elsewhere && lacks('repository_blobs', b.digest)).map((b) => b.digest),
    ...manifest.manifests.filter((m) => lacks('manifests', m.digest)).map((m) => m.digest),
  ];
}

/** Referenced blobs of the repository whose stored size is not what the manifest says. Of others' blobs nothing is told. */
export function wrongSizes(metadata: Metadata, name: RepositoryName, manifest: ParsedManifest): { digest: Digest; size: number; stored: number }[] {
  return manifest.blobs.flatMap(({ digest, size }) => {
    const stored = findBlob(metadata, name, digest)?.size;
    return stored === undefined || stored === size ? [] : [{ digest, size, stored }];
  });
}

export interface ManifestPush { digest: Digest; bytes: Uint8Array; manifest: ParsedManifest; tags: readonly TagName[]; now: number; quota?: number | undefined }

/** Stores a manifest with its references and moves the tags to it; within one durable transaction of the caller's or its own. */
export function putManifest(metadata: Metadata, name: RepositoryName, { digest, bytes, manifest, tags, now, quota }: ManifestPush): void {
  metadata.transaction(() => {
    const repository = ensureRepository(metadata, name, now);
    metadata.run('INSERT INTO documents (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING', digest, bytes);
    const known = metadata.one<{ id: number }>('SELECT id FROM manifests WHERE repository = ? AND digest = ?', repository, digest);
    if (known === undefined) insertManifest(metadata, repository, { digest, bytes, manifest, tags, now });
    else metadata.run('UPDATE manifests SET pushed = ? WHERE id = ?', now, known.id);
    const { id } = known ?? (metadata.one<{ id: number }>('SELECT id FROM manifests WHERE repository = ? AND digest = ?', repository, digest) as { id: number });
    for (const tag of tags) {
      metadata.run(
        `INSERT INTO tags (repository, name, manifest, updated, checked) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET updated = CASE WHEN manifest = excluded.manifest THEN updated ELSE excluded.updated END,
           manifest = excluded.manifest, checked = excluded.checked`, repository, tag, id, now, now);
    }
    if (known === undefined) checkQuota(metadata, name, quota);
  });
}

function insertManifest(metadata: Metadata, repository: number, { digest, bytes, manifest, now }: ManifestPush): void {
  metadata.run(
    'INSERT INTO manifests (repository, digest, media_type, artifact_type, size, subject, annotations, pushed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    repository, digest, manifest.mediaType, manifest.artifactType ?? null, bytes.byteLength, manifest.subject ?? null,
    manifest.annotations === undefined ? null : JSON.stringify(manifest.annotations), now);
  const { id } = metadata.one<{ id: number }>('SELECT id FROM manifests WHERE repository = ? AND digest = ?', repository, digest) as { id: number };
  manifest.blobs.forEach((b, i) => metadata.run('INSERT INTO manifest_blobs VALUES (?, ?, ?, ?, ?)', id, i, b.digest, b.size, b.mediaType));
  manifest.manifests.forEach((m, i) => metadata.run('INSERT INTO manifest_children VALUES (?, ?, ?, ?, ?)', id, i, m.digest, m.size, m.platform ?? null));
}

export type RemoveOutcome = { outcome: 'removed'; tags: string[] } | { outcome: 'unknown' } | { outcome: 'in-use'; manifest: string };

/** Takes a manifest and its tags out of the repository, unless an index there lists it. */
export const removeManifest = (metadata: Metadata, name: RepositoryName, digest: Digest): RemoveOutcome =>
  metadata.transaction(() => {
    const row = findManifest(metadata, name, { digest });
    if (row === undefined) return { outcome: 'unknown' };
    const index = metadata.one<{ digest: string }>(
      'SELECT m.digest FROM manifest_children c JOIN manifests m ON m.id = c.manifest JOIN repositories r ON r.id = m.repository WHERE c.digest = ? AND r.name = ? LIMIT 1', digest, name);
    if (index !== undefined) return { outcome: 'in-use', manifest: index.digest };
    const tags = metadata.all<{ name: string }>('SELECT name FROM tags WHERE manifest = ?', row.id).map((t) => t.name);
    metadata.run('DELETE FROM manifests WHERE id = ?', row.id);
    metadata.run('DELETE FROM documents WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM manifests WHERE digest = ?1)', digest);
    return { outcome: 'removed', tags };
  });
