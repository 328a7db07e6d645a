import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
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

/** Was the machine booted since the engine last ran here? What was not synced may then be older than the files beside it. */
export function rebooted(db: Database): boolean {
  let boot: string;
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return true;
  }
  const before = db.sql("SELECT value FROM engine_facts WHERE key = 'boot'").get() as { value: string } | undefined;
  if (before?.value === boot) return false;
  db.transaction(() => db.sql("INSERT INTO engine_facts (key, value) VALUES ('boot', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value").run(boot));
  return before !== undefined;
}
