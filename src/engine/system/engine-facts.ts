import { randomUUID } from 'node:crypto';
import { formatTime, nowNano } from '../time/timestamps.ts';
import type { Database } from '#core/db/database.ts';

/** What the engine remembers of itself: its id, and when it was made. */
export function engineFacts(db: Database): { id: string; created: string } {
  const fact = (key: string, make: () => string): string => {
    const row = db.sql('SELECT value FROM engine_facts WHERE key = ?').get(key) as { value: string } | undefined;
    if (row !== undefined) return row.value;
    const value = make();
    db.transaction(() => db.sql('INSERT INTO engine_facts (key, value) VALUES (?, ?)').run(key, value));
    return value;
  };
  return { id: fact('id', randomUUID), created: fact('created', () => formatTime(nowNano())) };
}
