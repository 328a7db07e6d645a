import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { ChainId, Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import { chainIds, digestOf } from '../content/digest.ts';
import { writeBlob } from '../content/write-blob.ts';
import type { DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import type { AppliedLayer } from '../layers/apply-layer.ts';
import { dropVariants } from './image-table.ts';
import { fitLayer } from '../layers/fit-layer.ts';

/** A layer unpacked below `incoming`: `directory` is the tree, `recipe` beside it. */
export interface StagedLayer extends AppliedLayer {
  readonly directory: string;
  readonly recipe: string;
}

export interface StagedImage {
  /** The config blob, exactly as it came: its digest is the image's id. */
  readonly config: Uint8Array;
  readonly tags: readonly string[];
}

/** overlayfs stacks no more (OVL_MAX_STACK is 500; an upper and what `diff` adds count too). */
export const MAX_LAYERS = 480;

/**
 * Makes staged layers and configs into images: fits layers to those below, moves them into place, and adds all rows in one
 * transaction. Layers that exist already are left where they are staged. The staged trees must be synced to disk by then
 * (durable); what is moved here is synced here. Throws `corrupt` when a config names a layer that is neither staged nor there.
 */
export function publishImages(images: readonly StagedImage[], context: { db: Database; root: DataRoot; staged: ReadonlyMap<Digest, StagedLayer>; durable: boolean }): { id: Digest; tags: readonly string[]; replaced: readonly Digest[] }[] {
  const { db, root, durable } = context;
  const configs = images.map((image) => ({ ...image, parsed: parseConfig(image.config) }));
  for (const { config } of configs) writeBlob(root, config, { durable });
  const moved: string[] = [];
  try {
    return db.transaction(() => {
      const results = configs.map(({ config, tags, parsed }) => {
        const id = digestOf(config);
        const layers = layChain(parsed.rootfs.diff_ids, { ...context, moved });
        const size = layers.reduce((sum, layer) => sum + layer.size, 0);
        const now = BigInt(Date.now()) * 1_000_000n;
        db.sql('INSERT INTO images (id, size) VALUES (?, ?) ON CONFLICT (id) DO NOTHING').run(id, size);
        layers.forEach((layer, position) => {
          db.sql('INSERT INTO image_layers (image, position, chain_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING').run(id, position, layer.chainId);
        });
        const replaced: Digest[] = [];
        for (const tag of tags) {
          const old = db.sql('SELECT image FROM tags WHERE reference = ?').get(tag) as { image: Digest } | undefined;
          if (old !== undefined && old.image !== id) replaced.push(old.image, ...dropVariants(db, tag));
          db.sql('INSERT INTO tags (reference, image) VALUES (?, ?) ON CONFLICT (reference) DO UPDATE SET image = excluded.image').run(tag, id);
        }
        if (tags.length > 0) db.sql('UPDATE images SET last_tagged = ? WHERE id = ?').run(now, id);
        return { id, tags, replaced };
      });
      if (durable && moved.length > 0) for (const directory of [root.layers, root.recipes]) syncDirectory(directory);
      return results;
    }, { durable });
  } catch (error) {
    for (const path of moved) void root.discard(path).catch(() => {});
    throw error;
  }
}

interface LaidLayer { chainId: ChainId; size: number; dir: number }

function layChain(diffIds: readonly Digest[], context: { db: Database; root: DataRoot; staged: ReadonlyMap<Digest, StagedLayer>; moved: string[] }): LaidLayer[] {
  const { db, root, staged, moved } = context;
  if (diffIds.length > MAX_LAYERS) throw new NaruError('too-large', `image has ${diffIds.length} layers, more than ${MAX_LAYERS}`);
  const chain = chainIds(diffIds);
  const laid: LaidLayer[] = [];
  diffIds.forEach((diffId, i) => {
    const chainId = chain[i]!;
    const known = db.sql('SELECT dir, size FROM layers WHERE chain_id = ?').get(chainId) as { dir: number; size: number } | undefined;
    if (known !== undefined) return void laid.push({ chainId, ...known });
    const twin = db.sql('SELECT dir, size, tar_size FROM layers WHERE diff_id = ? AND shareable = 1 LIMIT 1').get(diffId) as { dir: number; size: number; tar_size: number } | undefined;
    const insert = (layer: { dir: number; size: number; tarSize: number; shareable: boolean }): void => {
      db.sql('INSERT INTO layers (chain_id, diff_id, parent, dir, shareable, size, tar_size) VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(chainId, diffId, chain[i - 1] ?? null, layer.dir, layer.shareable ? 1 : 0, layer.size, layer.tarSize);
      laid.push({ chainId, dir: layer.dir, size: layer.size });
    };
    if (twin !== undefined) return insert({ ...twin, tarSize: twin.tar_size, shareable: true });
    const layer = staged.get(diffId);
    if (layer === undefined) throw new NaruError('corrupt', `invalid image: layer ${diffId} is missing`);
    if (i > 0 && layer.implicit.length > 0) {
      const below = [...new Set(laid.map(({ dir }) => `${root.layers}/${dir}`).reverse())];
      fitLayer(layer, { below, root });
    }
    const { value: dir } = db.sql("UPDATE counters SET value = value + 1 WHERE name = 'layer_dir' RETURNING value").get() as { value: number };
    for (const [from, to] of [[layer.directory, `${root.layers}/${dir}`], [layer.recipe, `${root.recipes}/${dir}`]] as const) {
      renameSync(from, to);
      moved.push(to);
    }
    insert({ dir, size: layer.size, tarSize: layer.tarSize, shareable: layer.implicit.length === 0 });
  });
  return laid;
}

/** Checks what naru relies on. Throws `corrupt`. */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  let config: ImageConfig;
  try {
    config = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as ImageConfig;
  } catch (error) {
    throw new NaruError('corrupt', 'invalid image: config is not JSON', { cause: error });
  }
  const diffIds: unknown = config?.rootfs?.diff_ids;
  if (!Array.isArray(diffIds) || !diffIds.every((id) => typeof id === 'string' && /^sha256:[0-9a-f]{64}$/.test(id))) {
    throw new NaruError('corrupt', 'invalid image: config has no list of layer digests (rootfs.diff_ids)');
  }
  if (typeof config.os !== 'string' || typeof config.architecture !== 'string') throw new NaruError('corrupt', 'invalid image: config names no platform');
  if (config.history !== undefined && config.history !== null && !Array.isArray(config.history)) throw new NaruError('corrupt', 'invalid image: history is not a list');
  return config;
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
