import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { NaruError } from '#spec/errors.ts';

/** A thin hold on SQLite: prepared statements by text, transactions that nest by savepoints, durability by choice. */
export interface Database {
  /** The prepared statement for this text (cached). */
  sql(text: string): StatementSync;
  exec(text: string): void;
  /** BEGIN IMMEDIATE … COMMIT; rolls back when `work` throws. `durable: false` skips the sync at commit: for states that a
   *  reboot ends anyway. */
  transaction<T>(work: () => T, options?: { durable: boolean }): T;
  close(): void;
}

function openRaw(path: string): DatabaseSync {
  let raw: DatabaseSync | undefined;
  try {
    raw = new DatabaseSync(path);
    raw.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;');
    raw.exec('CREATE TABLE IF NOT EXISTS schema_steps (name TEXT PRIMARY KEY) STRICT');
    return raw;
  } catch (cause) {
    raw?.close();
    throw new NaruError('corrupt', `cannot open the database ${path}: ${(cause as Error).message}`, { cause, hint: 'is its disk full, read-only, or damaged?' });
  }
}

/** Opens (and creates) the database in WAL mode with foreign keys on, and applies the schema steps not yet applied: each has a
 *  name and is recorded in table `schema_steps`. Throws corrupt when it cannot be opened, unsupported for a newer version's. */
export function openDatabase(path: string, steps: readonly { name: string; sql: string }[]): Database {
  const raw = openRaw(path);
  const known = new Set(steps.map(({ name }) => name));
  const newer = (raw.prepare('SELECT name FROM schema_steps').all() as { name: string }[]).find(({ name }) => !known.has(name));
  if (newer !== undefined) {
    raw.close();
    throw new NaruError('unsupported', `${path} was written by a newer version: its schema step ${newer.name} is not known here`, { hint: 'start the newer version, or give this one a --data-root of its own' });
  }
  const statements = new Map<string, StatementSync>();
  let depth = 0;
  let lazy = false;

  const db: Database = {
    sql(text) {
      let statement = statements.get(text);
      if (statement === undefined) statements.set(text, (statement = raw.prepare(text)));
      return statement;
    },
    exec: (text) => raw.exec(text),
    transaction(work, options = { durable: true }) {
      if (depth > 0) return work();
      // Changing `synchronous` costs a statement, so it is only done when it differs from the last time.
      if (lazy === options.durable) {
        lazy = !options.durable;
        raw.exec(`PRAGMA synchronous = ${lazy ? 'NORMAL' : 'FULL'}`);
      }
      raw.exec('BEGIN IMMEDIATE');
      depth++;
      try {
        const result = work();
        raw.exec('COMMIT');
        return result;
      } catch (error) {
        raw.exec('ROLLBACK');
        throw error;
      } finally {
        depth--;
      }
    },
    close: () => raw.close(),
  };

  for (const step of steps) {
    if (db.sql('SELECT 1 FROM schema_steps WHERE name = ?').get(step.name) !== undefined) continue;
    db.transaction(() => {
      raw.exec(step.sql);
      db.sql('INSERT INTO schema_steps (name) VALUES (?)').run(step.name);
    });
  }
  return db;
}
