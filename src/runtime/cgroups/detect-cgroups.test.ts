import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NaruError } from '#spec/errors.ts';
import { detectCgroups } from './detect-cgroups.ts';
import { LEGACY, UNIFIED, fakeCgroups } from './fake-cgroups.ts';

test('v2 only', () => {
  using fake = fakeCgroups(UNIFIED);
  const { host, root } = fake;
  assert.deepEqual([host.version, host.hybrid, host.unifiedRoot], [2, false, `${root}/sys/fs/cgroup`]);
  assert.equal(host.hierarchies.length, 1);
  assert.deepEqual(host.hierarchies[0]!.controllers, ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc']);
  assert.equal(host.hierarchies[0]!.own, '/system.slice/naru.service');
  assert.deepEqual(host.hugePageSizes, ['2MB']);
});

test('v1: co-mounted controllers, named hierarchies, second mounts', () => {
  using fake = fakeCgroups(LEGACY);
  const { host } = fake;
  assert.deepEqual([host.version, host.hybrid, host.unifiedRoot], [1, false, undefined]);
  assert.deepEqual(host.hierarchies.map(({ name, options, aliases, own }) => ({ name, options, aliases, own })), [
    { name: 'systemd', options: ['name=systemd'], aliases: [], own: '/user.slice/session-1.scope' },
    { name: 'cpu,cpuacct', options: ['cpu', 'cpuacct'], aliases: ['cpu', 'cpuacct'], own: '/' },
    { name: 'memory', options: ['memory'], aliases: [], own: '/user.slice' },
    { name: 'cpuset', options: ['cpuset'], aliases: [], own: '/' },
    { name: 'net_cls,net_prio', options: ['net_cls', 'net_prio'], aliases: ['net_cls', 'net_prio'], own: '/' },
    { name: 'blkio', options: ['blkio'], aliases: [], own: '/' },
    { name: 'devices', options: ['devices'], aliases: [], own: '/' },
  ]);
  assert.deepEqual([host.cpus, host.mems], ['0-3', '0']);
});

test('a hierarchy that is mounted from a group of its own: paths count from there', () => {
  using fake = fakeCgroups({
    ...UNIFIED, '/proc/self/mountinfo': '27 23 0:24 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n', '/proc/self/cgroup': '0::/docker/abc/init\n',
  });
  assert.equal(fake.host.hierarchies[0]!.own, '/init');
});

test('a hybrid machine', () => {
  using fake = fakeCgroups({ ...LEGACY, '/proc/self/mountinfo': `${LEGACY['/proc/self/mountinfo']}\n39 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n` });
  assert.deepEqual([fake.host.version, fake.host.hybrid], [1, true]);
});

test('no cgroups', () => {
  assert.throws(() => fakeCgroups({ '/proc/self/mountinfo': '', '/proc/self/cgroup': '' }), (error) => error instanceof NaruError && error.kind === 'unsupported');
});

test('this machine has some, and the answer is kept', () => assert.equal(detectCgroups(), detectCgroups()));
