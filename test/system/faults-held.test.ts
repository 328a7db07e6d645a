import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { NARU } from '../support/daemon.ts';
import { mountHangingFiles } from '../support/hanging-files.ts';
import { sleep, suite, until } from '../support/two-clients.ts';

/** What a container uses is held, hung or taken away by somebody else: that container says so, and nobody else notices. */
const s = suite();

const stateOf = (pid: string | number): string => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';

/** Docker's command line at work; whoever waits for it learns its exit code and what it said. */
function docker(...words: string[]): { over: Promise<{ code: number | null; err: string }>; process: ChildProcess } {
  const process = spawn('docker', ['-H', `unix://${s.d.socket}`, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  let err = '';
  process.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()));
  return { process, over: once(process, 'close').then(([code]) => ({ code: code as number | null, err })) };
}

describe('a file system whose server is gone', () => {
  test('who would use it is told after a while; nobody else waits, not even for a new daemon; what hangs in it ends when it ends', async () => {
    const files = await mountHangingFiles(s.scratch, 'net');
    try {
      s.d.ok('run', '-d', '--name', 'has', '-v', `${files.path}:/v`, 'busybox', 'sh', '-c', 'cat /v/file; until [ -e /tmp/go ]; do sleep 0.02; done; exec cat /v/file');
      s.d.ok('create', '--name', 'made', '-v', `${files.path}:/v`, 'busybox', 'true');
      s.d.ok('volume', 'create', '--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${files.path}`, 'far');
      s.d.ok('run', '-d', '--name', 'other', 'busybox', 'sleep', '600');
      assert.equal(s.d.docker('cp', 'made:/v/file', '-').code, 0, 'as long as it answers, it is copied from');
      files.hang();
      s.d.ok('exec', 'has', 'touch', '/tmp/go');
      const pid = s.inspect('has', '{{.State.Pid}}');
      await until('the program asks the server', () => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('cat'));
      const told = [['start', 'made'], ['create', '--mount', `type=bind,source=${files.path}/file,target=/f`, 'busybox'], ['run', '-d', '-v', `${files.path}/below:/v`, 'busybox'], ['run', '-d', '-v', 'far:/v', 'busybox'], ['cp', 'made:/v/file', '-'], ['create', '--mount', `type=bind,source=${s.scratch}/link,target=/f`, 'busybox']].map((words) => ({ words, ...docker(...words) }));
      const stopped = docker('stop', '-t', '0', 'has');
      await until('it waits, and cannot be killed', () => stateOf(pid) === 'D');
      assert.match(s.d.ok('ps', '-as'), /\bhas\b/);
      assert.equal(s.inspect('has', '{{.State.Status}}'), 'running');
      assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'fine'), 'fine');
      s.d.ok('stats', '--no-stream', 'has');
      s.d.ok('stop', '-t', '0', 'other');
      s.d.ok('rm', '-f', 'other');
      assert.equal(s.d.docker('cp', 'made:/etc/passwd', '-').code, 0, 'its own files lie here');
      for (const { words, over } of told) {
        const { code, err } = await over;
        assert.notEqual(code, 0, words.join(' '));
        assert.match(err, words.at(-2)!.includes('/link') ? /bind source path does not exist/ : /its file system has not answered within 10s/, words.join(' '));
      }
      // Whoever comes now is told at once.
      const again = performance.now();
      assert.match(s.d.docker('start', 'made').err, /has not answered within 10s/);
      assert.ok(performance.now() - again < 8000, 'it is known');
      await s.d.restart('SIGKILL');
      await stopped.over;
      assert.equal(s.inspect('has', '{{.State.Status}}'), 'running');
      assert.equal(s.d.ok('logs', 'has'), 'hello');
      const removed = docker('rm', '-f', 'has');
      await sleep(200);
      assert.equal(removed.process.exitCode, null, 'it is not gone before its process is');
      await files.end();
      assert.deepEqual(await removed.over, { code: 0, err: '' });
      await s.d.removeAll();
      s.d.ok('volume', 'rm', 'far');
      s.d.mark();
    } finally {
      await files.end();
    }
  });
});

/** The cgroups of a container, one for each hierarchy. */
function groupsOf(id: string): { root: string; group: string }[] {
  const top = '/sys/fs/cgroup';
  const roots = existsSync(`${top}/cgroup.controllers`) ? [top] : readdirSync(top).map((name) => join(top, name));
  return roots.map((root) => ({ root, group: join(root, s.d.scope.cgroupParent, id) })).filter(({ group }) => existsSync(group));
}

describe('taken away', () => {
  test('the cgroups of a container that runs: it runs on, its limits are said to be gone, it is stopped and removed', async () => {
    s.d.ok('run', '-d', '--name', 'bare', '-m', '32m', 'busybox', 'sleep', '600');
    const groups = groupsOf(s.inspect('bare', '{{.Id}}'));
    assert.ok(groups.length > 0);
    for (const { root, group } of groups) {
      for (const pid of readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) writeFileSync(join(root, 'cgroup.procs'), pid);
      rmdirSync(group);
    }
    assert.equal(s.inspect('bare', '{{.State.Status}}'), 'running');
    assert.equal(s.d.docker('stats', '--no-stream', 'bare').code, 0);
    for (const words of [['update', '-m', '64m', 'bare'], ['pause', 'bare'], ['exec', 'bare', 'true']]) {
      const ran = s.d.docker(...words);
      assert.notEqual(ran.code, 0, words.join(' '));
      // Why an exec could not begin comes by its stream, as with Docker.
      assert.match(ran.err + ran.out, /cgroup.*(no such file|is gone)/, words.join(' '));
      assert.equal((ran.err + ran.out).trim().split('\n').length, 1, ran.err);
    }
    s.d.ok('stop', '-t', '0', 'bare');
    assert.equal(s.inspect('bare', '{{.State.Status}} {{.State.ExitCode}}'), 'exited 137');
    s.d.ok('start', 'bare');
    s.d.ok('exec', 'bare', 'true');
    s.d.ok('rm', '-f', 'bare');
  });

  test('a network namespace that somebody holds: the container’s address, port and name are free when it is gone', () => {
    const port = 20_000 + (process.pid % 3900) * 3 + 2;
    const words = ['run', '-d', '--name', 'kept', '-p', `127.0.0.1:${port}:80`, 'busybox', 'sleep', '600'];
    s.d.ok(...words);
    const address = s.inspect('kept', '{{.NetworkSettings.IPAddress}}');
    const held = openSync(`/proc/${s.inspect('kept', '{{.State.Pid}}')}/ns/net`, 'r');
    try {
      s.d.ok('rm', '-f', 'kept');
      s.d.ok(...words);
      assert.equal(s.d.ok('run', '--rm', 'busybox', 'ping', '-c1', '-W3', s.inspect('kept', '{{.NetworkSettings.IPAddress}}')).includes('1 packets received'), true, `not ${address}'s old owner`);
      s.d.ok('rm', '-f', 'kept');
    } finally {
      closeSync(held);
    }
  });
});

describe('the daemon is killed for memory', () => {
  const v1 = '/sys/fs/cgroup/memory';
  const group = join(existsSync(v1) ? v1 : '/sys/fs/cgroup', `naru-oom-${process.pid}`);
  const limit = join(group, existsSync(v1) ? 'memory.limit_in_bytes' : 'memory.max');
  const usage = join(group, existsSync(v1) ? 'memory.usage_in_bytes' : 'memory.current');

  test('containers run on, their logs are whole, the next daemon knows them', async () => {
    await s.d.down();
    mkdirSync(group);
    let daemon: ChildProcess | undefined;
    let hog: ChildProcess | undefined;
    try {
      const within = `echo $$ > ${join(group, 'cgroup.procs')}; exec "$@"`;
      daemon = spawn('sh', ['-c', within, 'sh', NARU, 'daemon', '--data-root', s.d.scope.dataRoot, '--state-dir', s.d.scope.stateDir, '--host', `unix://${s.d.socket}`, ...s.d.words], { stdio: 'ignore' });
      await until('the daemon answers', () => s.d.docker('ps').code === 0, 20);
      s.d.ok('run', '-d', '--name', 'on', 'busybox', 'sh', '-c', 'i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); sleep 0.02; done; sleep 600');
      s.d.ok('run', '-d', '--name', 'ends', 'busybox', 'sh', '-c', 'sleep 0.7; exit 7');
      const pid = s.inspect('on', '{{.State.Pid}}');
      // What takes its memory is never chosen, and takes no more once the daemon is gone.
      writeFileSync(limit, String(Number(readFileSync(usage, 'utf8')) + (8 << 20)));
      hog = spawn('sh', ['-c', `echo -1000 > /proc/self/oom_score_adj; ${within}`, 'sh', 'sh', '-c', `x=0123456789abcdef; while kill -0 ${daemon.pid} 2>/dev/null; do [ \${#x} -gt 64000000 ] || x=$x$x; done`], { stdio: 'ignore' });
      await once(daemon, 'exit');
      assert.equal(daemon.signalCode, 'SIGKILL');
      assert.ok(existsSync(`/proc/${pid}`), 'the container is gone');
      await sleep(300);
      writeFileSync(limit, existsSync(v1) ? '-1' : 'max');
      await s.d.up();
      assert.equal(s.inspect('on', '{{.State.Status}} {{.State.Pid}}'), `running ${pid}`);
      await until('the end that nobody watched is known', () => s.inspect('ends', '{{.State.Status}} {{.State.ExitCode}}') === 'exited 7');
      await until('the last line', () => s.d.ok('logs', '--tail', '1', 'on') === '59');
      assert.equal(s.d.ok('logs', 'on'), Array.from({ length: 60 }, (_, i) => String(i)).join('\n'));
      assert.equal(s.d.ok('exec', 'on', 'echo', 'alive'), 'alive');
      s.d.ok('rm', '-f', 'on', 'ends');
      s.d.mark();
    } finally {
      daemon?.kill('SIGKILL');
      hog?.kill('SIGKILL');
      await until('the group is empty', () => {
        try {
          rmdirSync(group);
          return true;
        } catch {
          return !existsSync(group);
        }
      });
    }
  });
});
