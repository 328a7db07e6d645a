import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCgroupStats } from './cgroup-stats.ts';
import { LEGACY, UNIFIED, fakeCgroups } from './fake-cgroups.ts';
import { readPids } from './read-pids.ts';

test('v2', () => {
  const group = '/sys/fs/cgroup/naru/x';
  using fake = fakeCgroups({
    ...UNIFIED,
    [`${group}/cpu.stat`]: 'usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n',
    [`${group}/memory.current`]: '4096\n', [`${group}/memory.max`]: 'max\n', [`${group}/memory.peak`]: '8192\n',
    [`${group}/memory.events`]: 'low 0\nhigh 0\nmax 9\noom 3\noom_kill 1\n', [`${group}/memory.stat`]: 'anon 100\nfile 200\n',
    [`${group}/pids.current`]: '4\n', [`${group}/pids.max`]: '10\n',
    [`${group}/io.stat`]: '8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16\n',
    [`${group}/cgroup.procs`]: '30\n5\n', [`${group}/inner/cgroup.procs`]: '7\n5\n', [`${group}/inner/more/cgroup.procs`]: '100\n',
  });
  assert.deepEqual(readCgroupStats(fake.host, '/naru/x'), {
    cpu: { usage: 3_000_000n, user: 2_000_000n, system: 1_000_000n, periods: 5n, throttledPeriods: 2n, throttledTime: 7000n, perCpu: [] },
    memory: { usage: 4096n, limit: 2n ** 64n - 1n, maxUsage: 8192n, failcnt: 3n, stats: { anon: 100, file: 200 } },
    pids: { current: 4n, limit: 10n },
    blkio: [
      { op: 'read', major: 8, minor: 0, value: 1n, kind: 'bytes' }, { op: 'write', major: 8, minor: 0, value: 2n, kind: 'bytes' },
      { op: 'read', major: 8, minor: 0, value: 3n, kind: 'ios' }, { op: 'write', major: 8, minor: 0, value: 4n, kind: 'ios' },
    ],
  });
  assert.deepEqual(readPids(fake.host, '/naru/x'), [5, 7, 30, 100]);
  assert.equal(readCgroupStats(fake.host, '/naru/gone'), undefined);
  assert.deepEqual(readPids(fake.host, '/naru/gone'), []);
});

test('v1, some controllers missing', () => {
  using fake = fakeCgroups({
    ...LEGACY,
    '/sys/fs/cgroup/memory/naru/x/memory.usage_in_bytes': '4096\n', '/sys/fs/cgroup/memory/naru/x/memory.limit_in_bytes': '9223372036854771712\n',
    '/sys/fs/cgroup/memory/naru/x/memory.failcnt': '2\n', '/sys/fs/cgroup/memory/naru/x/memory.max_usage_in_bytes': '5000\n',
    '/sys/fs/cgroup/cpu,cpuacct/naru/x/cpuacct.usage': '123456789\n', '/sys/fs/cgroup/cpu,cpuacct/naru/x/cpuacct.stat': 'user 7\nsystem 5\n',
    '/sys/fs/cgroup/cpu,cpuacct/naru/x/cpuacct.usage_percpu': '123 456 \n', '/sys/fs/cgroup/cpu,cpuacct/naru/x/cpu.stat': 'nr_periods 1\nnr_throttled 2\nthrottled_time 3\n',
    '/sys/fs/cgroup/blkio/naru/x/blkio.throttle.io_service_bytes_recursive': '8:0 Read 10\n8:0 Total 10\nTotal 10\n',
  });
  const stats = readCgroupStats(fake.host, '/naru/x')!;
  assert.deepEqual(stats.cpu, { usage: 123_456_789n, user: 70_000_000n, system: 50_000_000n, periods: 1n, throttledPeriods: 2n, throttledTime: 3n, perCpu: [123n, 456n] });
  assert.deepEqual([stats.memory.usage, stats.memory.limit, stats.memory.maxUsage, stats.memory.failcnt], [4096n, 9_223_372_036_854_771_712n, 5000n, 2n]);
  assert.deepEqual(stats.pids, { current: 0n, limit: 0n });
  assert.deepEqual(stats.blkio.map(({ op, kind, value }) => [op, kind, value]), [['Read', 'bytes', 10n], ['Total', 'bytes', 10n]]);
});
