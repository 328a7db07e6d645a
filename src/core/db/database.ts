import { randomFillSync } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { isKind, NaruError } from '#spec/errors.ts';

const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;

export interface TransactionOptions {
  readonly durable: boolean;
  /** It makes room in the end: on a full disk it may use what is kept for that, and runs again. */
  readonly makesRoom?: boolean;
}

/** Bytes kept beside the database, so that a full disk can still be told what to remove. */
const RESERVE = 1 << 20;
const RESERVE_AGAIN_MS = 60_000;

/** A thin hold on SQLite: prepared statements by text, transactions that nest by savepoints, durability by choice. */
export interface Database {
  /** The prepared statement for this text (cached). */
  sql(text: string): StatementSync;
  exec(text: string): void;
  /** BEGIN IMMEDIATE … COMMIT; rolls back when `work` throws. `durable: false` skips the sync at commit: for states that a
   *  reboot ends anyway. */
  transaction<T>(work: () => T, options?: TransactionOptions): T;
  close(): void;
}

/** What the disk did, as an error of ours; anything else as it is. */
function diskFailure(error: unknown, path: string): unknown {
  const { errcode } = error as { errcode?: number };
  const text = (error as Error).message ?? '';
  if (errcode === SQLITE_FULL || /database or disk is full/.test(text)) return new NaruError('no-space', `write ${path}: no space left on device`, { cause: error });
  if ((errcode ?? 0) % 256 === SQLITE_IOERR || /disk I\/O error|readonly database/.test(text)) return new NaruError('internal', `write ${path}: ${text}`, { cause: error, hint: 'is the disk read-only, or damaged?' });
  return error;
}

const reserveOf = (path: string): string => `${path}-reserve`;

/** True: there was room kept, and now it is there for others. */
function dropReserve(path: string): boolean {
  if (!existsSync(reserveOf(path))) return false;
  rmSync(reserveOf(path));
  // It is kept again when there is room, long after what makes room has done so.
  setTimeout(() => keepReserve(path), RESERVE_AGAIN_MS).unref();
  return true;
}

function keepReserve(path: string): void {
  try {
    if (!existsSync(reserveOf(path))) writeFileSync(reserveOf(path), randomFillSync(Buffer.alloc(RESERVE)), { mode: 0o600 });
  } catch {
    rmSync(reserveOf(path), { force: true }); // no room: no reserve
  }
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
      try {
        return once(work, options);
      } catch (error) {
        if (options.makesRoom !== true || !isKind(error, 'no-space') || !dropReserve(path)) throw error;
        return once(work, options);
      }
    },
    close: () => raw.close(),
  };

  function once<T>(work: () => T, options: TransactionOptions): T {
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
      // A full disk ends the transaction by itself: there is nothing to roll back then.
      if (raw.isTransaction) raw.exec('ROLLBACK');
      throw diskFailure(error, path);
    } finally {
      depth--;
    }
  }
  keepReserve(path);

  for (const step of steps) {
    if (db.sql('SELECT 1 FROM schema_steps WHERE name = ?').get(step.name) !== undefined) continue;
    db.transaction(() => {
      raw.exec(step.sql);
      db.sql('INSERT INTO schema_steps (name) VALUES (?)').run(step.name);
    });
  }
  return db;
}
