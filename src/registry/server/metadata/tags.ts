import type { Digest } from '#spec/ids.ts';
import type { RepositoryName, TagName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from './open-metadata.ts';

export interface TagSummary { name: TagName; digest: Digest; mediaType: string; updated: number; pulled: number | null; bytes: number }
export interface LayerSummary { digest: Digest; size: number; mediaType: string; here: boolean }

/** Tags after `last`, in byte order. */
export const tagNames = (metadata: Metadata, repository: number, last: string, limit: number): TagName[] =>
  metadata.all<{ name: TagName }>('SELECT name FROM tags WHERE repository = ? AND name > ? ORDER BY name LIMIT ?', repository, last, limit).map((row) => row.name);

/** False: there is no such tag. The manifest stays. */
export const removeTag = (metadata: Metadata, name: RepositoryName, tag: TagName): boolean =>
  metadata.transaction(() => metadata.run('DELETE FROM tags WHERE name = ? AND repository = (SELECT id FROM repositories WHERE name = ?)', tag, name) > 0);

/** The tag was compared with the upstream at this time. */
export const noteChecked = (metadata: Metadata, name: RepositoryName, tag: TagName, now: number): void => {
  metadata.transaction(() => metadata.run('UPDATE tags SET checked = ? WHERE name = ? AND repository = (SELECT id FROM repositories WHERE name = ?)', now, tag, name), { durable: false });
};

/** Tags with what they stand for; the bytes of an image are its layers and config, of an index all its images'. */
export const summarizeTags = (metadata: Metadata, repository: number, last: string, limit: number): TagSummary[] =>
  metadata.all<TagSummary & { id: number }>(
    `SELECT m.id, t.name, m.digest, m.media_type AS mediaType, t.updated, m.pulled FROM tags t JOIN manifests m ON m.id = t.manifest
     WHERE t.repository = ? AND t.name > ? ORDER BY t.name LIMIT ?`, repository, last, limit)
    .map(({ id, name, digest, mediaType, updated, pulled }) => ({
      name, digest, mediaType, updated, pulled,
      bytes: (metadata.one<{ bytes: number }>(
        `SELECT coalesce(sum(size), 0) AS bytes FROM (SELECT DISTINCT b.digest, b.size FROM manifest_blobs b WHERE b.manifest = ?1 OR b.manifest IN (
           SELECT child.id FROM manifest_children c JOIN manifests child ON child.digest = c.digest AND child.repository = ?2 WHERE c.manifest = ?1))`, id, repository) as { bytes: number }).bytes,
    }));

/** What a manifest lists: config and layers of an image, the images of an index; `here`: the repository holds it. */
export function contentsOf(metadata: Metadata, repository: number, digest: Digest): { layers: LayerSummary[]; children: { digest: Digest; size: number; platform: string | null; here: boolean }[]; annotations: Record<string, string> } {
  const row = metadata.one<{ id: number; annotations: string | null }>('SELECT id, annotations FROM manifests WHERE repository = ? AND digest = ?', repository, digest);
  if (row === undefined) return { layers: [], children: [], annotations: {} };
  const seen = <T extends object>(one: T & { here: number }): T & { here: boolean } => ({ ...one, here: one.here === 1 });
  return {
    layers: metadata.all<Omit<LayerSummary, 'here'> & { here: number }>(
      'SELECT digest, size, media_type AS mediaType, EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository = ?2 AND l.digest = manifest_blobs.digest) AS here FROM manifest_blobs WHERE manifest = ?1 ORDER BY position', row.id, repository).map(seen),
    children: metadata.all<{ digest: Digest; size: number; platform: string | null; here: number }>(
      'SELECT digest, size, platform, EXISTS (SELECT 1 FROM manifests m WHERE m.repository = ?2 AND m.digest = manifest_children.digest) AS here FROM manifest_children WHERE manifest = ?1 ORDER BY position', row.id, repository).map(seen),
    annotations: row.annotations === null ? {} : JSON.parse(row.annotations) as Record<string, string>,
  };
}
