import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { NARU } from '../support/daemon.ts';
import { sleep, suite } from '../support/two-clients.ts';

/** The daemon dies at any instant; nothing is lost. */
// A subnet of its own: the first free one may be another after the reboot, when other daemons come and go.
const { d, inspect } = suite({ daemon: ['--bip', `10.213.${process.pid % 250}.1/24`] });

describe('kill -9 of the daemon', () => {
  test('running containers run on, their logs are complete, exec works afterwards', async () => {
    d.ok('run', '-d', '--name', 'cc', '-p', `127.0.0.1:${20_000 + (process.pid % 3900) * 3}:80`, 'busybox', 'sh', '-c', 'i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.05; done; sleep 100');
    const pid = inspect('cc', '{{.State.Pid}}');
    await sleep(300);
    await d.down('SIGKILL');
    await sleep(500);
    assert.ok(readdirSync('/proc').includes(pid), 'the container is gone');
    await d.up();
    assert.equal(inspect('cc', '{{.State.Status}} {{.State.Pid}}'), `running ${pid}`);
    for (let i = 0; i < 100 && !d.ok('logs', '--tail', '1', 'cc').includes('39'); i++) await sleep(50);
    assert.equal(d.ok('logs', 'cc'), Array.from({ length: 40 }, (_, i) => String(i)).join('\n'));
    assert.equal(d.ok('exec', 'cc', 'echo', 'still'), 'still');
    assert.match(d.ok('port', 'cc'), /127\.0\.0\.1:\d+/);
  });

  test('the exit code of one that ended meanwhile is known', async () => {
    d.ok('run', '-d', '--name', 'cc', 'busybox', 'sh', '-c', 'sleep 0.4; exit 6');
    d.ok('run', '-d', '--rm', '--name', 'rr', 'busybox', 'sleep', '0.4');
    await d.down('SIGKILL');
    await sleep(800);
    await d.up();
    assert.equal(inspect('cc', '{{.State.Status}} {{.State.ExitCode}}'), 'exited 6');
    for (let i = 0; i < 40 && d.docker('inspect', 'rr').code === 0; i++) await sleep(50);
    assert.notEqual(d.docker('inspect', 'rr').code, 0, '--rm is kept');
  });

  test('a restart policy goes on', async () => {
    d.ok('run', '-d', '--name', 'cc', '--restart', 'always', 'busybox', 'sleep', '0.3');
    await d.down('SIGKILL');
    await sleep(700);
    await d.up();
    for (let i = 0; i < 60 && inspect('cc', '{{.State.Running}}') !== 'true'; i++) await sleep(50);
    assert.equal(inspect('cc', '{{.State.Running}}'), 'true');
  });

  test('at ten random moments of run, stop, commit and rm: the next start finishes or undoes', async () => {
    for (let round = 0; round < 10; round++) {
      const name = `k${round}`;
      const script = [
        `${NARU} -H unix://${d.socket} run -d --name ${name} busybox sleep 100`,
        `${NARU} -H unix://${d.socket} commit ${name} snap:${round}`,
        `${NARU} -H unix://${d.socket} stop -t 0 ${name}`,
        `${NARU} -H unix://${d.socket} rm -f ${name}`,
      ].join('; ');
      const client = spawn('sh', ['-c', script], { stdio: 'ignore' });
      const ended = new Promise((resolve) => client.once('exit', resolve));
      await sleep(20 + ((round * 67) % 300));
      await d.down('SIGKILL');
      await ended;
      await d.up();
      const answer = d.docker('inspect', '-f', '{{.State.Status}}', name);
      if (answer.code === 0) {
        assert.match(answer.out, /^(created|running|exited)\n$/);
        if (answer.out === 'running\n') assert.equal(d.docker('exec', name, 'true').code, 0);
        assert.equal(d.docker('rm', '-f', name).code, 0);
      }
      d.docker('rmi', `snap:${round}`);
    }
    assert.equal(d.ok('images', '-q', '--filter', 'reference=snap'), '');
  });
});

describe('other deaths', () => {
  test('the shim of a container is killed: the container’s end is noticed and said', async () => {
    d.ok('run', '-d', '--name', 'cc', 'busybox', 'sleep', '100');
    const pid = Number(inspect('cc', '{{.State.Pid}}'));
    const parent = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    process.kill(parent, 'SIGKILL');
    for (let i = 0; i < 60 && inspect('cc', '{{.State.Running}}') === 'true'; i++) await sleep(50);
    assert.equal(inspect('cc', '{{.State.Running}}'), 'false');
  });

  test('a thousand starts and stops of one container at once keep one truth', async () => {
    d.ok('create', '--name', 'cc', 'busybox', 'sleep', '100');
    const clients: Promise<unknown>[] = [];
    for (let i = 0; i < 40; i++) {
      const url = `http://d/v1.51/containers/cc/${i % 2 === 0 ? 'start' : 'stop?t=0'}`;
      const child = spawn('curl', ['-s', '-m', '20', '--unix-socket', d.socket, '-X', 'POST', ...Array.from({ length: 25 }, () => url)], { stdio: 'ignore' });
      clients.push(new Promise((resolve) => child.once('exit', resolve)));
    }
    await Promise.all(clients);
    assert.match(inspect('cc', '{{.State.Status}}'), /^(running|exited)$/);
    d.ok('rm', '-f', 'cc');
  });
});

describe('others meddle', () => {
  test('a cgroup that somebody froze: stop and rm -f still end the container', () => {
    for (const end of [['stop', '-t', '0', 'ice'], ['rm', '-f', 'ice'], ['kill', 'ice']]) {
      d.docker('rm', '-f', 'ice');
      d.ok('run', '-d', '--name', 'ice', 'busybox', 'sleep', '600');
      const id = inspect('ice', '{{.Id}}');
      const v1 = `/sys/fs/cgroup/freezer${d.scope.cgroupParent}/${id}/freezer.state`;
      if (existsSync(v1)) writeFileSync(v1, 'FROZEN');
      else writeFileSync(`/sys/fs/cgroup${d.scope.cgroupParent}/${id}/cgroup.freeze`, '1');
      const began = Date.now();
      d.ok(...end);
      assert.ok(Date.now() - began < 5000, `${end.join(' ')} took ${Date.now() - began} ms`);
    }
  });

  test('the machine is rebooted: what a reboot ends is gone, policies bring back what they promise', async () => {
    d.ok('run', '-d', '--name', 'back', '--restart', 'always', '-v', 'kept:/v', 'busybox', 'sh', '-c', 'echo run >> /v/runs; exec sleep 600');
    d.ok('run', '-d', '--name', 'plain', 'busybox', 'sleep', '600');
    d.ok('run', '-d', '--rm', '--name', 'brief', 'busybox', 'sleep', '600');
    d.ok('run', '-d', '--restart', 'unless-stopped', '--name', 'halted', 'busybox', 'sleep', '600');
    d.ok('stop', '-t', '0', 'halted');
    const pids = ['back', 'plain', 'brief'].map((name) => Number(inspect(name, '{{.State.Pid}}')));
    const parents = pids.map((pid) => Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]));
    await d.down('SIGKILL');
    for (const pid of [...parents, ...pids]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // went with its parent
      }
    }
    rmSync(d.scope.stateDir, { recursive: true, force: true });
    const db = new DatabaseSync(join(d.scope.dataRoot, 'naru.db'));
    assert.equal(db.prepare("UPDATE engine_facts SET value = 'another' WHERE key = 'boot'").run().changes, 1);
    db.close();
    spawnSync('ip', ['link', 'del', d.scope.bridge]);
    spawnSync('nft', ['delete', 'table', 'inet', d.scope.nftTable]);
    await d.up();
    for (let i = 0; i < 60 && inspect('back', '{{.State.Status}}') !== 'running'; i++) await sleep(50);
    assert.equal(inspect('back', '{{.State.Status}}'), 'running');
    assert.equal(d.ok('exec', 'back', 'cat', '/v/runs'), 'run\nrun');
    assert.equal(inspect('plain', '{{.State.Status}}'), 'exited');
    assert.equal(inspect('plain', '{{.State.ExitCode}}'), '255');
    assert.equal(inspect('halted', '{{.State.Status}}'), 'exited');
    for (let i = 0; i < 60 && d.docker('inspect', 'brief').code === 0; i++) await sleep(50);
    assert.equal(d.docker('inspect', 'brief').code, 1);
    d.ok('rm', '-f', 'back');
    d.ok('volume', 'rm', 'kept');
  });
});
