import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { STORE_SCHEMA } from '../schema.ts';
import { type Database, openDatabase } from './database.ts';

function place(): { path: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), 'naru-db-'));
  return { path: join(directory, 'naru.db'), [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

const schemaOf = (db: Database): unknown[] =>
  (db.sql("SELECT name FROM sqlite_master WHERE type IN ('table', 'index') ORDER BY name").all() as { name: string }[]).map(({ name }) =>
    [name, (db.sql(`SELECT name, type, "notnull", dflt_value FROM pragma_table_info('${name}') ORDER BY name`).all())]);

test('a database of each earlier version becomes today\'s, with what it held', () => {
  using fresh = place();
  const today = openDatabase(fresh.path, STORE_SCHEMA);
  const wanted = schemaOf(today);
  today.close();
  for (let steps = 1; steps < STORE_SCHEMA.length; steps++) {
    using old = place();
    const before = openDatabase(old.path, STORE_SCHEMA.slice(0, steps));
    before.exec("INSERT INTO images (id, size) VALUES ('sha256:a', 5); INSERT INTO tags VALUES ('busybox:latest', 'sha256:a')");
    before.close();
    const after = openDatabase(old.path, STORE_SCHEMA);
    assert.deepEqual(schemaOf(after), wanted, `from step ${STORE_SCHEMA[steps - 1]!.name}`);
    assert.deepEqual({ ...after.sql('SELECT id, size FROM images').get() as object }, { id: 'sha256:a', size: 5 });
    assert.deepEqual({ ...after.sql('SELECT reference FROM tags').get() as object }, { reference: 'busybox:latest' });
    after.close();
  }
});

test('a step that fails leaves the database as it was; the next start takes it up again', () => {
  using old = place();
  openDatabase(old.path, STORE_SCHEMA.slice(0, 1)).close();
  assert.throws(() => openDatabase(old.path, [...STORE_SCHEMA.slice(0, 1), { name: 'broken', sql: 'CREATE TABLE half (a INTEGER) STRICT; CREATE TABLE images (b)' }]));
  const again = openDatabase(old.path, STORE_SCHEMA);
  assert.equal(again.sql("SELECT count(*) AS n FROM sqlite_master WHERE name = 'half'").get()?.['n'], 0);
  again.close();
});

test('a newer version\'s database and a damaged one are refused in a sentence, untouched', () => {
  using newer = place();
  openDatabase(newer.path, [...STORE_SCHEMA, { name: 'core-of-tomorrow', sql: 'CREATE TABLE tomorrow (a INTEGER) STRICT' }]).close();
  assert.throws(() => openDatabase(newer.path, STORE_SCHEMA), { kind: 'unsupported', message: `${newer.path} was written by a newer version: its schema step core-of-tomorrow is not known here` });
  openDatabase(newer.path, [...STORE_SCHEMA, { name: 'core-of-tomorrow', sql: '' }]).close();
  using damaged = place();
  writeFileSync(damaged.path, 'no database'.repeat(1000));
  assert.throws(() => openDatabase(damaged.path, STORE_SCHEMA), { kind: 'corrupt', message: /cannot open the database/ });
});
