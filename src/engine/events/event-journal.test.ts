import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { EventMessage, Filters } from '#spec/engine-api.ts';
import { nowNano } from '../time/timestamps.ts';
import { openEventJournal, SEGMENTS, type EventJournal } from './event-journal.ts';

const root = mkdtempSync(join(tmpdir(), 'naru-events.'));
after(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const directory = (): string => join(root, String(count++));
const emit = (journal: EventJournal, name: string, extra: Record<string, string> = {}): void => journal.emit('container', 'start', { id: name, attributes: { name, image: 'busybox:1', ...extra } });
async function replay(journal: EventJournal, filters: Filters = new Map(), since = 1n): Promise<EventMessage[]> {
  const events: EventMessage[] = [];
  for await (const event of journal.read({ since, until: nowNano() + 1_000_000n - 1_000_000n, filters }, new AbortController().signal)) events.push(event);
  return events;
}
const pause = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('replay in order, also after a restart and a torn line; times strictly increase', async () => {
  const path = directory();
  const first = openEventJournal(path);
  for (let i = 0; i < 50; i++) emit(first, `c${i}`);
  appendFileSync(join(path, readdirSync(path)[0]!), '{"torn');
  const second = openEventJournal(path);
  emit(second, 'after');
  await pause();
  const events = await replay(second);
  assert.deepEqual(events.map(({ Actor }) => Actor.ID), [...Array.from({ length: 50 }, (_, i) => `c${i}`), 'after']);
  assert.ok(events.every((event, i) => i === 0 || event.timeNano > events[i - 1]!.timeNano));
  assert.deepEqual({ ...events[0], time: 0, timeNano: 0 }, {
    status: 'start', id: 'c0', from: 'busybox:1', Type: 'container', Action: 'start', Actor: { ID: 'c0', Attributes: { name: 'c0', image: 'busybox:1' } }, scope: 'local', time: 0, timeNano: 0,
  });
  assert.equal((await replay(second, new Map(), BigInt(events[49]!.timeNano))).length, 2, 'since includes its moment');
});

test('more than memory holds is read from the files', async () => {
  const journal = openEventJournal(directory());
  for (let i = 0; i < 5000; i++) emit(journal, `c${i}`);
  await pause();
  assert.equal((await replay(journal)).length, 5000);
});

test('filters', async () => {
  const journal = openEventJournal(directory());
  emit(journal, 'a', { k: 'v' });
  journal.emit('container', 'exec_create: sh -c x', { id: 'a', attributes: { name: 'a', image: 'other' } });
  journal.emit('volume', 'create', { id: 'vol', attributes: {} });
  await pause();
  const matched = async (...filters: [string, string[]][]): Promise<string[]> => (await replay(journal, new Map(filters))).map(({ Action }) => Action);
  assert.deepEqual(await matched(['event', ['exec_create']]), ['exec_create: sh -c x']);
  assert.deepEqual(await matched(['type', ['volume']]), ['create']);
  assert.deepEqual(await matched(['label', ['k=v']]), ['start']);
  assert.deepEqual(await matched(['image', ['busybox']], ['container', ['a']]), ['start']);
  assert.deepEqual(await matched(['volume', ['vol']]), ['create']);
  await assert.rejects(matched(['nope', ['x']]), { kind: 'invalid' });
});

test('a follower sees what comes, ends at until and when it is told to', async () => {
  const journal = openEventJournal(directory());
  emit(journal, 'before');
  const seen: string[] = [];
  const abort = new AbortController();
  const following = (async () => {
    for await (const event of journal.read({ since: 0n, until: 0n, filters: new Map() }, abort.signal)) seen.push(event.Actor.ID);
  })();
  await pause();
  emit(journal, 'one');
  await pause();
  emit(journal, 'two');
  await pause();
  abort.abort();
  await following;
  assert.deepEqual(seen, ['one', 'two']);
  const start = Date.now();
  for await (const _ of journal.read({ since: 0n, until: nowNano() + 50_000_000n, filters: new Map() }, new AbortController().signal)) assert.fail();
  assert.ok(Date.now() - start >= 40);
});

test('a follower that is too slow is told of the gap', async () => {
  const path = directory();
  const journal = openEventJournal(path);
  const abort = new AbortController();
  const reader = journal.read({ since: 0n, until: 0n, filters: new Map() }, abort.signal)[Symbol.asyncIterator]();
  const first = reader.next();
  await pause();
  emit(journal, 'first');
  assert.equal((await first).value.Actor.ID, 'first');
  const big = 'x'.repeat(64 * 1024);
  for (let i = 0; readdirSync(path).length <= SEGMENTS - 1 || i < 600; i++) emit(journal, `c${i}`, { big });
  const next = await reader.next();
  assert.deepEqual([next.value.Type, next.value.Action], ['daemon', 'gap']);
  assert.match((await reader.next()).value.Actor.ID, /^c\d+$/);
  abort.abort();
  assert.ok(readdirSync(path).length <= SEGMENTS, 'bounded');
});
