import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon, run } from '../support/daemon.ts';
import { TestNamespace } from './net-namespaces.ts';

const NETWORKS = 4, CONTAINERS = 40;

describe('a daemon that comes back, with many containers on several networks', () => {
  let daemon: TestDaemon;
  let leave: () => void;
  before(async () => {
    leave = new TestNamespace('naru-restart').enter();
    daemon = await TestDaemon.start();
  });
  after(async () => {
    await daemon?.destroy();
    leave();
  });

  test(`${CONTAINERS} containers on ${NETWORKS} networks, half of them running: no packet of a ping flood is lost, published ports answer throughout`, async () => {
    for (let i = 0; i < NETWORKS; i++) assert.equal(daemon.api('POST', '/networks/create', { Name: `n${i}` }).status, 201);
    const ids = Array.from({ length: CONTAINERS }, (_, i) => {
      const { json } = daemon.api('POST', '/containers/create', {
        Image: 'busybox', Cmd: ['sh', '-c', 'echo here >/tmp/index.html; exec httpd -f -h /tmp'], ExposedPorts: { '80/tcp': {} },
        HostConfig: { NetworkMode: `n${i % NETWORKS}`, PortBindings: { '80/tcp': [{ HostPort: String(18500 + i) }] } },
      });
      const { Id } = json as { Id: string };
      if (i % 2 === 0) assert.equal(daemon.api('POST', `/containers/${Id}/start`).status, 204);
      return Id;
    });
    const target = daemon.ok('inspect', '-f', '{{.NetworkSettings.Networks.n0.IPAddress}}', ids[0]!);
    const ping = spawn('ping', ['-i', '0.001', '-q', target], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    ping.stdout.on('data', (bytes) => (said += String(bytes)));
    const ended = new Promise((resolve) => ping.once('exit', resolve));
    await pause(100);
    const answered = (): string => run('curl', ['-s', '-m', '10', 'http://127.0.0.1:18500/']).out;
    assert.equal(answered(), 'here\n');
    const times: number[] = [];
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await daemon.down(signal);
      assert.equal(answered(), 'here\n');
      const start = performance.now();
      await daemon.up();
      times.push(performance.now() - start);
      assert.equal(answered(), 'here\n');
    }
    ping.kill('SIGINT');
    await ended;
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(said) ?? [];
    assert.ok(Number(sent) > 100, said);
    assert.equal(received, sent, 'packets were lost');
    assert.ok(Math.min(...times) < 2000 * (process.env['NARU_TEST_SLOW'] === undefined ? 1 : 5), `ready after ${times.join(', ')} ms`);
    assert.equal(daemon.ok('ps', '-q').split('\n').length, CONTAINERS / 2);
    daemon.ok('rm', '-f', ...ids);
    daemon.ok('network', 'prune', '-f');
    assert.equal(await daemon.leaked(), '');
  });
});
