/**
 * Tables of the store. Foreign keys count the references: a layer is kept while an image names it, an image while a snapshot
 * lies over it. Files carry no state of their own: whatever lies in the data root without a row is garbage and is swept at
 * open (core/open-store.ts), so no operation needs more than one transaction.
 */
export const STORE_SCHEMA: readonly { name: string; sql: string }[] = [
  {
    name: 'core-1',
    sql: `
CREATE TABLE images (
  id TEXT PRIMARY KEY,                        -- digest of the config blob
  size INTEGER NOT NULL,                      -- unpacked bytes of all layers
  last_tagged INTEGER NOT NULL DEFAULT 0      -- nanoseconds since the epoch
) STRICT;
CREATE TABLE tags (
  reference TEXT PRIMARY KEY,                 -- familiar name:tag
  image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX tags_image ON tags (image);
CREATE TABLE repo_digests (
  reference TEXT PRIMARY KEY,                 -- familiar name@digest of a manifest
  image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX repo_digests_image ON repo_digests (image);
CREATE TABLE layers (
  chain_id TEXT PRIMARY KEY,
  diff_id TEXT NOT NULL,
  parent TEXT REFERENCES layers (chain_id),
  dir INTEGER NOT NULL,                       -- layers/<dir> and recipes/<dir>; equal layers share one
  shareable INTEGER NOT NULL,                 -- 0: parts of it were made to fit its parents
  size INTEGER NOT NULL,                      -- unpacked bytes
  tar_size INTEGER NOT NULL                   -- bytes of the tar that diff_id is the digest of
) STRICT;
CREATE INDEX layers_dir ON layers (dir);
CREATE INDEX layers_diff_id ON layers (diff_id);
CREATE INDEX layers_parent ON layers (parent);
CREATE TABLE image_layers (
  image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  chain_id TEXT NOT NULL REFERENCES layers (chain_id),
  PRIMARY KEY (image, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_layers_chain ON image_layers (chain_id);
CREATE TABLE snapshots (
  id TEXT PRIMARY KEY,
  image TEXT REFERENCES images (id),
  directory TEXT,                             -- absolute path instead of an image
  durable INTEGER NOT NULL
) STRICT;
CREATE INDEX snapshots_image ON snapshots (image);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('layer_dir', 0);`,
  },
  {
    name: 'core-2',
    sql: `
CREATE TABLE layer_blobs (                    -- compressed forms of a layer that registries hold
  diff_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  PRIMARY KEY (diff_id, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE blob_places (                    -- where such a blob was seen
  digest TEXT NOT NULL,
  repository TEXT NOT NULL,                   -- registry and path: docker.io/library/busybox
  PRIMARY KEY (digest, repository)
) STRICT, WITHOUT ROWID;
CREATE TABLE manifests (                      -- as they were pulled: pushed again unchanged where that is possible
  image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (image, digest)
) STRICT, WITHOUT ROWID;`,
  },
  {
    name: 'core-3',
    sql: 'ALTER TABLE manifests ADD COLUMN known INTEGER NOT NULL DEFAULT 0; -- the highest is the newest',
  },
  {
    name: 'core-documents',
    sql: `
CREATE TABLE documents (                      -- manifests and indexes that are no images: core/documents/document-store.ts
  digest TEXT PRIMARY KEY,
  media_type TEXT NOT NULL,
  artifact_type TEXT,
  bytes BLOB NOT NULL,
  subject TEXT                                -- digest of the manifest that it is about
) STRICT;
CREATE INDEX documents_subject ON documents (subject);
CREATE TABLE document_blobs (
  document TEXT NOT NULL REFERENCES documents (digest) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  digest TEXT NOT NULL,                       -- artifacts/<algorithm>-<hex>
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  PRIMARY KEY (document, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE document_children (              -- what an index lists; may be an image's manifest
  parent TEXT NOT NULL REFERENCES documents (digest) ON DELETE CASCADE,
  child TEXT NOT NULL,
  PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_children_child ON document_children (child);
CREATE TABLE document_names (
  reference TEXT PRIMARY KEY,                 -- familiar name:tag or name@digest
  document TEXT NOT NULL REFERENCES documents (digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;`,
  },
  {
    name: 'core-last-used',
    sql: 'ALTER TABLE images ADD COLUMN last_used INTEGER NOT NULL DEFAULT 0; -- milliseconds since the epoch, of the last container',
  },
  {
    name: 'core-variants',
    sql: `
CREATE TABLE tag_variants (                   -- other platforms' images of the same index, behind a tag
  reference TEXT NOT NULL REFERENCES tags (reference) ON DELETE CASCADE,
  image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  PRIMARY KEY (reference, image)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_variants_image ON tag_variants (image);`,
  },
];
