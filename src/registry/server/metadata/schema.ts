/**
 * The registry's tables. Times are milliseconds since the epoch. References do the counting:
 *
 *   tags ──▶ manifests ──▶ manifest_blobs, manifest_children (by digest: a sparse index may name what is not here)
 *   repository_blobs (what a repository may show) ──▶ blobs (what the storage holds, each digest once)
 *
 * A blob whose row says `deleting` belongs to a collection under way: nobody may link it until the row is gone. One that is not
 * `stored` yet is being put into the storage by whoever claimed it; `born` tells a row from an earlier one of the same digest.
 * `departed` remembers for a while what a repository let go, so that a push which counted on it is told.
 */
export const SCHEMA_STEPS: readonly { name: string; sql: string }[] = [
  {
    name: 'first',
    sql: `
CREATE TABLE repositories (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL
) STRICT;
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY, size INTEGER NOT NULL, touched INTEGER NOT NULL, deleting INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE repository_blobs (
  repository INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,
  digest TEXT NOT NULL REFERENCES blobs(digest), linked INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_blobs_by_digest ON repository_blobs(digest);
CREATE TABLE documents (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE manifests (
  id INTEGER PRIMARY KEY,
  repository INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,
  digest TEXT NOT NULL REFERENCES documents(digest), media_type TEXT NOT NULL, artifact_type TEXT, size INTEGER NOT NULL,
  subject TEXT, annotations TEXT, pushed INTEGER NOT NULL, pulled INTEGER,
  UNIQUE (repository, digest)
) STRICT;
CREATE INDEX manifests_by_subject ON manifests(repository, subject, digest) WHERE subject IS NOT NULL;
CREATE INDEX manifests_by_digest ON manifests(digest);
CREATE TABLE manifest_blobs (
  manifest INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,
  position INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
  PRIMARY KEY (manifest, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_blobs_by_digest ON manifest_blobs(digest, manifest);
CREATE TABLE manifest_children (
  manifest INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,
  position INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, platform TEXT,
  PRIMARY KEY (manifest, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_children_by_digest ON manifest_children(digest, manifest);
CREATE TABLE tags (
  repository INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE,
  name TEXT NOT NULL, manifest INTEGER NOT NULL REFERENCES manifests(id) ON DELETE CASCADE,
  updated INTEGER NOT NULL, checked INTEGER NOT NULL,
  PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags(manifest);
CREATE TABLE uploads (
  id TEXT PRIMARY KEY, repository TEXT NOT NULL, algorithm TEXT NOT NULL, updated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`,
  },
  {
    name: 'claims',
    sql: `
ALTER TABLE blobs ADD COLUMN stored INTEGER NOT NULL DEFAULT 1;
ALTER TABLE blobs ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
`,
  },
  {
    // What a repository once held and does not any more. Triggers, so that no way of removing can forget it.
    name: 'departed',
    sql: `
CREATE TABLE departed (
  repository TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX departed_by_time ON departed(at);
CREATE TRIGGER blob_departs BEFORE DELETE ON repository_blobs BEGIN
  INSERT OR REPLACE INTO departed SELECT name, OLD.digest, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) FROM repositories WHERE id = OLD.repository;
END;
CREATE TRIGGER manifest_departs BEFORE DELETE ON manifests BEGIN
  INSERT OR REPLACE INTO departed SELECT name, OLD.digest, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) FROM repositories WHERE id = OLD.repository;
END;
CREATE TRIGGER repository_departs BEFORE DELETE ON repositories BEGIN
  INSERT OR REPLACE INTO departed SELECT OLD.name, digest, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM (SELECT digest FROM repository_blobs WHERE repository = OLD.id UNION SELECT digest FROM manifests WHERE repository = OLD.id);
END;
CREATE TRIGGER blob_returns AFTER INSERT ON repository_blobs BEGIN
  DELETE FROM departed WHERE digest = NEW.digest AND repository = (SELECT name FROM repositories WHERE id = NEW.repository);
END;
CREATE TRIGGER manifest_returns AFTER INSERT ON manifests BEGIN
  DELETE FROM departed WHERE digest = NEW.digest AND repository = (SELECT name FROM repositories WHERE id = NEW.repository);
END;
`,
  },
  {
    // What webhooks have not been told yet, as the JSON that they get.
    name: 'events',
    sql: `
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, hook TEXT NOT NULL, event TEXT NOT NULL) STRICT;
CREATE INDEX events_by_hook ON events(hook, id);
`,
  },
];
