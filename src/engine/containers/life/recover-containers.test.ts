import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import { eventually, FakeTask, testEngine, type TestEngine } from '#test/support/engine-parts.ts';

/** Starts one container, then comes back over the same root as after a kill -9; `recovered` is what the driver finds. */
async function comeBack(request: ContainerCreateRequest, recovered: (id: string, task: FakeTask) => Parameters<TestEngine['driver']['recovered']['set']>[1]): Promise<{ first: TestEngine; second: TestEngine; id: string }> {
  const first = await testEngine();
  const { Id } = await first.engine.containers.create('web', { Image: 'busybox', ...request }, undefined);
  await first.engine.containers.start(Id, { detachKeys: '' });
  first.driver.recovered.set(Id, recovered(Id, first.driver.last));
  return { first, second: await first.again(), id: Id };
}

const over = async (...engines: TestEngine[]): Promise<void> => {
  for (const engine of engines.reverse()) await engine.close();
};
const state = async ({ engine }: TestEngine, id: string) => (await engine.containers.inspect(id, false)).State;

test('what runs is watched again, with its endpoint', async () => {
  const { first, second, id } = await comeBack({}, (containerId, task) => ({ task: new FakeTask(containerId, task.pid) }));
  assert.equal((await state(second, id)).Status, 'running');
  assert.equal(second.network.reconciled.length, 1);
  await assert.rejects(second.engine.containers.create('web', { Image: 'busybox' }, undefined), { kind: 'conflict' });
  await over(first, second);
});

test('what ended meanwhile has its code', async () => {
  const { first, second, id } = await comeBack({}, () => ({ exited: { code: 6, signal: 0, oomKills: 1, at: BigInt(Date.now()) * 1_000_000n } }));
  const { Status, ExitCode, OOMKilled } = await state(second, id);
  assert.deepEqual([Status, ExitCode, OOMKilled], ['exited', 6, true]);
  assert.equal(second.network.reconciled.length, 0);
  await over(first, second);
});

test('a start that never came to be is as if it had failed', async () => {
  const { first, second, id } = await comeBack({}, () => undefined);
  const { Status, Error } = await state(second, id);
  assert.deepEqual([Status, Error], ['created', 'the daemon died while it was being started']);
  await over(first, second);
});

test('--rm is finished, restart policies go on', async () => {
  const exited = () => ({ exited: { code: 0, signal: 0, oomKills: 0, at: BigInt(Date.now()) * 1_000_000n } });
  const rm = await comeBack({ HostConfig: { AutoRemove: true } }, exited);
  await eventually(async () => (await rm.second.engine.containers.list({ all: true, limit: -1, size: false, filters: new Map() })).length === 0, 'removal');
  await over(rm.first, rm.second);
  const again = await comeBack({ HostConfig: { RestartPolicy: { Name: 'always' } } }, exited);
  await eventually(async () => (await state(again.second, again.id)).Status === 'running', 'the start by policy');
  await over(again.first, again.second);
});

test('a person’s stop is remembered by unless-stopped', async () => {
  const first = await testEngine();
  const { Id } = await first.engine.containers.create('web', { Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'unless-stopped' } } }, undefined);
  await first.engine.containers.start(Id, { detachKeys: '' });
  await first.engine.containers.stop(Id, {});
  const second = await first.again();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal((await state(second, Id)).Status, 'exited');
  await over(first, second);
});

test('a removal that was cut short is finished', async () => {
  const first = await testEngine();
  const { Id } = await first.engine.containers.create('web', { Image: 'busybox' }, undefined);
  const row = first.store.db.sql('SELECT state FROM containers WHERE id = ?').get(Id) as { state: string };
  first.store.db.sql('UPDATE containers SET state = ? WHERE id = ?').run(JSON.stringify({ ...JSON.parse(row.state), status: 'removing' }), Id);
  const creating = await first.engine.containers.create('half', { Image: 'busybox' }, undefined);
  const half = first.store.db.sql('SELECT state FROM containers WHERE id = ?').get(creating.Id) as { state: string };
  first.store.db.sql('UPDATE containers SET state = ? WHERE id = ?').run(JSON.stringify({ ...JSON.parse(half.state), creating: true }), creating.Id);
  const second = await first.again();
  await eventually(() => (second.store.db.sql('SELECT count(*) AS n FROM containers').get() as { n: number }).n === 0, 'both gone');
  await over(first, second);
});

test('a thousand stopped containers start quickly', async () => {
  const first = await testEngine();
  const { Id } = await first.engine.containers.create('one', { Image: 'busybox' }, undefined);
  const row = first.store.db.sql('SELECT * FROM containers WHERE id = ?').get(Id) as { doc: string; state: string; image: string };
  first.store.db.transaction(() => {
    for (let i = 0; i < 1000; i++) first.store.db.sql('INSERT INTO containers (id, name, image, doc, state) VALUES (?, ?, ?, ?, ?)').run(i.toString(16).padStart(64, '0'), `n${i}`, row.image, row.doc, row.state);
  });
  const start = performance.now();
  const second = await first.again();
  assert.ok(performance.now() - start < 500, `${performance.now() - start} ms`);
  assert.equal((await second.engine.containers.list({ all: true, limit: -1, size: false, filters: new Map() })).length, 1001);
  await over(first, second);
});

test('after a power cut the exit record of a run that the row does not know counts', async () => {
  const first = await testEngine();
  const { Id } = await first.engine.containers.create('web', { Image: 'busybox' }, undefined);
  mkdirSync(join(first.root, 'containers', Id), { recursive: true });
  writeFileSync(join(first.root, 'containers', Id, 'exit.1'), 'the driver reads it');
  first.store.db.exec("UPDATE engine_facts SET value = 'another boot' WHERE key = 'boot'");
  first.driver.recovered.set(Id, { exited: { code: 5, signal: 0, oomKills: 0, at: BigInt(Date.now()) * 1_000_000n } });
  const second = await first.again();
  const { Status, ExitCode } = await state(second, Id);
  assert.deepEqual([Status, ExitCode], ['exited', 5]);
  await over(first, second);
});
