/** The engine's tables, given to openStore beside core's own. `doc` and `state` are JSON (containers/container.ts). */
export const ENGINE_SCHEMA: readonly { name: string; sql: string }[] = [
  {
    name: 'engine-1',
    sql: `
      CREATE TABLE volumes (
        name TEXT PRIMARY KEY,
        doc TEXT NOT NULL
      ) STRICT;
      CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        image TEXT NOT NULL,
        doc TEXT NOT NULL,
        state TEXT NOT NULL
      ) STRICT;
      CREATE TABLE container_volumes (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        volume TEXT NOT NULL REFERENCES volumes (name),
        PRIMARY KEY (container, volume)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX container_volumes_by_volume ON container_volumes (volume);
      CREATE TABLE engine_facts (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    name: 'engine-networks',
    sql: `
      CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        doc TEXT NOT NULL
      ) STRICT;
    `,
  },
];
