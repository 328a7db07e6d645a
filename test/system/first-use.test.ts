import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../support/daemon.ts';
import { suite } from '../support/two-clients.ts';

/** What somebody tries first, in one breath: runs here, and on another kernel in test/vm. */
const { d } = suite();
const PORT = 20_000 + (process.pid % 3900) * 3 + 1;

test('naru run hello tells the chain', () => {
  const ran = d.naru('run', '--rm', 'hello');
  assert.equal(ran.code, 0, ran.err);
  assert.match(ran.out, /runtime/);
});

test('a throw-away copy of this machine: what is written in it is not written here', () => {
  const ran = d.naru('run', '--rm', '--rootfs', '/', 'sh', '-c', 'echo in > /etc/naru-first-use; cat /etc/naru-first-use; echo $$');
  assert.equal(ran.out, 'in\n1\n', ran.err);
  assert.notEqual(run('cat', ['/etc/naru-first-use']).code, 0);
});

test('a published port answers on 127.0.0.1 and through the bridge', () => {
  d.ok('run', '-d', '--name', 'web', '-p', `${PORT}:80`, 'busybox', 'sh', '-c', 'mkdir /w; echo served > /w/index.html; httpd -f -h /w -p 80');
  const ran = run('curl', ['-s', '--retry', '40', '--retry-delay', '0', '--retry-connrefused', '--max-time', '10', `http://127.0.0.1:${PORT}/`]);
  assert.equal(ran.out, 'served\n', ran.err);
  const gateway = d.ok('inspect', '-f', '{{.NetworkSettings.Gateway}}', 'web');
  assert.equal(d.ok('run', '--rm', 'busybox', 'wget', '-qO-', `http://${gateway}:${PORT}/`), 'served');
});

test('layers on layers: committed, saved, loaded, run; a file of each is there, a removed one is not', () => {
  let image = 'busybox';
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) {
    d.ok('run', '--name', `c${n}`, image, 'sh', '-c', `echo ${n} > /layer${n}; rm -f /layer${n - 4}`);
    d.ok('commit', `c${n}`, `layers:v${n}`);
    image = `layers:v${n}`;
  }
  assert.equal(d.ok('run', '--rm', image, 'sh', '-c', 'cat /layer*'), '5\n6\n7\n8');
  assert.match(d.ok('run', '--name', 'seen', image, 'sh', '-c', 'rm /layer8; echo y > /z'), /^$/);
  assert.deepEqual(d.ok('diff', 'seen').split('\n').sort(), ['A /z', 'D /layer8']);
  d.ok('rm', 'seen', ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `c${n}`));
  const archive = `${d.root}/layers.tar`;
  d.ok('save', '-o', archive, image);
  d.ok('rmi', ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `layers:v${n}`));
  d.ok('load', '-i', archive);
  assert.equal(d.ok('run', '--rm', image, 'sh', '-c', 'cat /layer*'), '5\n6\n7\n8');
  d.ok('rmi', image);
});

test('the daemon goes and comes back; the container did not notice', async () => {
  d.ok('run', '-d', '--name', 'on', 'busybox', 'sh', '-c', 'echo begun; sleep 100');
  await d.restart('SIGKILL');
  assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', 'on'), 'running');
  assert.equal(d.ok('exec', 'on', 'echo', 'still'), 'still');
  assert.equal(d.ok('logs', 'on'), 'begun');
  d.ok('rm', '-f', 'on');
  d.mark();
});
