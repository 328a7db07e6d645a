import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { NaruError } from '#spec/errors.ts';
import type { PlanOp } from '#runtime/plan/plan.ts';
import { freeze, isFrozen, removeCgroup, updateResources } from './cgroup-control.ts';
import { writeGroupFile } from './cgroup-files.ts';
import { groupDirectory, hierarchyOf } from './cgroup-path.ts';
import { cgroupPlan } from './cgroup-plan.ts';
import { readCgroupStats } from './cgroup-stats.ts';
import { detectCgroups } from './detect-cgroups.ts';
import { ensureParents } from './ensure-parents.ts';
import { readPids } from './read-pids.ts';

const PARENT = '/naru-test-cgroups';
const host = detectCgroups();
const root = process.getuid?.() === 0;
const needs = { skip: root ? false : 'needs root: makes cgroups' };
/** What is about v1 is registered where v1 is, what is about v2 where v2 is alone (test/vm sees to that). */
const onV1 = host.version === 1 ? test : (): void => {};
const MEGABYTE = 2 ** 20;

const file = (path: string, controller: string, name: string): string => `${groupDirectory(hierarchyOf(host, controller)!, path)}/${name}`;
const read = (path: string, controller: string, name: string): string => readFileSync(file(path, controller, name), 'utf8').trim();

/** The few operations of a plan that this file needs, done here instead of in the helper. */
function perform(ops: readonly PlanOp[]): void {
  for (let at = 0; at < ops.length; at++) {
    const op = ops[at]!;
    const args = op.args as unknown as { path: string; data?: string };
    try {
      if (op.name === 'mkdir') mkdirSync(args.path);
      else if (op.name === 'write') writeGroupFile(args.path, String(args.data));
      else if (op.name === 'rmdir') rmdirSync(args.path);
      else assert.ok(op.name === 'bpf_device' || op.name === 'kill_procs', op.name);
    } catch (error) {
      if (op.tolerate?.includes(Math.abs((error as { errno: number }).errno)) !== true) throw error;
      at += op.skip ?? 0;
    }
  }
}

/** A process that runs `script` inside the group. */
function inside(path: string, script: string): ChildProcess {
  const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'ignore', 'ignore'] });
  for (const hierarchy of host.hierarchies) writeGroupFile(`${groupDirectory(hierarchy, path)}/cgroup.procs`, String(child.pid));
  child.stdin!.write('go\n');
  return child;
}

async function withGroup(name: string, resources: Parameters<typeof updateResources>[2], body: (path: string) => Promise<void>): Promise<void> {
  const path = `${PARENT}/${name}`;
  perform(cgroupPlan(host, { path, resources }).prepare);
  try {
    await body(path);
  } finally {
    await removeCgroup(host, path);
  }
  for (const hierarchy of host.hierarchies) assert.ok(!existsSync(groupDirectory(hierarchy, path)));
}

after(async () => {
  if (root) await removeCgroup(host, PARENT);
});

onV1('v1: a plan makes groups with their limits', needs, () => withGroup('limits', {
  memory: { limit: 64 * MEGABYTE, swap: 96 * MEGABYTE, reservation: 16 * MEGABYTE, swappiness: 7, disableOOMKiller: true },
  cpu: { shares: 512, quota: 40_000, period: 80_000, burst: 1000, cpus: '0' }, pids: { limit: 33 }, blockIO: { weight: 200 },
}, async (path) => {
  assert.deepEqual(['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes', 'memory.soft_limit_in_bytes', 'memory.swappiness'].map((name) => read(path, 'memory', name)),
    [64, 96, 16].map((size) => String(size * MEGABYTE)).concat('7'));
  assert.match(read(path, 'memory', 'memory.oom_control'), /oom_kill_disable 1/);
  assert.deepEqual(['cpu.shares', 'cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.cfs_burst_us'].map((name) => read(path, 'cpu', name)), ['512', '40000', '80000', '1000']);
  assert.deepEqual([read(path, 'cpuset', 'cpuset.cpus'), read(path, 'cpuset', 'cpuset.mems')], ['0', host.mems]);
  assert.equal(read(path, 'pids', 'pids.max'), '33');
  assert.equal(read(path, 'blkio', 'blkio.bfq.weight'), '200');
  const devices = read(path, 'devices', 'devices.list').split('\n');
  assert.ok(devices.includes('c 1:3 rwm') && devices.includes('c 136:* rwm') && !devices.some((line) => line.startsWith('a')), devices.join());
}));

onV1('v1: the device list holds', needs, () => withGroup('devices', {}, async (path) => {
  const run = async (script: string): Promise<number | null> => (await once(inside(path, script), 'exit'))[0] as number | null;
  assert.equal(await run('head -c 1 /dev/zero > /dev/null'), 0);
  assert.notEqual(await run('head -c 1 /dev/mem > /dev/null'), 0);
  assert.notEqual(await run('head -c 1 /dev/kmsg > /dev/null'), 0);
}));

test('counters, processes, freezing', needs, () => withGroup('run', { pids: { limit: 20 } }, async (path) => {
  const child = inside(path, 'sleep 100 & sleep 100 & i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; wait');
  while (readPids(host, path).length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(readPids(host, path).includes(child.pid!));
  const stats = readCgroupStats(host, path)!;
  assert.ok(stats.cpu.usage > 0n && stats.memory.usage > 0n && stats.pids.limit === 20n, JSON.stringify(stats, (_, v) => (typeof v === 'bigint' ? String(v) : v)));
  await freeze(host, path, true);
  assert.equal(isFrozen(host, path), true);
  await freeze(host, path, true);
  await freeze(host, path, false);
  assert.equal(isFrozen(host, path), false);
  await freeze(host, path, true);
  // Removal ends frozen processes as well.
  const ended = once(child, 'exit');
  await removeCgroup(host, path);
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  assert.equal(readCgroupStats(host, path), undefined);
  await removeCgroup(host, path);
}));

onV1('v1: updates in any order of old and new values, all or none', needs, () => withGroup('update', { memory: { limit: 32 * MEGABYTE, swap: 64 * MEGABYTE } }, async (path) => {
  const memory = () => ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'].map((name) => Number(read(path, 'memory', name)) / MEGABYTE);
  const cpu = () => ['cpu.cfs_quota_us', 'cpu.cfs_period_us', 'cpu.cfs_burst_us'].map((name) => Number(read(path, 'cpu', name)));
  await updateResources(host, path, { memory: { limit: 128 * MEGABYTE, swap: 256 * MEGABYTE } });
  assert.deepEqual(memory(), [128, 256]);
  await updateResources(host, path, { memory: { limit: 16 * MEGABYTE, swap: 24 * MEGABYTE } });
  assert.deepEqual(memory(), [16, 24]);
  await assert.rejects(updateResources(host, path, { memory: { limit: 100 * MEGABYTE } }), /update the memoryswap at the same time/);
  await updateResources(host, path, { cpu: { period: 100_000, quota: 10_000, burst: 10_000 } });
  await updateResources(host, path, { cpu: { period: 50_000, quota: 5000, burst: 2000 } });
  assert.deepEqual(cpu(), [5000, 50_000, 2000]);
  await updateResources(host, path, { cpu: { period: 1_000_000, quota: 900_000, burst: 500_000 } });
  assert.deepEqual(cpu(), [900_000, 1_000_000, 500_000]);
  await assert.rejects(
    updateResources(host, path, { cpu: { shares: 99, quota: 10 }, memory: { limit: 20 * MEGABYTE } }),
    (error) => error instanceof NaruError && error.kind === 'invalid' && /cpu\.cfs_quota_us/.test(error.message),
  );
  assert.deepEqual([read(path, 'cpu', 'cpu.shares'), ...cpu(), ...memory()], ['1024', 900_000, 1_000_000, 500_000, 16, 24]);
  await updateResources(host, path, { memory: { limit: -1 } });
  assert.ok(memory().every((limit) => limit > 2 ** 40));
}));

test('groups that were made inside go too', needs, () => withGroup('nested', {}, async (path) => {
  for (const hierarchy of host.hierarchies) mkdirSync(`${groupDirectory(hierarchy, path)}/a/b/c`, { recursive: true });
  const inner = host.hierarchies.find((hierarchy) => hierarchy.unified || hierarchy.controllers.includes('pids'))!;
  const child = spawn('sleep', ['100'], { stdio: 'ignore' });
  writeFileSync(`${groupDirectory(inner, path)}/a/b/c/cgroup.procs`, String(child.pid));
  const ended = once(child, 'exit');
  await removeCgroup(host, path);
  assert.deepEqual(await ended, [null, 'SIGKILL']);
}));

test('parents once made serve plans that need none', needs, () => {
  ensureParents(host, `${PARENT}/sub/x`);
  ensureParents(host, `${PARENT}/sub/x`);
  const plan = cgroupPlan(host, { path: `${PARENT}/sub/x`, parentsReady: true });
  perform(plan.prepare);
  if (host.version === 1) assert.deepEqual([read(`${PARENT}/sub/x`, 'cpuset', 'cpuset.cpus'), read(`${PARENT}/sub/x`, 'cpuset', 'cpuset.mems')], [host.cpus, host.mems]);
  perform(plan.cleanup);
});

if (host.version === 2) {
  test('v2: a plan makes groups with their limits', needs, () => withGroup('limits', {
    memory: { limit: 64 * MEGABYTE, swap: 96 * MEGABYTE, reservation: 16 * MEGABYTE },
    cpu: { shares: 512, quota: 40_000, period: 80_000, burst: 1000, cpus: '0' }, pids: { limit: 33 }, unified: { 'memory.high': '50000000', 'cgroup.max.depth': '3' },
  }, async (path) => {
    assert.deepEqual(['memory.max', 'memory.swap.max', 'memory.low'].map((name) => read(path, 'memory', name)), [64, 32, 16].map((size) => String(size * MEGABYTE)));
    assert.deepEqual(['cpu.weight', 'cpu.max', 'cpu.max.burst'].map((name) => read(path, 'cpu', name)), ['59', '40000 80000', '1000']);
    assert.equal(read(path, 'cpuset', 'cpuset.cpus'), '0');
    assert.equal(read(path, 'pids', 'pids.max'), '33');
    assert.deepEqual([Math.round(Number(read(path, 'memory', 'memory.high')) / 1e6), read(path, 'pids', 'cgroup.max.depth')], [50, '3']);
  }));

  test('v2: updates, all or none', needs, () => withGroup('update', { memory: { limit: 32 * MEGABYTE, swap: 64 * MEGABYTE } }, async (path) => {
    await updateResources(host, path, { memory: { limit: 128 * MEGABYTE, swap: 256 * MEGABYTE }, cpu: { period: 50_000, quota: 5000 } });
    const now = () => [read(path, 'memory', 'memory.max'), read(path, 'memory', 'memory.swap.max'), read(path, 'cpu', 'cpu.max'), read(path, 'pids', 'pids.max')];
    const before = [String(128 * MEGABYTE), String(128 * MEGABYTE), '5000 50000', 'max'];
    assert.deepEqual(now(), before);
    await assert.rejects(
      updateResources(host, path, { pids: { limit: 5 }, memory: { limit: 64 * MEGABYTE, swap: 64 * MEGABYTE }, cpu: { quota: 10, period: 50_000 } }),
      (error) => error instanceof NaruError && error.kind === 'invalid' && /cpu\.max/.test(error.message),
    );
    assert.deepEqual(now(), before);
  }));
}
