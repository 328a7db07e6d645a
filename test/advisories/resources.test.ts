import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { spawn, spawnSync } from 'node:child_process';
import { NARU } from '../support/daemon.ts';
import { sleep, suite } from '../support/two-clients.ts';

/** A container that takes all that it can get: the machine and the daemon stay usable. */
const { d, scratch } = suite();

test('a fork bomb within its limit', () => {
  d.ok('run', '-d', '--name', 'bomb', '--pids-limit', '60', '--cpus', '0.3', 'busybox', 'sh', '-c', 'f() { f | f & }; f; sleep 100');
  assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'alive'), 'alive');
  d.ok('rm', '-f', 'bomb');
});

test('memory by tmpfs and shm counts', () => {
  const ran = d.docker('run', '--rm', '-m', '24m', '--tmpfs', '/t', 'busybox', 'sh', '-c', 'dd if=/dev/zero of=/t/f bs=1M count=200; echo $?');
  assert.doesNotMatch(ran.out, /^0$/m);
});

test('a hundred thousand variables', () => {
  const env = Array.from({ length: 100_000 }, (_, i) => `V${i}=x`);
  const created = d.api('POST', '/v1.51/containers/create?name=env', { Image: 'busybox', Cmd: ['true'], Env: env });
  // too much for one command line of curl is not the point: the body goes by a file
  assert.ok([201, 400, 413].includes(created.status), `${created.status} ${created.text}`);
  if (created.status === 201) {
    const started = d.docker('start', '-a', 'env');
    assert.ok(started.code === 0 || /argument list too long/.test(started.err), started.err);
  }
});

test('a flood of output rotates', async () => {
  d.ok('run', '-d', '--name', 'flood', '--log-opt', 'max-size=1m', '--log-opt', 'max-file=2', 'busybox', 'sh', '-c', 'yes 0123456789012345678901234567890123456789 | head -c 20000000; sleep 100');
  await sleep(1500);
  const kept = d.docker('logs', 'flood').out.length;
  assert.ok(kept > 500_000 && kept < 3_000_000, String(kept));
  d.ok('rm', '-f', 'flood');
});

test('a client of logs or events that stopped reading harms nobody', async () => {
  d.ok('run', '-d', '--name', 'talk', 'busybox', 'sh', '-c', 'while :; do echo talk talk talk talk talk talk; usleep 2000; done');
  const stuck = ['logs -f talk', 'events', 'stats'].map((words) => spawn(NARU, ['-H', `unix://${d.socket}`, ...words.split(' ')], { stdio: ['ignore', 'pipe', 'ignore'] }));
  await sleep(500);
  for (const child of stuck) child.kill('SIGSTOP');
  for (let i = 0; i < 5; i++) assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'fine'), 'fine');
  const first = d.ok('logs', '--tail', '1', 'talk').length;
  assert.ok(first > 0);
  for (const child of stuck) {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
  }
  await sleep(100);
  d.ok('rm', '-f', 'talk');
});

test('many terminals at once', () => {
  for (let i = 0; i < 15; i++) d.ok('run', '-dt', 'busybox', 'sleep', '100');
  assert.match(d.docker('run', '--rm', '-t', 'busybox', 'tty').out, /pts/);
});

test('cgroups: a container makes none, a privileged one may, and all that it made goes with it', () => {
  const flood = (...flags: string[]): string => d.docker('run', '--rm', ...flags, 'busybox', 'sh', '-c', 'd=/sys/fs/cgroup; [ -d $d/pids ] && d=$d/pids; i=0; p=$d; while [ $i -lt 200 ] && mkdir $d/g$i 2>/dev/null; do i=$((i+1)); done; for n in a b c d e; do p=$p/$n; mkdir $p 2>/dev/null; done; echo $i').out;
  assert.equal(flood(), '0\n');
  assert.equal(flood('--privileged'), '200\n');
});

test('inotify instances and terminals: a container that takes all that root may have takes nothing from the daemon, and gives them back', () => {
  writeFileSync(join(scratch, 'take.c'), `
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>
int main(void) {
  int watches = 0, terminals = 0;
  while (inotify_init1(0) >= 0) watches++;
  while (open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0) terminals++;
  printf("%d %d taken\\n", watches, terminals);
  fflush(stdout);
  pause();
}`);
  assert.equal(spawnSync('cc', ['-static', '-o', join(scratch, 'take'), join(scratch, 'take.c')]).status, 0);
  d.ok('run', '-d', '--name', 'taker', '--ulimit', 'nofile=8192', '-v', `${join(scratch, 'take')}:/take:ro`, 'busybox', '/take');
  for (let i = 0; !/taken/.test(d.ok('logs', 'taker')); i++) assert.ok(i < 300, 'never taken');
  const [watches = 0, terminals = 0] = d.ok('logs', 'taker').split(' ').map(Number);
  assert.ok(watches > 0 && terminals > 100, `${watches} instances, ${terminals} terminals`);
  assert.equal(d.ok('run', '--rm', '--init', '-v', 'kept:/v', '-p', '127.0.0.1::80', 'busybox', 'echo', 'fine'), 'fine');
  // Where no terminal is left, one sentence says so.
  const terminal = d.docker('run', '--rm', '-t', 'busybox', 'tty');
  assert.match(terminal.out + terminal.err, /pts|no space left on device/i);
  d.ok('volume', 'rm', 'kept');
  d.ok('rm', '-f', 'taker');
  assert.match(d.ok('run', '--rm', '-t', 'busybox', 'tty'), /pts/);
});
