import type { Digest } from '#spec/ids.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from './open-metadata.ts';

export interface Referrer { mediaType: string; digest: Digest; size: number; artifactType?: string; annotations?: Record<string, string> }

/** Manifests of the repository whose subject is `subject`, in the order of their digests, after `last`. */
export const findReferrers = (metadata: Metadata, name: RepositoryName, subject: Digest, { artifactType, last, limit }: { artifactType: string | undefined; last: string; limit: number }): Referrer[] =>
  metadata.all<{ digest: Digest; media_type: string; size: number; artifact_type: string | null; annotations: string | null }>(
    `SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations FROM manifests m JOIN repositories r ON r.id = m.repository
     WHERE r.name = ?1 AND m.subject = ?2 AND m.digest > ?3 AND (?4 IS NULL OR m.artifact_type = ?4) ORDER BY m.digest LIMIT ?5`,
    name, subject, last, artifactType ?? null, limit)
    .map((row) => ({
      mediaType: row.media_type, digest: row.digest, size: row.size,
      ...(row.artifact_type === null ? {} : { artifactType: row.artifact_type }),
      ...(row.annotations === null ? {} : { annotations: JSON.parse(row.annotations) as Record<string, string> }),
    }));
