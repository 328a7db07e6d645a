import { createHash } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { Database } from '#core/db/database.ts';
import type { NetworkRecord } from '#net/port.ts';
import type { Container } from '../containers/container.ts';

export const PREDEFINED: ReadonlySet<string> = new Set(['bridge', 'host', 'none']);

/** All networks: the three that are always there, and the rows. */
export interface NetworkTable {
  all(): NetworkRecord[];
  userDefined(): NetworkRecord[];
  /** By name, full id, or unambiguous id prefix. */
  tryFind(reference: string): NetworkRecord | undefined;
  /** Throws not-found; invalid for an ambiguous prefix. */
  find(reference: string): NetworkRecord;
  /** The network of this name that the container was connected to. Throws not-found, also when another has its name by now. */
  ofContainer(container: Container, name: string): NetworkRecord;
  /** Durable. The name must be free. */
  insert(record: NetworkRecord): void;
  delete(record: NetworkRecord): void;
}

export function openNetworkTable(db: Database, { bridge, facts }: { bridge: NetworkRecord; facts: { id: string; created: string } }): NetworkTable {
  const builtIn = (name: 'host' | 'none', driver: 'host' | 'null'): NetworkRecord => ({
    id: createHash('sha256').update(`naru ${name} ${facts.id}`).digest('hex'), name, driver, created: facts.created, link: '', pools: [], ipv4: true, ipv6: false,
    internal: false, attachable: false, configOnly: false, configFrom: '', ipamOptions: {}, options: {}, labels: {},
  });
  const predefined = [{ ...bridge, created: facts.created }, builtIn('host', 'host'), builtIn('none', 'null')];
  const rows = (db.sql('SELECT doc FROM networks').all() as unknown as { doc: string }[]).map(({ doc }) => JSON.parse(doc) as NetworkRecord);
  const byId = new Map([...predefined, ...rows].map((record) => [record.id, record]));
  const byName = new Map([...byId.values()].map((record) => [record.name, record]));

  const tryFind = (reference: string): NetworkRecord | undefined => {
    const exact = byId.get(reference) ?? byName.get(reference === 'default' ? 'bridge' : reference);
    if (exact !== undefined || reference.length === 0 || !/^[0-9a-f]+$/.test(reference)) return exact;
    const found = [...byId.values()].filter((record) => record.id.startsWith(reference));
    if (found.length > 1) throw new NaruError('invalid', `network ${reference} is ambiguous (${found.length} matches found based on ID prefix)`);
    return found[0];
  };
  const find = (reference: string): NetworkRecord => {
    const record = tryFind(reference);
    if (record === undefined) throw new NaruError('not-found', `network ${reference} not found`);
    return record;
  };
  return {
    all: () => [...byId.values()],
    userDefined: () => [...byId.values()].filter((record) => !PREDEFINED.has(record.name)),
    tryFind,
    find,
    ofContainer(container, name) {
      const id = container.doc.endpoints[name]?.NetworkID ?? '';
      const record = id === '' || PREDEFINED.has(name) ? byName.get(name) : byId.get(id);
      if (record === undefined) throw new NaruError('not-found', `failed to set up container networking: network ${id || name} not found`);
      return record;
    },
    insert(record) {
      db.transaction(() => db.sql('INSERT INTO networks (id, name, doc) VALUES (?, ?, ?)').run(record.id, record.name, JSON.stringify(record)));
      byId.set(record.id, record);
      byName.set(record.name, record);
    },
    delete(record) {
      db.transaction(() => db.sql('DELETE FROM networks WHERE id = ?').run(record.id));
      byId.delete(record.id);
      byName.delete(record.name);
    },
  };
}
