import { randomInt } from 'node:crypto';
import type { Digest } from '#spec/ids.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Metadata } from './open-metadata.ts';
import { checkQuota } from './check-quota.ts';
import { ensureRepository } from './repositories.ts';

/** The size of a blob that this repository may show. */
export const findBlob = (metadata: Metadata, name: RepositoryName, digest: Digest): { size: number; linked: number } | undefined =>
  metadata.one<{ size: number; linked: number }>(
    `SELECT b.size, l.linked FROM repositories r JOIN repository_blobs l ON l.repository = r.id JOIN blobs b USING (digest)
     WHERE r.name = ? AND l.digest = ? AND NOT b.deleting`, name, digest);

/** Keeps an unreferenced blob from the collector for another grace period: somebody was just told that it is here. */
export const touchBlob = (metadata: Metadata, name: RepositoryName, digest: Digest, now: number): void => {
  metadata.transaction(() => metadata.run(
    'UPDATE repository_blobs SET linked = ? WHERE digest = ? AND repository = (SELECT id FROM repositories WHERE name = ?)', now, digest, name), { durable: false });
};

/** Which row of a digest somebody claimed: a collection may take it away, and another push make a new one. */
export type BlobClaim = number & { readonly __brand: 'BlobClaim' };
const CLAIMS = 2 ** 47;

/** Announces that the blob is about to be put into the storage. While the row stands, no collection removes its bytes unless it marks
 *  it first, which `linkBlob` notices. `undefined`: a collection has hold of it; wait and claim again. */
export const claimBlob = (metadata: Metadata, blob: { digest: Digest; size: number }, now: number): BlobClaim | undefined =>
  metadata.transaction(() => {
    const row = metadata.one<{ deleting: number; born: BlobClaim }>('SELECT deleting, born FROM blobs WHERE digest = ?', blob.digest);
    if (row?.deleting === 1) return undefined;
    const born = row?.born ?? (randomInt(1, CLAIMS) as BlobClaim);
    metadata.run('INSERT INTO blobs (digest, size, touched, stored, born) VALUES (?, ?, ?, 0, ?) ON CONFLICT (digest) DO UPDATE SET touched = excluded.touched', blob.digest, blob.size, now, born);
    return born;
  }, { durable: false });

export type LinkOutcome = 'linked' | 'lost';
/** `quota`: bytes that the repository may hold afterwards; going over it throws DENIED and changes nothing. */
export interface LinkOptions { now: number; quota: number | undefined }

/** Says that the storage holds the blob, put there since `claim`, and that the repository may show it. `lost`: a collection came
 *  between, so the bytes may be gone; claim and store again. */
export const linkBlob = (metadata: Metadata, name: RepositoryName, blob: { digest: Digest; claim: BlobClaim }, { now, quota }: LinkOptions): LinkOutcome =>
  metadata.transaction(() => {
    if (metadata.run('UPDATE blobs SET touched = ?, stored = 1 WHERE digest = ? AND born = ? AND NOT deleting', now, blob.digest, blob.claim) === 0) return 'lost';
    link(metadata, name, blob.digest, now);
    checkQuota(metadata, name, quota);
    return 'linked';
  }, { durable: false });

/** Links a blob that is already stored. False: it is not (any more). */
export const mountBlob = (metadata: Metadata, name: RepositoryName, digest: Digest, { now, quota }: LinkOptions): boolean =>
  metadata.transaction(() => {
    if (metadata.run('UPDATE blobs SET touched = ? WHERE digest = ? AND stored AND NOT deleting', now, digest) === 0) return false;
    link(metadata, name, digest, now);
    checkQuota(metadata, name, quota);
    return true;
  }, { durable: false });

const link = (metadata: Metadata, name: RepositoryName, digest: Digest, now: number): void => {
  metadata.run('INSERT INTO repository_blobs (repository, digest, linked) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET linked = excluded.linked',
    ensureRepository(metadata, name, now), digest, now);
};

/** Repositories that hold the blob, for a mount that names no source. */
export const repositoriesWithBlob = (metadata: Metadata, digest: Digest, limit: number): RepositoryName[] =>
  metadata.all<{ name: RepositoryName }>(
    'SELECT r.name FROM repository_blobs l JOIN repositories r ON r.id = l.repository WHERE l.digest = ? ORDER BY r.name LIMIT ?', digest, limit).map((row) => row.name);

export type UnlinkOutcome = { outcome: 'unlinked' } | { outcome: 'unknown' } | { outcome: 'in-use'; manifest: string };

/** Takes the blob out of the repository, unless one of its manifests names it. */
export const unlinkBlob = (metadata: Metadata, name: RepositoryName, digest: Digest): UnlinkOutcome =>
  metadata.transaction(() => {
    if (findBlob(metadata, name, digest) === undefined) return { outcome: 'unknown' };
    const user = metadata.one<{ digest: string }>(
      'SELECT m.digest FROM manifest_blobs b JOIN manifests m ON m.id = b.manifest JOIN repositories r ON r.id = m.repository WHERE b.digest = ? AND r.name = ? LIMIT 1', digest, name);
    if (user !== undefined) return { outcome: 'in-use', manifest: user.digest };
    metadata.run('DELETE FROM repository_blobs WHERE digest = ? AND repository = (SELECT id FROM repositories WHERE name = ?)', digest, name);
    return { outcome: 'unlinked' };
  });
