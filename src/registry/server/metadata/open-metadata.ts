import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { SCHEMA_STEPS } from './schema.ts';

export type Row = Record<string, string | number | bigint | Uint8Array | null>;

/** A hold on the registry's SQLite file: prepared statements by text, one level of transactions. */
export interface Metadata {
  all<T extends object = Row>(text: string, ...values: (string | number | Uint8Array | null)[]): T[];
  one<T extends object = Row>(text: string, ...values: (string | number | Uint8Array | null)[]): T | undefined;
  /** The number of rows changed. */
  run(text: string, ...values: (string | number | Uint8Array | null)[]): number;
  /**
   * BEGIN IMMEDIATE … COMMIT; rolled back when `work` throws. `durable: false` leaves the sync to the next durable commit: for
   * what a client would simply send again after a power cut.
   */
  transaction<T>(work: () => T, options?: { durable: boolean }): T;
  close(): void;
}

/** Opens (and creates) it in WAL mode: other processes (`naru registry ls`, `gc`, `rm`) may have it open too. */
export function openMetadata(path: string): Metadata {
  const raw = new DatabaseSync(path);
  raw.exec('PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON');
  const statements = new Map<string, StatementSync>();
  const prepared = (text: string): StatementSync => {
    let statement = statements.get(text);
    if (statement === undefined) statements.set(text, (statement = raw.prepare(text)));
    return statement;
  };
  let inside = false;
  let durableNow = false;
  const metadata: Metadata = {
    all: (text, ...values) => prepared(text).all(...values) as never,
    one: (text, ...values) => (prepared(text).get(...values) ?? undefined) as never,
    run: (text, ...values) => Number(prepared(text).run(...values).changes),
    transaction(work, { durable } = { durable: true }) {
      if (inside) return work();
      if (durable !== durableNow) raw.exec(`PRAGMA synchronous = ${durable ? 'FULL' : 'NORMAL'}`);
      durableNow = durable;
      raw.exec('BEGIN IMMEDIATE');
      inside = true;
      try {
        const result = work();
        raw.exec('COMMIT');
        return result;
      } catch (error) {
        try { raw.exec('ROLLBACK'); } catch { /* a full disk has rolled back already */ }
        throw error;
      } finally {
        inside = false;
      }
    },
    close: () => raw.close(),
  };
  raw.exec('CREATE TABLE IF NOT EXISTS schema_steps (name TEXT PRIMARY KEY) STRICT');
  for (const step of SCHEMA_STEPS) {
    metadata.transaction(() => {
      if (metadata.one('SELECT 1 FROM schema_steps WHERE name = ?', step.name) !== undefined) return;
      raw.exec(step.sql);
      metadata.run('INSERT INTO schema_steps (name) VALUES (?)', step.name);
    });
  }
  return metadata;
}
