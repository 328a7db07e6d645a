import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { spawn, spawnSync } from 'node:child_process';
import { NARU } from '../support/daemon.ts';
import { sleep, suite, until } from '../support/two-clients.ts';

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

test('keys: none with the default profile; a user without a filter uses up its own quota, and neither others nor itself wait for it', async () => {
  writeFileSync(join(scratch, 'keys.c'), `
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
  int keys = 0;
  char name[32], payload[64] = {0};
  for (;; keys++) {
    sprintf(name, "key%d", keys);
    if (syscall(SYS_add_key, "user", name, payload, sizeof payload, -3) < 0) break;
  }
  printf("%d keys, then %d\\n", keys, errno);
  fflush(stdout);
  pause();
}`);
  assert.equal(spawnSync('cc', ['-static', '-o', join(scratch, 'keys'), join(scratch, 'keys.c')]).status, 0);
  const [EPERM, EDQUOT] = [1, 122];
  const user = String(100_000_000 + process.pid);
  const flood = async (...flags: string[]): Promise<string> => {
    d.ok('run', '-d', '--name', 'keys', ...flags, '-v', `${join(scratch, 'keys')}:/keys:ro`, 'busybox', '/keys');
    await until('it has what it can get', () => d.ok('logs', 'keys') !== '');
    return d.ok('logs', 'keys');
  };
  assert.equal(await flood(), `0 keys, then ${EPERM}`);
  d.ok('rm', '-f', 'keys');
  const taken = await flood('--user', user, '--security-opt', 'seccomp=unconfined');
  assert.match(taken, new RegExp(`^[1-9]\\d+ keys, then ${EDQUOT}$`));
  assert.equal(d.ok('run', '--rm', '--user', user, 'busybox', 'echo', 'fine'), 'fine');
  assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'fine'), 'fine');
  assert.equal(d.ok('exec', 'keys', 'echo', 'fine'), 'fine');
  d.ok('rm', '-f', 'keys');
  // The kernel collects them a moment later.
  await until('the keys are given back', () => !readFileSync('/proc/key-users', 'utf8').includes(`${user}:`));
});

test('a flood of events: of memory that is used up again and again, and of two thousand requests: told whole and in order, and nobody is held up', async () => {
  const began = new Date(Date.now() - 2000).toISOString();
  const heard = spawn('docker', ['-H', `unix://${d.socket}`, 'events', '--filter', 'container=busy', '--format', '{{.Action}}'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let actions = '';
  heard.stdout.on('data', (bytes: Buffer) => (actions += bytes.toString()));
  d.ok('run', '-d', '--name', 'dies', '-m', '6m', '--memory-swap', '6m', 'busybox', 'sh', '-c', 'while :; do sh -c "x=0123456789abcdef; while :; do x=\\$x\\$x; done"; done 2>/dev/null');
  await until('memory is used up', () => d.ok('events', '--since', began, '--until', (Date.now() / 1000).toFixed(3), '--filter', 'event=oom', '--filter', 'container=dies') !== '');
  d.ok('create', '--name', 'busy', 'busybox');
  for (let i = 0; i < 2000; i += 20) await Promise.all(Array.from({ length: 20 }, (_, n) => d.ask('POST', `/containers/busy/resize?h=${i + n + 1}&w=1`)));
  assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'fine'), 'fine');
  await until('all were heard', () => actions.split('\n').filter((action) => action === 'resize').length === 2000);
  heard.kill();
  const told = d.ok('events', '--since', began, '--until', (Date.now() / 1000).toFixed(3), '--filter', 'container=busy', '--filter', 'event=resize', '--format', '{{index .Actor.Attributes "height"}} {{.TimeNano}}').split('\n');
  assert.deepEqual(told.map((line) => Number(line.split(' ')[0])).toSorted((a, b) => a - b), Array.from({ length: 2000 }, (_, i) => i + 1));
  const times = told.map((line) => BigInt(line.split(' ')[1]!));
  assert.ok(times.every((time, i) => i === 0 || time > times[i - 1]!), 'in order');
  d.ok('rm', '-f', 'busy', 'dies');
});
