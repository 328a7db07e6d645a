import { NaruError } from '#spec/errors.ts';
import type { ChainId, Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import type { Database } from '../db/database.ts';
import { digestOf, hexOf, isDigest } from '../content/digest.ts';
import { readBlob, type DataRoot } from '../data-root.ts';
import type { ImageRecord, ImageStore } from '../store.ts';
import { familiarName, familiarTag, parseReference, parseTag } from './reference.ts';
import { imageHistory } from './image-history.ts';

export type ImageTable = Pick<ImageStore, 'find' | 'get' | 'list' | 'lastUsed' | 'tag' | 'variants' | 'addVariant' | 'untag' | 'delete' | 'history' | 'layersSize'> & {
  /** Layer directories, top first, each once. Throws not-found. */
  lowersOf(image: Digest): readonly string[];
  /** After rows of this image changed by other hands. */
  forget(image: Digest): void;
};

interface LayerRow { chain_id: ChainId; diff_id: Digest; dir: number; size: number }

/** Rows to records. Records and names are cached: `find` and `lowersOf` are on the way of every `run`. */
export function openImageTable(db: Database, root: DataRoot): ImageTable {
  const records = new Map<Digest, ImageRecord>();
  const names = new Map<string, Digest>();
  const lowers = new Map<Digest, readonly string[]>();
  const MAX_NAMES = 1024;

  const layersOf = (id: Digest): LayerRow[] => db.sql(
    'SELECT l.chain_id, l.diff_id, l.dir, l.size FROM image_layers i JOIN layers l USING (chain_id) WHERE i.image = ? ORDER BY i.position',
  ).all(id) as unknown as LayerRow[];

  const references = (table: 'tags' | 'repo_digests' | 'tag_variants', id: Digest): string[] =>
    (db.sql(`SELECT reference FROM ${table} WHERE image = ? ORDER BY reference`).all(id) as { reference: string }[]).map((row) => row.reference);

  function get(id: Digest): ImageRecord | undefined {
    const known = records.get(id);
    if (known !== undefined) return known;
    const statement = db.sql('SELECT size, last_tagged FROM images WHERE id = ?');
    const row = readBig(statement, id) as { size: bigint; last_tagged: bigint } | undefined;
    if (row === undefined) return undefined;
    const layers = layersOf(id);
    const record: ImageRecord = {
      id,
      config: readConfig(root, id),
      tags: references('tags', id),
      digests: references('repo_digests', id),
      variantOf: references('tag_variants', id),
      chainIds: layers.map((layer) => layer.chain_id),
      size: Number(row.size),
      layerSizes: layers.map((layer) => layer.size),
      lastTagged: row.last_tagged,
    };
    records.set(id, record);
    return record;
  }

  const forget = (id: Digest): void => {
    records.delete(id);
    lowers.delete(id);
    names.clear();
  };

  function resolve(name: string): Digest | undefined {
    if (isDigest(name)) return name;
    const hex = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(name)?.[1];
    if (hex?.length === 64) return `sha256:${hex}` as Digest;
    let failure: unknown;
    try {
      const reference = parseReference(name);
      const row = (reference.digest === undefined
        ? db.sql('SELECT image FROM tags WHERE reference = ?').get(familiarTag(reference))
        : db.sql('SELECT image FROM repo_digests WHERE reference = ?').get(`${familiarName(reference)}@${reference.digest}`)
      ) as { image: Digest } | undefined;
      if (row !== undefined) return row.image;
    } catch (error) {
      failure = error;
    }
    if (hex !== undefined) {
      const rows = db.sql('SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2').all(`sha256:${hex}`, `sha256:${hex}g`) as { id: Digest }[];
      if (rows.length === 1) return rows[0]!.id;
      return undefined;
    }
    if (failure !== undefined) throw failure;
    return undefined;
  }

  function demand(id: Digest): ImageRecord {
    const image = get(id);
    if (image === undefined) throw new NaruError('not-found', `No such image: ${id}`);
    return image;
  }

  return {
    get,
    forget,

    find(name) {
      const known = names.get(name);
      if (known !== undefined) return get(known);
      const id = resolve(name);
      const image = id === undefined ? undefined : get(id);
      if (image !== undefined) {
        if (names.size >= MAX_NAMES) names.clear();
        names.set(name, image.id);
      }
      return image;
    },

    list: () => (db.sql('SELECT id FROM images').all() as { id: Digest }[]).map(({ id }) => demand(id)),

    lastUsed: (id) => (db.sql('SELECT max(last_used, last_tagged / 1000000) AS v FROM images WHERE id = ?').get(id) as { v: number } | undefined)?.v ?? 0,

    tag(id, reference) {
      const name = parseTag(reference);
      demand(id);
      db.transaction(() => {
        const old = db.sql('SELECT image FROM tags WHERE reference = ?').get(name) as { image: Digest } | undefined;
        db.sql('INSERT INTO tags (reference, image) VALUES (?, ?) ON CONFLICT (reference) DO UPDATE SET image = excluded.image').run(name, id);
        db.sql('UPDATE images SET last_tagged = ? WHERE id = ?').run(BigInt(Date.now()) * 1_000_000n, id);
        if (old !== undefined) forget(old.image);
        if (old?.image !== id) for (const variant of dropVariants(db, name)) forget(variant);
      });
      forget(id);
    },

    variants(reference) {
      const rows = db.sql('SELECT image FROM tag_variants WHERE reference = ? ORDER BY image').all(parseTag(reference)) as { image: Digest }[];
      return rows.map(({ image }) => demand(image));
    },

    addVariant(reference, id) {
      db.transaction(() => void db.sql('INSERT INTO tag_variants (reference, image) VALUES (?, ?) ON CONFLICT DO NOTHING').run(parseTag(reference), id));
      forget(id);
    },

    untag(reference) {
      const parsed = parseReference(reference);
      const [table, name] = parsed.digest === undefined ? ['tags', familiarTag(parsed)] as const : ['repo_digests', `${familiarName(parsed)}@${parsed.digest}`] as const;
      const row = db.sql(`SELECT image FROM ${table} WHERE reference = ?`).get(name) as { image: Digest } | undefined;
      if (row === undefined) return false;
      db.transaction(() => {
        if (table === 'tags') for (const variant of dropVariants(db, name)) forget(variant);
        db.sql(`DELETE FROM ${table} WHERE reference = ?`).run(name);
      });
      forget(row.image);
      return true;
    },

    delete(id) {
      // Not by its config: that may be what is damaged.
      if (db.sql('SELECT 1 FROM images WHERE id = ?').get(id) === undefined) throw new NaruError('not-found', `No such image: ${id}`);
      const removed: LayerRow[] = [];
      const freed: number[] = [];
      db.transaction(() => {
        const user = db.sql('SELECT id FROM snapshots WHERE image = ? LIMIT 1').get(id) as { id: string } | undefined;
        if (user !== undefined) {
          throw new NaruError('conflict', `unable to delete ${hexOf(id).slice(0, 12)} (must be forced) - image is being used by container ${user.id.slice(0, 12)}`);
        }
        const layers = layersOf(id).reverse();
        db.sql('DELETE FROM images WHERE id = ?').run(id);
        for (const layer of layers) {
          if (db.sql('SELECT 1 FROM image_layers WHERE chain_id = ?').get(layer.chain_id) !== undefined) break; // and so are those below
          db.sql('DELETE FROM layers WHERE chain_id = ?').run(layer.chain_id);
          removed.push(layer);
          if (db.sql('SELECT 1 FROM layers WHERE dir = ?').get(layer.dir) === undefined) freed.push(layer.dir);
        }
      }, { durable: true, makesRoom: true });
      forget(id);
      // A crash from here on leaves files without rows: swept at the next open.
      for (const dir of freed) {
        void root.discard(`${root.layers}/${dir}`).catch(() => {});
        void root.discard(`${root.recipes}/${dir}`).catch(() => {});
      }
      void root.discard(`${root.blobs}/${hexOf(id)}`).catch(() => {});
      return { deleted: [id, ...removed.map((layer) => layer.chain_id)], bytes: removed.reduce((sum, layer) => sum + layer.size, 0) };
    },

    history: (id) => imageHistory(demand(id)),

    layersSize: () => (db.sql('SELECT coalesce(sum(size), 0) AS total FROM (SELECT DISTINCT dir, size FROM layers)').get() as { total: number }).total,

    lowersOf(id) {
      const known = lowers.get(id);
      if (known !== undefined) return known;
      demand(id);
      // A layer that comes twice counts where it is highest: overlayfs refuses the same directory twice, and what lies above
      // the lower one hides or repeats all of it.
      const dirs = [...new Set(layersOf(id).reverse().map((layer) => `${root.layers}/${layer.dir}`))];
      const paths = dirs.length === 0 ? [root.empty] : dirs;
      lowers.set(id, paths);
      return paths;
    },
  };
}

/** A tag that comes to mean something else has no variants any more. Returns those it had. */
export function dropVariants(db: Database, reference: string): Digest[] {
  return (db.sql('DELETE FROM tag_variants WHERE reference = ? RETURNING image').all(reference) as { image: Digest }[]).map(({ image }) => image);
}

function readBig(statement: ReturnType<Database['sql']>, id: string): unknown {
  statement.setReadBigInts(true);
  return statement.get(id);
}

/** The config of an image; its digest is the id, so a damaged blob is found here. */
function readConfig(root: DataRoot, id: Digest): ImageConfig {
  let bytes: Buffer;
  try {
    bytes = readBlob(root, hexOf(id));
  } catch (error) {
    throw new NaruError('corrupt', `config of image ${id} cannot be read: ${String((error as NodeJS.ErrnoException).code)}`, { cause: error, hint: 'remove the image and load it again' });
  }
  if (digestOf(bytes) !== id) throw new NaruError('corrupt', `config of image ${id} is damaged`, { hint: 'remove the image and load it again' });
  return JSON.parse(bytes.toString('utf8')) as ImageConfig;
}
