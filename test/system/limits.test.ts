import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { suite } from '../support/two-clients.ts';

/**
 * What a container may use, read back from the kernel's own files on the host: the same on cgroup v1 and v2 (this machine's
 * version here, v2 alone and an older kernel in test/vm).
 */
const V2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
/** Both, but where processors are emulated. */
const CLIS = process.env['NARU_TEST_SLOW'] === undefined ? (['docker', 'naru'] as const) : (['naru'] as const);
const { d, inspect } = suite();

/** A file of the container's group: v1's controller and name, v2's name. */
function groupFile(name: string, v1: [controller: string, file: string], v2: string): string {
  const id = inspect(name, '{{.Id}}');
  const directory = V2 ? join('/sys/fs/cgroup', d.scope.cgroupParent, id) : join('/sys/fs/cgroup', v1[0], d.scope.cgroupParent, id);
  return readFileSync(join(directory, V2 ? v2 : v1[1]), 'utf8').trim();
}

const both = (name: string, body: (call: (...args: string[]) => string) => void): void => {
  for (const cli of CLIS) {
    test(`${cli}: ${name}`, () => body((...args) => {
      const ran = d[cli](...args);
      assert.equal(ran.code, 0, `${cli} ${args.join(' ')}: ${ran.err}`);
      return ran.out.trimEnd();
    }));
  }
};

describe('limits on the host', () => {
  both('run sets them, update changes them', (call) => {
    call('run', '-d', '--name', 'cc', '-m', '64m', '--memory-swap', '96m', '--memory-reservation', '32m', '--cpus', '0.5', '--cpu-shares', '512', '--cpuset-cpus', '0', '--pids-limit', '50', 'busybox', 'sleep', '100');
    assert.equal(groupFile('cc', ['memory', 'memory.limit_in_bytes'], 'memory.max'), '67108864');
    assert.equal(groupFile('cc', ['memory', 'memory.memsw.limit_in_bytes'], 'memory.swap.max'), V2 ? '33554432' : '100663296');
    assert.equal(groupFile('cc', ['memory', 'memory.soft_limit_in_bytes'], 'memory.low'), '33554432');
    assert.match(groupFile('cc', ['cpu', 'cpu.cfs_quota_us'], 'cpu.max'), /^50000( 100000)?$/);
    assert.equal(groupFile('cc', ['cpu', 'cpu.shares'], 'cpu.weight'), V2 ? '59' : '512');
    assert.equal(groupFile('cc', ['cpuset', 'cpuset.cpus'], 'cpuset.cpus'), '0');
    assert.equal(groupFile('cc', ['pids', 'pids.max'], 'pids.max'), '50');
    call('update', '-m', '80m', '--memory-swap', '80m', '--cpus', '0.25', '--pids-limit', '20', 'cc');
    assert.equal(groupFile('cc', ['memory', 'memory.limit_in_bytes'], 'memory.max'), '83886080');
    assert.equal(groupFile('cc', ['memory', 'memory.memsw.limit_in_bytes'], 'memory.swap.max'), V2 ? '0' : '83886080');
    assert.match(groupFile('cc', ['cpu', 'cpu.cfs_quota_us'], 'cpu.max'), /^25000( 100000)?$/);
    assert.equal(groupFile('cc', ['pids', 'pids.max'], 'pids.max'), '20');
  });

  both('a device\'s bandwidth', (call) => {
    const disk = readdirSync('/dev').find((name) => /^(vd|sd|nvme\dn)[a1]$/.test(name) && statSync(join('/dev', name)).isBlockDevice());
    assert.ok(disk !== undefined, 'a disk to limit');
    const number = readFileSync(`/sys/block/${disk}/dev`, 'utf8').trim();
    call('run', '-d', '--name', 'cc', '--device-read-bps', `/dev/${disk}:1mb`, '--device-write-iops', `/dev/${disk}:100`, 'busybox', 'sleep', '100');
    const [read, write] = V2
      ? [groupFile('cc', ['', ''], 'io.max'), groupFile('cc', ['', ''], 'io.max')]
      : [groupFile('cc', ['blkio', 'blkio.throttle.read_bps_device'], ''), groupFile('cc', ['blkio', 'blkio.throttle.write_iops_device'], '')];
    assert.match(read, V2 ? new RegExp(`^${number} rbps=1048576 .*wiops=100`) : new RegExp(`^${number} 1048576$`));
    assert.match(write, V2 ? /wiops=100/ : new RegExp(`^${number} 100$`));
  });

  both('devices: only those that were given open', (call) => {
    call('run', '-d', '--name', 'cc', '--device', '/dev/kmsg', '--cap-add', 'SYSLOG', 'busybox', 'sleep', '100');
    call('exec', 'cc', 'sh', '-c', 'head -c 1 /dev/zero > /dev/null; test -c /dev/kmsg && exec 3< /dev/kmsg');
    const refused = d.docker('exec', 'cc', 'sh', '-c', 'mknod /tmp/port c 1 4 && head -c 1 /tmp/port');
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /not permitted/);
  });

  both('pause stands still, stats and top tell, unpause goes on', (call) => {
    call('run', '-d', '--name', 'cc', '-m', '64m', 'busybox', 'sh', '-c', 'while :; do echo x; sleep 0.05; done');
    assert.match(call('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}} {{.MemUsage}}', 'cc'), /^cc [12] \S+iB \/ 64MiB$/);
    assert.match(call('top', 'cc'), /echo x|while :/);
    call('pause', 'cc');
    assert.equal(inspect('cc', '{{.State.Status}}'), 'paused');
    assert.equal(groupFile('cc', ['freezer', 'freezer.state'], 'cgroup.freeze'), V2 ? '1' : 'FROZEN');
    const lines = d.ok('logs', 'cc').length;
    assert.equal(d.ok('logs', 'cc').length, lines);
    call('unpause', 'cc');
    assert.equal(groupFile('cc', ['freezer', 'freezer.state'], 'cgroup.freeze'), V2 ? '0' : 'THAWED');
    call('rm', '-f', 'cc');
  });

  both('more memory than allowed ends it, and is told', (call) => {
    const ran = d.docker('run', '--name', 'cc', '-m', '16m', '--memory-swap', '16m', 'busybox', 'sh', '-c', 'x=a; while :; do x=$x$x; done');
    assert.equal(ran.code, 137);
    assert.equal(call('inspect', '-f', '{{.State.OOMKilled}} {{.State.ExitCode}}', 'cc'), 'true 137');
  });

  both('more processes than allowed cannot be made', (call) => {
    call('run', '--name', 'cc', '--pids-limit', '4', 'busybox', 'sh', '-c', '(for i in 1 2 3 4 5 6; do sleep 1 & done) 2>&1; true');
    assert.match(d.ok('logs', 'cc') + d.docker('logs', 'cc').err, /fork/);
  });
});

describe('real time', () => {
  /** Does the kernel share it out among groups? */
  const shares = existsSync('/sys/fs/cgroup/cpu/cpu.rt_runtime_us');

  test('the sentences of what cannot be', () => {
    const refused = (...words: string[]): string => {
      const ran = d.naru(...words);
      assert.notEqual(ran.code, 0, words.join(' '));
      return ran.err;
    };
    if (!shares) {
      assert.match(refused('create', '--cpu-rt-runtime', '1000', 'busybox'), /kernel does not support CPU real-time scheduler/);
      return;
    }
    assert.match(refused('create', '--cpu-rt-runtime', '1000', '--cpu-rt-period', '500', 'busybox'), /cpu real-time runtime cannot be higher than cpu real-time period/);
    assert.match(refused('run', '--rm', '--cpu-rt-runtime', '1000', 'busybox'), /cpu\.rt_runtime_us: invalid argument.*no more real time than the one above it: see `naru daemon --cpu-rt-runtime`/);
  });

  test('what the daemon gives to the groups above, containers have: at the start and by update', async () => {
    if (!shares) return;
    d.words.push('--cpu-rt-runtime', '5000');
    await d.restart();
    try {
      d.ok('run', '-d', '--name', 'cc', '--cpu-rt-runtime', '1000', 'busybox', 'sleep', '100');
      assert.equal(groupFile('cc', ['cpu', 'cpu.rt_runtime_us'], ''), '1000');
      d.ok('update', '--cpu-rt-runtime', '2000', 'cc');
      assert.equal(groupFile('cc', ['cpu', 'cpu.rt_runtime_us'], ''), '2000');
      assert.match(d.docker('update', '--cpu-rt-runtime', '6000', 'cc').err, /cannot set cpu\.rt_runtime_us of cgroup .* to "6000": invalid argument/);
      d.ok('rm', '-f', 'cc');
    } finally {
      d.words.splice(-2);
      await d.restart();
      d.mark();
    }
  });
});
