import type { Database, TransactionOptions } from '#core/db/database.ts';
import type { Container, ContainerDoc, RunState } from './container.ts';
import { newRunState } from './container.ts';

interface Row { id: string; name: string; image: string; doc: string; state: string }

const INSERT = 'INSERT INTO containers (id, name, image, doc, state) VALUES (?, ?, ?, ?, ?)';
const INSERT_VOLUME = 'INSERT OR IGNORE INTO container_volumes (container, volume) VALUES (?, ?)';

/** Inside the caller's transaction. */
export function insertContainer(db: Database, container: Container): void {
  db.sql(INSERT).run(container.id, container.name, container.imageId, JSON.stringify(container.doc), JSON.stringify(container.state));
  for (const mount of container.doc.mounts) if (mount.name !== undefined) db.sql(INSERT_VOLUME).run(container.id, mount.name);
}

/** Running states end with the machine: no sync. `durable` for what a person was told for good. */
export function saveState(db: Database, container: Container, options: TransactionOptions = { durable: false }): void {
  db.transaction(() => db.sql('UPDATE containers SET state = ? WHERE id = ?').run(JSON.stringify(container.state), container.id), options);
}

export function saveDoc(db: Database, container: Container): void {
  db.transaction(() => db.sql('UPDATE containers SET doc = ?, state = ? WHERE id = ?').run(JSON.stringify(container.doc), JSON.stringify(container.state), container.id));
}

export function saveName(db: Database, id: string, name: string): void {
  db.transaction(() => db.sql('UPDATE containers SET name = ? WHERE id = ?').run(name, id));
}

export function deleteContainer(db: Database, id: string, options: { durable: boolean }): void {
  db.transaction(() => db.sql('DELETE FROM containers WHERE id = ?').run(id), options);
}

/** All rows, documents unparsed. */
export function loadContainers(db: Database): { id: string; name: string; imageId: string; doc: string | ContainerDoc; state: RunState }[] {
  const rows = db.sql('SELECT id, name, image, doc, state FROM containers').all() as unknown as Row[];
  return rows.map((row) => ({
    id: row.id, name: row.name, imageId: row.image, doc: row.doc, state: { ...newRunState(), ...(JSON.parse(row.state) as RunState) },
  }));
}
