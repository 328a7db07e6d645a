import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { run, type Ran } from '../support/daemon.ts';
import { ForeignEngine, readmeBlock, startContainerd } from '../support/foreign-engines.ts';

/** Debian's dockerd (20.10, with containerd) and naru as a runtime of it, set up as the README says. */
const e = new ForeignEngine('docker');
const socket = e.path('d.sock');
const bridge = `nk${process.pid}`;
const command = ['docker', '-H', `unix://${socket}`];
/** What dockerd says of a machine that does not forward is not a word of the runtime's. */
const docker = (...args: string[]): Ran => {
  const ran = run(command[0]!, [...command.slice(1), ...args]);
  return { ...ran, err: ran.err.replace('WARNING: IPv4 forwarding is disabled. Networking will not work.\n', '') };
};
const ok = (...args: string[]): string => {
  const ran = docker(...args);
  if (ran.code !== 0) throw new Error(`docker ${args.join(' ')}: ${ran.code}: ${ran.err}`);
  return ran.out.trimEnd();
};
const own = ['--runtime', 'naru'];

before(async () => {
  // A bridge and no firewall rules: nothing of the machine's is changed.
  for (const args of [['link', 'add', bridge, 'type', 'bridge'], ['addr', 'add', '172.31.78.1/24', 'dev', bridge], ['link', 'set', bridge, 'up']]) run('ip', args);
  const containerd = await startContainerd(e);
  const config = e.file('daemon.json', readmeBlock('json', '"runtimes"', e.runtime));
  await e.daemon(['dockerd', '--config-file', config, '--containerd', containerd, '-H', `unix://${socket}`, '--data-root', e.path('data'), '--exec-root', e.path('exec'), '--pidfile', e.path('pid'),
    '--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', e.cgroupParent, '-b', bridge, '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--userland-proxy=false', '--log-level', 'error'],
  () => docker('version').code === 0);
  ok('load', '-i', fixture('busybox.tar'));
  ok('run', '-d', '--name', 'box', '--ipc', 'shareable', '-m', '64m', '--cpus', '0.5', ...own, 'busybox', 'sleep', '1000');
});
after(async () => {
  for (const id of docker('ps', '-aq').out.split('\n').filter(Boolean)) docker('rm', '-f', id);
  await e.destroy();
  run('ip', ['link', 'del', bridge]);
});

test('docker run: output, stdin, exit status, terminal, and the reason when there is no such program', () => {
  assert.deepEqual(docker('run', '--rm', ...own, 'busybox', 'sh', '-c', 'echo out; exit 7'), { code: 7, out: 'out\n', err: '' });
  assert.equal(run(command[0]!, [...command.slice(1), 'run', '-i', '--rm', ...own, 'busybox', 'cat'], { input: 'hello\n' }).out, 'hello\n');
  assert.match(e.terminal([...command, 'run', '--rm', '-t', ...own, 'busybox', 'tty']).out, /^\/dev\/pts\/\d/);
  const missing = docker('run', '--rm', ...own, 'busybox', 'nosuch');
  assert.equal(missing.code, 127);
  assert.match(missing.err, /OCI runtime create failed: .*exec: "nosuch": executable file not found in \$PATH/);
});

test('docker run: the network that the engine’s hook makes is there', () => {
  assert.match(ok('run', '--rm', ...own, 'busybox', 'ip', 'addr', 'show', 'eth0'), /inet 172\.31\.78\.\d+\/24/);
  const joined = ok('run', '--rm', '--net', 'container:box', '--pid', 'container:box', '--ipc', 'container:box', ...own, 'busybox', 'ps');
  assert.match(joined, /sleep 1000/);
});

test('docker exec: output, stdin, exit status, terminal', () => {
  assert.deepEqual(docker('exec', 'box', 'sh', '-c', 'echo in; exit 3'), { code: 3, out: 'in\n', err: '' });
  assert.equal(run(command[0]!, [...command.slice(1), 'exec', '-i', 'box', 'cat'], { input: 'hello\n' }).out, 'hello\n');
  assert.match(e.terminal([...command, 'exec', '-t', 'box', 'tty']).out, /^\/dev\/pts\/\d/);
  assert.equal(docker('exec', 'box', 'nosuch').code, 126);
  assert.equal(ok('exec', '-u', '1000:50', '-w', '/tmp', '-e', 'A=b', 'box', 'sh', '-c', 'id -u; id -g; pwd; echo $A'), '1000\n50\n/tmp\nb');
});

test('docker stats, top, pause, unpause, update', () => {
  assert.match(ok('stats', '--no-stream', '--format', '{{.MemUsage}} {{.PIDs}}', 'box'), /^\S*\d\S*iB \/ 64MiB 1$/);
  assert.match(ok('top', 'box'), /sleep 1000/);
  ok('pause', 'box');
  assert.equal(ok('inspect', '-f', '{{.State.Status}}', 'box'), 'paused');
  ok('unpause', 'box');
  assert.equal(ok('inspect', '-f', '{{.State.Status}}', 'box'), 'running');
  ok('update', '--memory', '128m', '--memory-swap', '256m', '--cpus', '1', 'box');
  assert.equal(ok('exec', 'box', 'cat', '/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us'), '134217728\n100000');
});

test('docker: a container that used too much memory is told so; --init; --health-cmd', async () => {
  // containerd's shim hears of the kernel's decision and of the exit in no certain order; dockerd keeps what it knew at the exit. With runc it is the same.
  const killed: string[] = [];
  for (let run = 1; run <= 5 && killed.at(-1) !== 'true'; run++) {
    assert.equal(docker('run', '--name', `oom${run}`, '-m', '16m', ...own, 'busybox', 'tail', '/dev/zero').code, 137);
    killed.push(ok('inspect', '-f', '{{.State.OOMKilled}}', `oom${run}`));
  }
  assert.equal(killed.at(-1), 'true');
  assert.match(ok('run', '--rm', '--init', ...own, 'busybox', 'ps'), /docker-init/);
  ok('run', '-d', '--name', 'well', '--health-cmd', 'true', '--health-interval', '100ms', ...own, 'busybox', 'sleep', '100');
  const end = Date.now() + 20_000;
  let health = '';
  while (health !== 'healthy' && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    health = ok('inspect', '-f', '{{.State.Health.Status}}', 'well');
  }
  assert.equal(health, 'healthy');
});

test('docker stop, start, restart, kill, rm: nothing of the runtime’s is left', () => {
  ok('stop', '-t', '0', 'box');
  ok('start', 'box');
  ok('restart', '-t', '0', 'box');
  assert.equal(ok('exec', 'box', 'echo', 'again'), 'again');
  ok('kill', 'box');
  assert.equal(ok('wait', 'box'), '137');
  ok('rm', '-f', ...ok('ps', '-aq').split('\n'));
  assert.deepEqual(e.leftShims(), []);
  assert.deepEqual(e.leftGroups(), []);
});
