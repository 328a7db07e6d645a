import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NaruError } from '#spec/errors.ts';
import type { OciResources } from '#spec/oci-runtime.ts';
import { type CgroupPlan, type CgroupPlanRequest, cgroupPlan } from './cgroup-plan.ts';
import { type FakeCgroups, LEGACY, UNIFIED, fakeCgroups } from './fake-cgroups.ts';

type Args = Record<string, unknown>;
const args = (op: { args: unknown }): Args => op.args as Args;

/** `file=value` of every write to the group itself. */
function limits(fake: FakeCgroups, resources: OciResources, request: Partial<CgroupPlanRequest> = {}): string[] {
  const plan = cgroupPlan(fake.host, { path: '/naru/x', resources, defaultDevices: [{ allow: true }], parentsReady: true, ...request });
  return plan.prepare.filter((op) => op.name === 'write' && String(args(op)['path']).includes('/naru/x/')).map((op) => {
    const { path, data } = args(op) as { path: string; data: string };
    return `${path.slice(path.lastIndexOf('/') + 1)}=${data}`;
  });
}
const invalid = (message: RegExp) => (error: unknown): boolean => error instanceof NaruError && error.kind === 'invalid' && message.test(error.message);
const MEGABYTE = 2 ** 20;

const EVERYTHING: OciResources = {
  memory: { limit: 64 * MEGABYTE, swap: 128 * MEGABYTE, reservation: 32 * MEGABYTE, swappiness: 10, disableOOMKiller: true },
  cpu: { shares: 512, quota: 50_000, period: 200_000, cpus: '0-1', mems: '0' },
  blockIO: { weight: 500, throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1_048_576 }] },
};

test('v1: limits in the order that the kernel takes', () => {
  using fake = fakeCgroups(LEGACY);
  const { blockIO, ...rest } = EVERYTHING;
  assert.deepEqual(limits(fake, { ...rest, blockIO: { throttleReadBpsDevice: blockIO!.throttleReadBpsDevice! } , memory: { ...rest.memory, swap: 0, swappiness: -1, disableOOMKiller: false, reservation: 0 } }), [
    'cpuset.mems=0', 'cpuset.cpus=0-1', 'cpu.shares=512', 'cpu.cfs_period_us=200000', 'cpu.cfs_quota_us=50000',
    'memory.limit_in_bytes=67108864', 'blkio.throttle.read_bps_device=8:0 1048576',
  ]);
});

test('v2: the same in its own words', () => {
  using fake = fakeCgroups(UNIFIED);
  assert.deepEqual(limits(fake, { ...EVERYTHING, memory: { ...EVERYTHING.memory, swappiness: -1, disableOOMKiller: false }, pids: { limit: 100 }, hugepageLimits: [{ pageSize: '2MB', limit: 4 * MEGABYTE }], unified: { 'memory.high': '60000000', 'cgroup.max.descendants': '3' } }), [
    'cpuset.cpus=0-1', 'cpuset.mems=0', 'cpu.weight=59', 'cpu.max=50000 200000', 'memory.max=67108864', 'memory.swap.max=67108864', 'memory.low=33554432',
    'pids.max=100', 'io.weight=4950', 'io.max=8:0 rbps=1048576', 'hugetlb.2MB.max=4194304', 'hugetlb.2MB.rsvd.max=4194304', 'memory.high=60000000', 'cgroup.max.descendants=3',
  ]);
});

test('v2: what only v1 had is refused, by its pointer', () => {
  using fake = fakeCgroups(UNIFIED);
  for (const [memory, field] of [[{ kernelTCP: 1 }, 'kernelTCP'], [{ swappiness: 0 }, 'swappiness'], [{ disableOOMKiller: true }, 'disableOOMKiller'], [{ useHierarchy: false }, 'useHierarchy']] as const) {
    assert.throws(() => limits(fake, { memory }), invalid(new RegExp(`^/linux/resources/memory/${field}: `)));
  }
  assert.throws(() => limits(fake, { blockIO: { leafWeight: 500 } }), invalid(/^\/linux\/resources\/blockIO\/leafWeight: /));
  assert.throws(() => limits(fake, { network: { classID: 5 } }), invalid(/^\/linux\/resources\/network: /));
});

test('what a new group has anyway is not written', () => {
  for (const tree of [LEGACY, UNIFIED]) {
    using fake = fakeCgroups(tree);
    assert.deepEqual(limits(fake, { memory: { limit: -1, swap: -1 }, cpu: { shares: 1024, quota: -1, period: 100_000 }, ...(tree === UNIFIED && { pids: { limit: -1 } }) }), []);
    assert.deepEqual(limits(fake, { memory: { limit: 0, swap: 0, reservation: 0 }, cpu: { shares: 0, quota: 0, period: 0, cpus: '' }, pids: { limit: 0 } }), []);
  }
});

test('v2: swap counts without memory', () => {
  using fake = fakeCgroups(UNIFIED);
  const memory = (memory: NonNullable<OciResources['memory']>): string[] => limits(fake, { memory });
  assert.deepEqual(memory({ limit: 100, swap: 100 }), ['memory.max=100', 'memory.swap.max=0']);
  assert.deepEqual(memory({ limit: 100, swap: -1 }), ['memory.max=100']);
  assert.deepEqual(memory({ limit: 100 }), ['memory.max=100']);
  assert.throws(() => memory({ swap: 100 }), invalid(/always set the Memory limit/));
  assert.throws(() => memory({ limit: 100, swap: 99 }), invalid(/Minimum memoryswap limit/));
});

test('what the machine does not have is an error that names it', () => {
  using v1 = fakeCgroups(LEGACY);
  using v2 = fakeCgroups(UNIFIED);
  assert.throws(() => limits(v1, { pids: { limit: 5 } }), invalid(/resources\/pids\/limit: this machine has no pids cgroup controller/));
  assert.throws(() => limits(v1, { memory: { swap: 5 } }), invalid(/resources\/memory\/swap: this kernel's memory cgroups have no memory\.memsw\.limit_in_bytes/));
  assert.throws(() => limits(v1, { unified: { 'memory.high': '1' } }), invalid(/the memory controller is on cgroup v1/));
  assert.throws(() => limits(v2, { network: { classID: 1 } }), invalid(/net_cls/));
  assert.throws(() => limits(v2, { cpu: { realtimeRuntime: 1 } }), invalid(/real-time/));
  assert.throws(() => limits(v2, { unified: { 'foo.max': '1' } }), invalid(/the foo controller is not available/));
  assert.throws(() => limits(v2, { hugepageLimits: [{ pageSize: '3MB', limit: 1 }] }), invalid(/no huge pages of "3MB"/));
  for (const file of ['../memory.max', 'memory.max/..', 'cgroup.procs', 'cgroup.kill', 'cgroup.freeze', 'cgroup.type', 'x']) {
    assert.throws(() => limits(v2, { unified: { [file]: '1' } }), invalid(/is not the name of a cgroup v2 limit/), file);
  }
});

test('a path cannot lead elsewhere', () => {
  using fake = fakeCgroups(UNIFIED);
  for (const path of ['', '/', 'naru/x', '/naru/../x', '/naru/x/..', '/naru//x', '/naru/x/', '/naru/\n', '/naru/.', `/${'a'.repeat(256)}`]) {
    assert.throws(() => cgroupPlan(fake.host, { path }), invalid(/invalid cgroup path/), JSON.stringify(path));
  }
});

const show = (plan: CgroupPlan, root: string): string[] => [...plan.prepare, ...plan.parent, ...plan.child, ...plan.cleanup]
  .map((op) => `${op.section} ${op.name} ${Object.values(args(op)).filter((value) => typeof value === 'string').join(' ').replaceAll(`${root}/sys/fs/cgroup/`, '')}${op.skip === undefined ? '' : ` skip ${op.skip}`}`);

test('v1: groups, a cpuset to inherit, each hierarchy joined by the child', () => {
  using fake = fakeCgroups(LEGACY);
  const text = show(cgroupPlan(fake.host, { path: '/naru/x' }), fake.root);
  const start = text.indexOf('prepare mkdir cpuset/naru skip 2');
  assert.deepEqual(text.slice(start, start + 5), [
    'prepare mkdir cpuset/naru skip 2', 'prepare write cpuset/naru/cpuset.cpus 0-3', 'prepare write cpuset/naru/cpuset.mems 0',
    'prepare write cpuset/naru/cgroup.clone_children 1', 'prepare mkdir cpuset/naru/x',
  ]);
  assert.equal(text.filter((line) => line.startsWith('child write_pid ')).length, fake.host.hierarchies.length);
  assert.ok(text.indexOf('prepare write devices/naru/x/devices.deny a') > text.indexOf('prepare mkdir devices/naru/x'));
  assert.equal(cgroupPlan(fake.host, { path: '/naru/x' }).cloneInto, undefined);
});

test('v2: controllers handed down, entered by the clone', () => {
  using fake = fakeCgroups(UNIFIED);
  const plan = cgroupPlan(fake.host, { path: '/naru/x' });
  const all = '+cpuset +cpu +io +memory +hugetlb +pids +rdma +misc';
  assert.deepEqual(show(plan, fake.root), [
    'prepare mkdir naru', `prepare write cgroup.subtree_control ${all}`, `prepare write naru/cgroup.subtree_control ${all}`, 'prepare mkdir naru/x',
    'prepare bpf_device naru/x', 'cleanup kill_procs naru/x/cgroup.procs', 'cleanup rmdir naru/x',
  ]);
  assert.equal(plan.cloneInto, `${fake.root}/sys/fs/cgroup/naru/x`);
  assert.deepEqual(plan.oom, { file: `${fake.root}/sys/fs/cgroup/naru/x/memory.events`, eventControl: '' });
});

test('a hybrid machine: huge pages on v2, handed down when asked for', () => {
  using fake = fakeCgroups({
    ...LEGACY, '/proc/self/mountinfo': `${LEGACY['/proc/self/mountinfo']}\n39 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
    '/sys/fs/cgroup/unified/cgroup.controllers': 'hugetlb\n', '/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '0\n',
  });
  const writes = (resources: OciResources): string[] =>
    show(cgroupPlan(fake.host, { path: '/naru/x', resources, parentsReady: true }), fake.root).filter((line) => line.includes('write unified'));
  assert.deepEqual(writes({}), []);
  assert.deepEqual(writes({ hugepageLimits: [{ pageSize: '1GB', limit: 0 }] }), [
    'prepare write unified/cgroup.subtree_control +hugetlb', 'prepare write unified/naru/cgroup.subtree_control +hugetlb', 'prepare write unified/naru/x/hugetlb.1GB.max 0',
    'prepare write unified/naru/x/hugetlb.1GB.rsvd.max 0',
  ]);
});

test('v1: device rules are those of this container, whichever came before', () => {
  using fake = fakeCgroups(LEGACY);
  const only = (minor: number): string[] => limits(fake, { devices: [{ allow: false }, { allow: true, type: 'c', major: 1, minor, access: 'rw' }] }, { defaultDevices: [] });
  const [three, five] = [['devices.deny=a', 'devices.allow=c 1:3 rw'], ['devices.deny=a', 'devices.allow=c 1:5 rw']];
  assert.deepEqual([only(3), only(5), only(3), only(3)], [three, five, three, three]);
});
