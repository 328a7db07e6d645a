import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { NARU, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/two-clients.ts';

// An upgrade: the executable that started the containers is gone, another one goes on.
let d: TestDaemon;
let old: string;

before(async () => {
  d = await TestDaemon.start({
    prepare(daemon) {
      old = join(daemon.root, 'old');
      mkdirSync(old);
      copyFileSync(NARU, join(old, 'naru'));
      daemon.program = [join(old, 'naru')];
    },
  });
});
after(() => d.destroy());

test('containers run through an upgrade, and the new version does everything with them', async () => {
  d.ok('run', '-d', '--name', 'web', '-m', '64m', '-v', 'kept:/v', '--health-cmd', 'test -e /v/well', '--health-interval', '200ms', 'busybox', 'sh', '-c', 'echo before; touch /v/well; while sleep 0.1; do test -e /v/go && break; done; echo after; exec sleep 1000');
  d.ok('run', '-dit', '--name', 'tty', 'busybox');
  d.ok('create', '--name', 'made', 'busybox', 'echo', 'later');
  d.ok('exec', 'web', 'true');
  const pid = d.ok('inspect', '-f', '{{.State.Pid}}', 'web');
  await d.down();
  rmSync(old, { recursive: true });
  d.program = [NARU];
  await d.up();
  assert.equal(d.ok('inspect', '-f', '{{.State.Pid}}', 'web'), pid);
  assert.equal(d.ok('exec', 'web', 'sh', '-c', 'touch /v/go; echo inside $(hostname)'), `inside ${d.ok('inspect', '-f', '{{.Config.Hostname}}', 'web')}`);
  await until('the log goes on', () => d.ok('logs', 'web').includes('after'));
  assert.equal(d.ok('logs', 'web'), 'before\nafter');
  await until('its health', () => d.ok('inspect', '-f', '{{.State.Health.Status}}', 'web') === 'healthy');
  d.ok('pause', 'web');
  d.ok('unpause', 'web');
  d.ok('update', '-m', '80m', '--memory-swap', '-1', 'web');
  assert.match(d.ok('stats', '--no-stream', '--format', '{{.MemUsage}}', 'web'), /80MiB/);
  assert.match(d.ok('top', 'web'), /sleep 1000/);
  assert.equal(d.ok('exec', 'tty', 'echo', 'x'), 'x');
  assert.equal(d.ok('start', '-a', 'made'), 'later');
  d.ok('restart', '-t', '0', 'web');
  assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', 'web'), 'running');
  d.ok('rm', '-f', 'web', 'tty', 'made');
  d.ok('volume', 'rm', 'kept');
  assert.equal(await d.leaked(), '');
});
