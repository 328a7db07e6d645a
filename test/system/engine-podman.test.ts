import assert from 'node:assert/strict';
import { existsSync, openSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { run, type Ran } from '../support/daemon.ts';
import { ForeignEngine, readmeBlock } from '../support/foreign-engines.ts';

/** Debian's podman with naru as its runtime, set up as the README says. */
const e = new ForeignEngine('podman');
/** podman's own group, for what has no --cgroup-parent. */
const LIBPOD = '/sys/fs/cgroup/memory/libpod_parent';
const hadLibpod = existsSync(LIBPOD);
const command = ['podman', '--root', e.path('data'), '--runroot', e.path('run'), '--tmpdir', e.path('tmp'), '--storage-driver', 'overlay', '--cgroup-manager', 'cgroupfs', '--runtime', 'naru'];
const env = (): Record<string, string> => ({ CONTAINERS_CONF: e.path('containers.conf') });
// (conmon writes into its working directory.)
const podman = (...args: string[]): Ran => run(command[0]!, [...command.slice(1), ...args], { env: env(), cwd: e.root });
const ok = (...args: string[]): string => {
  const ran = podman(...args);
  if (ran.code !== 0) throw new Error(`podman ${args.join(' ')}: ${ran.code}: ${ran.err}`);
  return ran.out.trimEnd();
};
const own = ['--network', 'none', '--cgroup-parent', e.cgroupParent];

before(() => {
  e.file('containers.conf', readmeBlock('ini', '[engine.runtimes]', e.runtime).replace('[engine]', '[engine]\nlock_type = "file"\nevents_logger = "file"'));
  process.env['CONTAINERS_CONF'] = e.path('containers.conf');
  ok('load', '-q', '-i', fixture('busybox.tar'));
  ok('run', '-d', '--name', 'box', '-m', '64m', '--cpus', '0.5', ...own, 'busybox', 'sleep', '1000');
});
after(async () => {
  podman('rm', '-af', '-t', '0');
  assert.deepEqual(e.leftShims(), []);
  assert.deepEqual(e.leftGroups().filter((path) => !path.endsWith('conmon')), []);
  delete process.env['CONTAINERS_CONF'];
  await e.destroy();
  if (!hadLibpod) run('sh', ['-c', 'for d in /sys/fs/cgroup/*/libpod_parent; do find "$d" -depth -type d -exec rmdir {} +; done']);
});

test('podman run: output, stdin, exit status, and the reason when there is no such program', () => {
  assert.deepEqual(podman('run', '--rm', ...own, 'busybox', 'sh', '-c', 'echo out; exit 7'), { code: 7, out: 'out\n', err: '' });
  assert.equal(run(command[0]!, [...command.slice(1), 'run', '-i', '--rm', ...own, 'busybox', 'cat'], { input: 'hello\n', env: env() }).out, 'hello\n');
  const missing = podman('run', '--rm', ...own, 'busybox', 'nosuch');
  assert.equal(missing.code, 127);
  assert.match(missing.err, /exec: "nosuch": executable file not found in \$PATH/);
});

test('podman exec: output, stdin, exit status, terminal', () => {
  assert.deepEqual(podman('exec', 'box', 'sh', '-c', 'echo in; exit 3'), { code: 3, out: 'in\n', err: '' });
  assert.equal(run(command[0]!, [...command.slice(1), 'exec', '-i', 'box', 'cat'], { input: 'hello\n', env: env() }).out, 'hello\n');
  assert.match(e.terminal([...command, 'exec', '-t', 'box', 'tty']).out, /^\/dev\/pts\/\d/);
  assert.equal(podman('exec', 'box', 'nosuch').code, 127);
  assert.match(e.terminal([...command, 'run', '--rm', '-t', ...own, 'busybox', 'tty']).out, /^\/dev\/pts\/\d/);
});

test('podman stats, top, pause, unpause, update', () => {
  const [stats] = JSON.parse(ok('stats', '--no-stream', '--format', 'json', 'box')) as [{ mem_usage: string; pids: string }];
  assert.match(stats.mem_usage, /^\d.*B \/ 67\.11MB$/);
  assert.equal(stats.pids, '1');
  assert.match(ok('top', 'box'), /sleep 1000/);
  ok('pause', 'box');
  assert.equal(ok('inspect', '-f', '{{.State.Status}}', 'box'), 'paused');
  ok('unpause', 'box');
  assert.equal(ok('inspect', '-f', '{{.State.Status}}', 'box'), 'running');
  ok('update', '--memory', '128m', '--cpus', '1', 'box');
  assert.equal(ok('exec', 'box', 'cat', '/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us'), '134217728\n100000');
});

test('podman --init, --uidmap, --preserve-fds, --pids-limit, --privileged', () => {
  assert.match(ok('run', '--rm', '--init', ...own, 'busybox', 'cat', '/proc/1/cmdline'), /podman-init/);
  assert.match(ok('run', '--rm', '--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536', ...own, 'busybox', 'sh', '-c', 'cat /proc/self/uid_map; touch /x; ls -ln /x | cut -c1-40'), /^\s*0\s+100000\s+65536\n-rw-r--r--\s+1 0\s+0/);
  const fd = openSync(fixture('busybox.tar'), 'r');
  const held = run('sh', ['-c', `exec "$@" 3</proc/${process.pid}/fd/${fd}`, 'sh', ...command, 'run', '--rm', '--preserve-fds', '1', ...own, 'busybox', 'sh', '-c', 'dd bs=1 count=1 <&3 2>/dev/null | wc -c'], { env: env() });
  assert.equal(held.out, '1\n', held.err);
  assert.match(podman('run', '--rm', '--pids-limit', '4', ...own, 'busybox', 'sh', '-c', 'for i in 1 2 3 4 5 6; do sleep 1 & done').err, /can't fork/);
  assert.ok(Number(ok('run', '--rm', '--privileged', ...own, 'busybox', 'sh', '-c', 'ls /dev | wc -l')) > 20);
});

test('podman stop, start, kill, rm; a container that used too much memory', () => {
  ok('stop', '-t', '0', 'box');
  ok('start', 'box');
  assert.equal(ok('exec', 'box', 'echo', 'again'), 'again');
  ok('kill', '-s', 'KILL', 'box');
  assert.equal(ok('wait', 'box'), '137');
  ok('rm', '-f', 'box');
  assert.equal(podman('run', '--rm', '-m', '16m', ...own, 'busybox', 'tail', '/dev/zero').code, 137);
});

test('podman leaves nothing of the runtime’s behind', () => {
  ok('rm', '-af', '-t', '0');
  assert.deepEqual(e.leftShims(), []);
  const ids = new Set(ok('ps', '-aq', '--no-trunc').split('\n'));
  assert.deepEqual((existsSync('/run/naru-runtime') ? readdirSync('/run/naru-runtime') : []).filter((id) => ids.has(id)), []);
});
