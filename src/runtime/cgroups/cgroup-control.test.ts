import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NaruError } from '#spec/errors.ts';
import { previousValue } from './apply-limits.ts';
import { freeze, isFrozen, removeCgroup, updateResources } from './cgroup-control.ts';
import { ensureParents } from './ensure-parents.ts';
import { UNIFIED, fakeCgroups } from './fake-cgroups.ts';

const GROUP = '/sys/fs/cgroup/naru/x';
const V2_GROUP: Readonly<Record<string, string>> = {
  ...UNIFIED,
  [`${GROUP}/cgroup.events`]: 'populated 0\nfrozen 0\n', [`${GROUP}/cgroup.freeze`]: '0', [`${GROUP}/cgroup.procs`]: '',
  [`${GROUP}/memory.max`]: '1000', [`${GROUP}/memory.swap.max`]: '500', [`${GROUP}/memory.current`]: '800', [`${GROUP}/cpu.weight`]: '100', [`${GROUP}/pids.max`]: 'max\n',
};

test('v2: freezing waits for the kernel, and gives up in time', async () => {
  using fake = fakeCgroups(V2_GROUP);
  const file = (name: string): string => join(fake.root, GROUP, name);
  const frozen = freeze(fake.host, '/naru/x', true);
  assert.equal(readFileSync(file('cgroup.freeze'), 'utf8'), '1');
  writeFileSync(file('cgroup.events'), 'populated 1\nfrozen 1\n');
  await frozen;
  assert.equal(isFrozen(fake.host, '/naru/x'), true);
  await freeze(fake.host, '/naru/x', false);
  assert.equal(readFileSync(file('cgroup.freeze'), 'utf8'), '0');
  writeFileSync(file('cgroup.events'), 'populated 1\nfrozen 0\n');
  await assert.rejects(freeze(fake.host, '/naru/x', true, { deadlineMs: 5 }), (error) => error instanceof NaruError && error.kind === 'unavailable');
  assert.equal(readFileSync(file('cgroup.freeze'), 'utf8'), '0');
  await assert.rejects(freeze(fake.host, '/naru/none', true), (error) => error instanceof NaruError && error.kind === 'not-found');
});

test('v2: an update writes what was asked, all or none', async () => {
  using fake = fakeCgroups(V2_GROUP);
  const read = (name: string): string => readFileSync(join(fake.root, GROUP, name), 'utf8').trim();
  await updateResources(fake.host, '/naru/x', { memory: { swap: 2500 }, cpu: { shares: 262_144 } });
  assert.deepEqual([read('memory.swap.max'), read('cpu.weight')], ['1500', '10000']);
  // io.max does not exist: what was written before goes back.
  await assert.rejects(
    updateResources(fake.host, '/naru/x', { memory: { limit: 7777 }, blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }] } }),
    (error) => error instanceof NaruError && error.kind === 'not-found' && /io\.max of cgroup \/naru\/x/.test(error.message),
  );
  assert.equal(read('memory.max'), '1000');
  await assert.rejects(updateResources(fake.host, '/naru/x', { memory: { limit: 700, checkBeforeUpdate: true } }), /current usage: 800/);
});

test('what undoes a write', () => {
  using fake = fakeCgroups({ ...UNIFIED, '/a': '8:0 rbps=1 wbps=max riops=max wiops=max\n', '/b': 'oom_kill_disable 1\nunder_oom 0\n', '/c': '\n', '/d': 'default 100\n8:0 50\n' });
  const undo = (path: string, file: string, value: string): string | undefined => previousValue(join(fake.root, path), { file, value });
  assert.equal(undo('a', 'io.max', '8:0 rbps=5'), '8:0 rbps=1 wbps=max riops=max wiops=max');
  assert.equal(undo('a', 'io.max', '8:16 rbps=5'), '8:16 rbps=max wbps=max riops=max wiops=max');
  assert.equal(undo('a', 'blkio.throttle.read_bps_device', '8:16 5'), '8:16 0');
  assert.equal(undo('b', 'memory.oom_control', '0'), '1');
  assert.equal(undo('c', 'cpuset.cpus', '0'), '\n');
  assert.equal(undo('d', 'io.weight', '200'), '100');
  assert.equal(undo('d', 'io.weight', '8:0 7'), '8:0 50');
  assert.equal(undo('none', 'x', '1'), undefined);
});

test('v2: parents get controllers to hand down, once', () => {
  using fake = fakeCgroups({ ...UNIFIED, '/sys/fs/cgroup/naru/cgroup.subtree_control': '' });
  ensureParents(fake.host, '/naru/deep/x');
  assert.ok(existsSync(join(fake.root, '/sys/fs/cgroup/naru/deep')));
  assert.equal(readFileSync(join(fake.root, '/sys/fs/cgroup/cgroup.subtree_control'), 'utf8').trim(), '+cpuset +io +hugetlb +pids +rdma +misc');
  ensureParents(fake.host, '/naru/deep/x');
});

test('removing what is not there is no error', async () => {
  using fake = fakeCgroups(UNIFIED);
  await removeCgroup(fake.host, '/naru/none');
  await assert.rejects(removeCgroup(fake.host, '/naru/../etc'), (error) => error instanceof NaruError && error.kind === 'invalid');
});
