import type { Digest } from '#spec/ids.ts';
import type { Database } from '../db/database.ts';
import type { KnownBlob } from './transfer-store.ts';

/** Which compressed forms of layers exist somewhere. */
export interface LayerBlobs {
  of(diffId: Digest): KnownBlob[];
  learn(diffId: Digest, blob: KnownBlob): void;
}

/** Places that are remembered of one blob. */
const MAX_PLACES = 20;

/** Opens the table and forgets layers that are no more. */
export function openLayerBlobs(db: Database): LayerBlobs {
  db.transaction(() => {
    db.sql('DELETE FROM layer_blobs WHERE diff_id NOT IN (SELECT diff_id FROM layers)').run();
    db.sql('DELETE FROM blob_places WHERE digest NOT IN (SELECT digest FROM layer_blobs)').run();
  }, { durable: false });
  return {
    of: (diffId) =>
      (db.sql('SELECT digest, size, media_type FROM layer_blobs WHERE diff_id = ? ORDER BY digest').all(diffId) as { digest: Digest; size: number; media_type: string }[]).map(({ digest, size, media_type }) => ({
        digest, size, mediaType: media_type,
        repositories: (db.sql('SELECT repository FROM blob_places WHERE digest = ? ORDER BY repository LIMIT ?').all(digest, MAX_PLACES) as { repository: string }[]).map((row) => row.repository),
      })),
    learn(diffId, { digest, size, mediaType, repositories }) {
      db.sql('INSERT INTO layer_blobs (diff_id, digest, size, media_type) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING').run(diffId, digest, size, mediaType);
      for (const repository of repositories) db.sql('INSERT INTO blob_places (digest, repository) VALUES (?, ?) ON CONFLICT DO NOTHING').run(digest, repository);
    },
  };
}
