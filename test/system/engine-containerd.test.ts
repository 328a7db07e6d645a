import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { run, type Ran } from '../support/daemon.ts';
import { ForeignEngine, readmeBlock, startContainerd } from '../support/foreign-engines.ts';

/** Debian's containerd with naru as the BinaryName of io.containerd.runc.v2, set up as the README says. */
const e = new ForeignEngine('containerd');
const IMAGE = 'docker.io/library/busybox:latest';
let command: string[];
const ctr = (...args: string[]): Ran => run(command[0]!, [...command.slice(1), ...args]);
const ok = (...args: string[]): string => {
  const ran = ctr(...args);
  if (ran.code !== 0) throw new Error(`ctr ${args.join(' ')}: ${ran.code}: ${ran.err}`);
  return ran.out.trimEnd();
};
const own = (id: string): string[] => ['--runc-binary', e.runtime, '--runc-root', e.path('runtime-root'), '--snapshotter', 'overlayfs', '--cgroup', `${e.cgroupParent}/${id}`];

before(async () => {
  const socket = await startContainerd(e, readmeBlock('toml', 'BinaryName', e.runtime));
  command = ['ctr', '-a', socket, '-n', 'naru'];
  ok('images', 'import', fixture('busybox.tar'));
  ok('run', '-d', ...own('box'), '--memory-limit', '67108864', IMAGE, 'box', 'sleep', '1000');
});
after(async () => {
  for (const id of ctr('tasks', 'ls', '-q').out.split('\n').filter(Boolean)) ctr('tasks', 'rm', '-f', id);
  await e.destroy();
});

test('containerd takes the README’s configuration of its CRI runtime', () => {
  assert.match(run('containerd', ['-c', e.path('containerd.toml'), 'config', 'dump']).out, new RegExp(`BinaryName = "${e.runtime}"`));
});

test('ctr run: output, exit status, terminal, and the reason when there is no such program', () => {
  const ran = ctr('run', '--rm', ...own('c1'), IMAGE, 'c1', 'sh', '-c', 'echo out; exit 7');
  assert.deepEqual([ran.code, ran.out], [7, 'out\n']);
  assert.match(e.terminal([...command, 'run', '--rm', '-t', ...own('c2'), IMAGE, 'c2', 'tty']).out, /\/dev\/pts\/\d/);
  const missing = ctr('run', '--rm', ...own('c3'), IMAGE, 'c3', 'nosuch');
  assert.match(missing.err, /OCI runtime create failed: .*exec: "nosuch": executable file not found in \$PATH/);
});

test('ctr tasks exec: output, exit status, terminal', () => {
  const ran = ctr('tasks', 'exec', '--exec-id', 'e1', 'box', 'sh', '-c', 'echo in; exit 3');
  assert.deepEqual([ran.code, ran.out], [3, 'in\n']);
  assert.match(e.terminal([...command, 'tasks', 'exec', '-t', '--exec-id', 'e2', 'box', 'sh', '-c', 'tty; sleep 0.2']).out, /\/dev\/pts\/\d/);
});

test('ctr tasks metrics, ps, pause, resume', () => {
  const metrics = ok('tasks', 'metrics', 'box');
  assert.match(metrics, /memory\.limit_in_bytes\s+67108864/);
  assert.match(metrics, /pids\.current\s+1 /);
  assert.equal(ok('tasks', 'ps', 'box').split('\n').length, 2);
  ok('tasks', 'pause', 'box');
  assert.match(ok('tasks', 'ls'), /PAUSED/);
  ok('tasks', 'resume', 'box');
  assert.match(ok('tasks', 'ls'), /RUNNING/);
});

test('ctr run: a user namespace; all of the host’s namespaces and rights', () => {
  // (With --uidmap, ctr 1.6 forgets --runc-binary: what is called runc is taken, which is naru too.)
  assert.match(ok('run', '--rm', ...own('c4'), '--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536', IMAGE, 'c4', 'cat', '/proc/self/uid_map'), /^\s*0\s+100000\s+65536$/);
  assert.match(ctr('run', '--rm', ...own('c5'), '--read-only', '--net-host', '--privileged', IMAGE, 'c5', 'touch', '/x').err, /Read-only file system/);
  assert.match(ctr('run', '--rm', ...own('c6'), '--uidmap', '0:100000:65536', '--gidmap', '0:100000:65536', IMAGE, 'c6', 'nosuch').err, /OCI runtime create failed: runtime create failed: /);
});

test('ctr tasks kill, rm: nothing of the runtime’s is left', async () => {
  ok('tasks', 'kill', '-s', 'SIGKILL', 'box');
  const end = Date.now() + 10_000;
  while (!ok('tasks', 'ls').includes('STOPPED')) {
    assert.ok(Date.now() < end, 'it does not stop');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.match(ctr('tasks', 'rm', 'box').err, /137/);
  ok('containers', 'rm', 'box');
  assert.deepEqual(e.leftShims(), []);
  assert.deepEqual(e.leftGroups(), []);
});
