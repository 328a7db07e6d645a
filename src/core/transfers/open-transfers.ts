import { availableParallelism } from 'node:os';
import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { chainIds, hexOf } from '../content/digest.ts';
import { readBlob, type DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import type { ImageTable } from '../images/image-table.ts';
import { parseConfig, publishImages } from '../images/publish-images.ts';
import type { SelfCommand } from '../jobs/start-job.ts';
import { openHelpers, resultOf } from '../jobs/helpers.ts';
import type { ImageRecord } from '../store.ts';
import { compressedLayer } from './compressed-layer.ts';
import { openLayerBlobs } from './layer-blobs.ts';
import { createLayerIntake, type HeldLayer, type LocalLayer } from './layer-intake.ts';
import { openPartialFiles } from './partial-files.ts';
import { createSlots } from './slots.ts';
import type { IncomingImage, PullSession, StoredManifest, TransferStore } from './transfer-store.ts';

export interface TransfersContext {
  readonly db: Database;
  readonly root: DataRoot;
  readonly self: SelfCommand;
  readonly images: Pick<ImageTable, 'get' | 'forget'>;
  /** Blobs that come at the same time. */
  readonly downloads?: number;
}

/** As many as Docker's daemon. */
const DOWNLOADS = 3;
/** Manifests that are kept of one image: registries and compressions differ. */
const MAX_MANIFESTS = 16;
/** Images of so many compressed bytes are downloaded again rather than synced to disk twice. */
const SMALL = 512 << 20;

export function openTransfers(context: TransfersContext): TransferStore {
  const { db, root, self, images } = context;
  const partials = openPartialFiles(`${root.path}/pulls`);
  const helpers = openHelpers(self, Math.max(2, Math.min(DOWNLOADS, availableParallelism())));
  const intake = createLayerIntake({ root, helpers, partials, slots: createSlots(context.downloads ?? DOWNLOADS) });
  const blobs = openLayerBlobs(db);

  function begin({ config, layers }: IncomingImage): PullSession {
    const diffIds = parseConfig(config).rootfs.diff_ids;
    if (diffIds.length !== layers.length) throw new NaruError('corrupt', `layers from manifest don't match image configuration: ${layers.length} layers, ${diffIds.length} in the configuration`);
    const chain = chainIds(diffIds);
    const staged = new Map<Digest, HeldLayer>();
    let published = false;

    const inStore = (position: number): boolean =>
      db.sql('SELECT 1 FROM layers WHERE chain_id = ? OR (diff_id = ? AND shareable = 1) LIMIT 1').get(chain[position]!, diffIds[position]!) !== undefined;

    /** A layer that was made to fit other parents. */
    const elsewhere = (position: number): LocalLayer | undefined => {
      const diffId = diffIds[position]!;
      const row = db.sql('SELECT dir FROM layers WHERE diff_id = ? LIMIT 1').get(diffId) as { dir: number } | undefined;
      return row === undefined ? undefined : { layer: `${root.layers}/${row.dir}`, recipe: `${root.recipes}/${row.dir}`, diffId };
    };

    const removePartials = async (): Promise<void> => void (await Promise.all(layers.map(({ digest }) => partials.remove(digest))));

    const session: PullSession = {
      missing: () => diffIds.flatMap((diffId, position) => (inStore(position) || staged.get(diffId)?.here() === true || diffIds.indexOf(diffId) < position ? [] : [position])),

      async stage(position, options) {
        const blob = layers[position]!;
        const all = { ...options, alone: session.missing().length <= 1 };
        const local = elsewhere(position);
        const held = local === undefined ? await intake.take(blob, all) : await intake.take(blob, all, local).catch((error: unknown) => {
          // It vanished meanwhile, or is damaged: the registry has it.
          if (isKind(error, 'canceled')) throw error;
          return intake.take(blob, all);
        });
        if (held.layer.diffId !== diffIds[position]) {
          await held.release();
          await partials.remove(blob.digest);
          throw new NaruError('corrupt', `layers from manifest don't match image configuration: layer ${position} is ${held.layer.diffId}, the configuration says ${diffIds[position]}`);
        }
        await staged.get(held.layer.diffId)?.release();
        staged.set(held.layer.diffId, held);
      },

      async publish({ tags, digests, manifest, repository }) {
        // What was never written to the disk need not be: a crash within the moment that the sync takes means to begin again.
        if (layers.reduce((sum, { size }) => sum + size, 0) <= SMALL) await removePartials();
        if (staged.size > 0) await sync();
        if (session.missing().length > 0) throw new NaruError('conflict', 'layers vanished while the image was pulled');
        const changed = new Set<Digest>();
        const image = db.transaction(() => {
          const [made] = publishImages([{ config, tags }], { db, root, staged: new Map([...staged].map(([diffId, { layer }]) => [diffId, layer])), durable: true });
          for (const replaced of made!.replaced) changed.add(replaced);
          for (const other of name(made!.id, manifest, digests)) changed.add(other);
          layers.forEach((layer, position) => blobs.learn(diffIds[position]!, { ...layer, repositories: [repository] }));
          return made!.id;
        });
        published = true;
        for (const id of [image, ...changed]) images.forget(id);
        await removePartials();
        return images.get(image) as ImageRecord;
      },

      async [Symbol.asyncDispose]() {
        await Promise.all([...staged.values()].map((held) => held.release()));
        if (published) staged.clear();
      },
    };
    return session;
  }

  /** Returns the images that lost a name. */
  function name(image: Digest, manifest: StoredManifest, digests: readonly string[]): Digest[] {
    const losers: Digest[] = [];
    for (const reference of digests) {
      const old = db.sql('SELECT image FROM repo_digests WHERE reference = ?').get(reference) as { image: Digest } | undefined;
      if (old !== undefined && old.image !== image) losers.push(old.image);
      db.sql('INSERT INTO repo_digests (reference, image) VALUES (?, ?) ON CONFLICT (reference) DO UPDATE SET image = excluded.image').run(reference, image);
    }
    // The last row is the last that it was pulled or pushed by.
    db.sql('DELETE FROM manifests WHERE image = ? AND digest = ?').run(image, manifest.digest);
    db.sql('INSERT INTO manifests (image, digest, media_type, bytes, known) VALUES (?, ?, ?, ?, (SELECT coalesce(max(known), 0) + 1 FROM manifests))').run(image, manifest.digest, manifest.mediaType, manifest.bytes);
    db.sql('DELETE FROM manifests WHERE image = ?1 AND known NOT IN (SELECT known FROM manifests WHERE image = ?1 ORDER BY known DESC LIMIT ?2)').run(image, MAX_MANIFESTS);
    return losers;
  }

  /** In a process of its own: it blocks. */
  async function sync(): Promise<void> {
    const incoming = root.newIncoming();
    try {
      await resultOf(helpers.run({ kind: 'sync', incoming }));
    } finally {
      await root.discard(incoming);
    }
  }

  const manifestsOf = (image: Digest): StoredManifest[] =>
    (db.sql('SELECT digest, media_type, bytes FROM manifests WHERE image = ? ORDER BY known DESC').all(image) as unknown as { digest: Digest; media_type: string; bytes: Uint8Array }[])
      .map((row) => ({ digest: row.digest, mediaType: row.media_type, bytes: row.bytes }));

  return {
    begin,

    layersOf(image) {
      if (images.get(image) === undefined) throw new NaruError('not-found', `No such image: ${image}`);
      const rows = db.sql('SELECT l.diff_id, l.dir, l.tar_size FROM image_layers i JOIN layers l USING (chain_id) WHERE i.image = ? ORDER BY i.position').all(image) as { diff_id: Digest; dir: number; tar_size: number }[];
      return rows.map((row) => ({ diffId: row.diff_id, tarSize: row.tar_size, dir: row.dir, blobs: blobs.of(row.diff_id) }));
    },

    configOf: (image) => readBlob(root, hexOf(image)),

    manifestOf: (image) => manifestsOf(image)[0],
    manifestsOf,

    compress: (layer, how, signal) => compressedLayer({ self, helpers }, { layer: `${root.layers}/${layer.dir}`, recipe: `${root.recipes}/${layer.dir}`, diffId: layer.diffId, ...how }, signal),

    adopt(image, manifest, digests) {
      const changed = db.transaction(() => name(image, manifest, digests));
      for (const id of [image, ...changed]) images.forget(id);
    },

    prunePartials: () => partials.prune(),

    learn: (diffId, blob) => db.transaction(() => blobs.learn(diffId, blob)),
  };
}
