import { mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import { KeyedMutex } from '../containers/keyed-mutex.ts';
import type { Database } from '#core/db/database.ts';
import type { StringMap } from '#spec/engine-api.ts';
import { formatTime, nowNano } from '../time/timestamps.ts';

/** A volume as its row holds it. */
export interface VolumeRecord {
  readonly name: string;
  readonly driver: 'local';
  readonly created: string;
  readonly labels: StringMap;
  readonly options: StringMap;
  /** Made for one container without a name. */
  readonly anonymous: boolean;
}

export interface VolumeTable {
  get(name: string): VolumeRecord | undefined;
  all(): VolumeRecord[];
  /** Directory and row; `durable` unless inside a transaction that is not. The name must be free. */
  insert(record: VolumeRecord): void;
  /** Undo of an insert whose transaction failed. */
  forget(name: string): void;
  /** Throws conflict while containers use it. */
  remove(name: string): Promise<void>;
  /** Ids of the containers that use it. */
  users(name: string): string[];
  /** Host directory of its data. */
  dataPath(name: string): string;
  /** Taken by those who make what others then share. */
  mutex(name: string): KeyedMutex;
}

const TRASH = '.removed-';

/** The volumes of the local driver below `directory`. Half-done removals are finished, directories that no row knows (and that are
 *  empty) are dropped. */
export function openVolumeTable(db: Database, directory: string): VolumeTable {
  mkdirSync(directory, { recursive: true, mode: 0o701 });
  const records = new Map<string, VolumeRecord>();
  const mutexes = new Map<string, KeyedMutex>();
  for (const row of db.sql('SELECT name, doc FROM volumes').all() as unknown as { name: string; doc: string }[]) {
    records.set(row.name, JSON.parse(row.doc) as VolumeRecord);
  }
  const users = (name: string): string[] =>
    (db.sql('SELECT container FROM container_volumes WHERE volume = ?').all(name) as unknown as { container: string }[]).map((row) => row.container);
  const drop = (name: string): void => {
    db.transaction(() => db.sql('DELETE FROM volumes WHERE name = ?').run(name), { durable: true, makesRoom: true });
    records.delete(name);
    mutexes.delete(name);
  };
  const dataPath = (name: string): string => join(directory, name, '_data');

  for (const entry of readdirSync(directory)) {
    if (entry.startsWith(TRASH)) {
      const name = entry.slice(TRASH.length);
      if (records.has(name) && users(name).length === 0) drop(name);
      void rm(join(directory, entry), { recursive: true, force: true }).catch(() => undefined);
    } else if (!records.has(entry)) {
      try {
        rmdirSync(dataPath(entry));
        rmdirSync(join(directory, entry));
      } catch {
        // not empty: not ours to judge
      }
    }
  }

  return {
    mutex(name) {
      let mutex = mutexes.get(name);
      if (mutex === undefined) mutexes.set(name, (mutex = new KeyedMutex(`volume ${name}`)));
      return mutex;
    },
    get: (name) => records.get(name),
    all: () => [...records.values()],
    users,
    dataPath,
    insert(record) {
      mkdirSync(dataPath(record.name), { recursive: true, mode: 0o755 });
      db.transaction(() => db.sql('INSERT INTO volumes (name, doc) VALUES (?, ?)').run(record.name, JSON.stringify(record)));
      records.set(record.name, record);
    },
    forget(name) {
      records.delete(name);
      try {
        rmdirSync(dataPath(name));
        rmdirSync(join(directory, name));
      } catch {
        // was never made, or holds something
      }
    },
    async remove(name) {
      const using = users(name);
      if (using.length > 0) throw new NaruError('conflict', `remove ${name}: volume is in use - [${using.join(', ')}]`);
      const trash = join(directory, `${TRASH}${name}`);
      try {
        renameSync(join(directory, name), trash);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
      drop(name);
      await rm(trash, { recursive: true, force: true });
    },
  };
}

export const newVolume = (name: string, given: { labels?: StringMap; options?: StringMap; anonymous?: boolean } = {}): VolumeRecord => ({
  name, driver: 'local', created: formatTime(nowNano()), labels: given.labels ?? {}, options: given.options ?? {}, anonymous: given.anonymous ?? false,
});
