import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS } from '#sys/numbers.ts';
import type { PlanOp } from '#runtime/plan/plan.ts';
import {
  ATTACH, MSG, SIGKILL, SLOT, Scratch, Spawner, child, clone, container, exec, exit, failure, logText, pidOf, prepare, spawnThrough, withDevpts,
} from './harness.ts';

const join = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;
/** Enter the container of the shim that serves the request. */
const enter = (flags = join): PlanOp[] => [clone(), child('setns', { slot: 62, nstype: flags }), child('reclone', { flags: 0 })];

async function sleeping(scratch: Scratch, spawner: Spawner): Promise<{ shim: Awaited<ReturnType<Spawner['spawn']>>; pid: number }> {
  const shim = await spawner.spawn([
    prepare('listen', { path: scratch.path('sock') }), prepare('exit_file', { path: scratch.path('exit'), sync: 0 }),
    ...container(scratch), exec(['/bin/sleep', '60']),
  ]);
  return { shim, pid: pidOf(await shim.expect(MSG.STARTED)) };
}

test('a second process in the container, through its shim: slot 62 and reclone', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const { shim, pid } = await sleeping(scratch, spawner);
  const second = await spawnThrough(scratch.path('sock'), [
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('exec-log'), maxSize: 0, maxFiles: 1 }),
    prepare('pid_file', { path: scratch.path('pid') }), ...enter(), exec(['/bin/sh', '-c', 'hostname; echo $$; cat /proc/1/comm; sleep 0.2; exit 5']),
  ]);
  const started = await second.expect(MSG.STARTED);
  assert.equal(started.seq, 7);
  assert.equal(scratch.read('pid').toString(), String(pidOf(started)));
  assert.match(readFileSync(`/proc/${pidOf(started)}/status`, 'utf8'), /^NSpid:\t\d+\t[2-9]$/m);
  assert.equal(readFileSync(`/proc/${pidOf(started)}/cmdline`, 'utf8').startsWith('/bin/sh'), true);
  assert.deepEqual(exit(await second.expect(MSG.EXITED)), { code: 5, signal: 0, ooms: 0 });
  await second.closed();
  assert.match(logText(scratch.read('exec-log')), /^box\n[2-9]\nsleep\n$/);
  // Its shim was reaped: the container's shim has one child left.
  const shimPid = /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  const children = (): string => readFileSync(`/proc/${shimPid}/task/${shimPid}/children`, 'utf8').trim();
  for (let i = 0; children() !== String(pid); i++) {
    assert.ok(i < 50, children());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  shim.send(MSG.SIGNAL, [SIGKILL]);
  assert.equal(exit(await shim.expect(MSG.EXITED)).signal, SIGKILL);
});

test('the shim of an exec holds nothing of the container\'s shim', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('listen', { path: scratch.path('sock') }), prepare('stdio', { mode: 1, stdin: 1 }), ...container(scratch), exec(['/bin/cat']),
  ]);
  await shim.expect(MSG.STARTED);
  const second = await spawnThrough(scratch.path('sock'), [...enter(), exec(['/bin/sleep', '60'])]);
  const pid = pidOf(await second.expect(MSG.STARTED));
  const subShim = /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  // 0-2, the connection, the signals, the child's pidfd
  const open = (): number => readdirSync(`/proc/${subShim}/fd`).length;
  for (let i = 0; open() !== 6; i++) {
    assert.ok(i < 50, String(open()));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  shim.send(MSG.CLOSE_STDIN); // ends cat: the sub-shim has no copy of the pipe
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
  assert.equal(exit(await second.expect(MSG.EXITED)).signal, SIGKILL); // with the pid namespace
});

test('signals, attach and stdin work for an exec', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const { shim } = await sleeping(scratch, spawner);
  let client!: Awaited<ReturnType<typeof shim.attach>>;
  const second = await spawnThrough(scratch.path('sock'), [prepare('stdio', { mode: 1, stdin: 2 }), ...enter(), exec(['/bin/cat'])], {
    before: async (connection) => {
      client = await connection.attach(ATTACH.STDIN | ATTACH.STDOUT);
    },
  });
  client.write('through');
  client.shutdown();
  assert.equal((await client.all()).toString(), 'through');
  assert.equal(exit(await second.expect(MSG.EXITED)).code, 0);
  const third = await spawnThrough(scratch.path('sock'), [...enter(), exec(['/bin/sleep', '60'])]);
  await third.expect(MSG.STARTED);
  third.send(MSG.SIGNAL, [SIGKILL]);
  assert.equal(exit(await third.expect(MSG.EXITED)).signal, SIGKILL);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});

test('an exec that cannot start leaves the container alone', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const { shim } = await sleeping(scratch, spawner);
  const second = await spawnThrough(scratch.path('sock'), [...enter(), exec(['/bin/nothing'])]);
  assert.deepEqual(failure(await second.expect(MSG.FAILED)), { section: 2, index: 3, errno: 2, extra: 0 });
  await second.closed();
  assert.equal(shim.seen(MSG.EXITED), false);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});

test('while an exec is made ready its shim sleeps', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const { shim } = await sleeping(scratch, spawner);
  // The process between the two has ended by now, and nobody waits for it before the start is over.
  const second = await spawnThrough(scratch.path('sock'), [...enter(), child('await', { kind: 0, path: '', slot: -1 }), exec(['/bin/true'])]);
  const pid = pidOf(await second.expect(MSG.CREATED));
  const subShim = /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  const ranFor = (): number => Number(readFileSync(`/proc/${subShim}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  const before = ranFor();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const milliseconds = ranFor() - before;
  assert.ok(milliseconds < 20, `it ran for ${milliseconds} ms of 300`);
  second.send(MSG.START);
  assert.equal(exit(await second.expect(MSG.EXITED)).code, 0);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});

/** The exec's shim, below the container's: what waits is its only child. */
async function waiting(containerPid: number): Promise<number> {
  const parentOf = (pid: number | string): string => /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  const children = (pid: string): string[] => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter((each) => each !== '');
  for (let i = 0; ; i++) {
    const [subShim] = children(parentOf(containerPid)).filter((each) => each !== String(containerPid));
    const [child] = subShim === undefined ? [] : children(subShim);
    if (child !== undefined && readlinkSync(`/proc/${child}/ns/mnt`) === readlinkSync(`/proc/${containerPid}/ns/mnt`)) return Number(child);
    assert.ok(i < 200, 'nothing waits');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function gone(pid: number): Promise<void> {
  for (let i = 0; existsSync(`/proc/${pid}`); i++) {
    assert.ok(i < 200, `${pid} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('what was made ahead waits outside of the pid namespace, says nothing, and goes on at START', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const { shim, pid } = await sleeping(scratch, spawner);
  writeFileSync(scratch.path('joined'), '');
  const ahead = (script: string): PlanOp[] => [
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('exec-log'), maxSize: 0, maxFiles: 1 }),
    prepare('open', { slot: 37, at: -1, path: scratch.path('joined'), flags: 1, mode: 0, resolve: 0 }), clone(),
    child('setns', { slot: 62, nstype: join }), child('await', { kind: 3, path: '', slot: -1 }),
    child('write_slot', { slot: 37, data: '0' }), child('reclone_into', { flags: 0, cgroup: -1 }), exec(['/bin/sh', '-c', script]),
  ];
  const second = await spawnThrough(scratch.path('sock'), ahead('cat /proc/1/comm; ls /proc/self/fd | wc -l; exit 6'));
  const waits = await waiting(pid);
  assert.match(readFileSync(`/proc/${waits}/status`, 'utf8'), /^NSpid:\t\d+$/m);
  assert.equal(scratch.read('joined').toString(), '');
  second.send(MSG.START);
  const started = await second.expect(MSG.STARTED);
  assert.equal(second.seen(MSG.CREATED), false);
  assert.match(readFileSync(`/proc/${pidOf(started)}/status`, 'utf8'), /^NSpid:\t\d+\t\d+$/m);
  assert.equal(exit(await second.expect(MSG.EXITED)).code, 6);
  await second.closed();
  assert.equal(scratch.read('joined').toString(), '0');
  assert.equal(logText(scratch.read('exec-log')), 'sleep\n4\n');

  // START that comes before it waits is as good.
  const early = await spawnThrough(scratch.path('sock'), ahead('exit 3'), { before: async (connection) => void connection.send(MSG.START) });
  assert.equal(exit(await early.expect(MSG.EXITED)).code, 3);
  await early.closed();

  // Nobody is there any more who could ask for it.
  const third = await spawnThrough(scratch.path('sock'), ahead('exit 0'));
  const left = await waiting(pid);
  third.close();
  await gone(left);

  const fourth = await spawnThrough(scratch.path('sock'), ahead('exit 0'));
  process.kill(await waiting(pid), 'SIGKILL');
  assert.deepEqual(failure(await fourth.expect(MSG.FAILED)), { section: 2, index: 5, errno: 10, extra: SIGKILL });
  await fourth.closed();

  // It would hold the namespaces of a container that has ended.
  const fifth = await spawnThrough(scratch.path('sock'), ahead('exit 0'));
  const last = await waiting(pid);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
  await fifth.closed();
  await gone(last);
  assert.equal(fifth.seen(MSG.STARTED), false);
});

test('an exec outlives the daemon too', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const { shim } = await sleeping(scratch, spawner);
  const second = await spawnThrough(scratch.path('sock'), [
    prepare('exit_file', { path: scratch.path('exec-exit'), sync: 0 }), ...enter(), exec(['/bin/sh', '-c', 'sleep 0.2; exit 8']),
  ]);
  second.close();
  for (let i = 0; ; i++) {
    try {
      assert.equal(scratch.read('exec-exit').readInt32LE(4), 8);
      break;
    } catch (error) {
      if (i > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});

test('an exec with a terminal of the container', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('listen', { path: scratch.path('sock') }), ...container(scratch, { inside: [...withDevpts] }), exec(['/bin/sleep', '60']),
  ]);
  await shim.expect(MSG.STARTED);
  let client!: Awaited<ReturnType<typeof shim.attach>>;
  const second = await spawnThrough(scratch.path('sock'), [
    prepare('stdio', { mode: 2, stdin: 1 }), ...enter(), child('pty', { devpts: -1, slave: SLOT.SLAVE, rows: 30, cols: 90, uid: 0, gid: 5 }),
    child('setsid', {}), child('tty', { slave: SLOT.SLAVE, ctty: 1 }), exec(['/bin/sh', '-c', 'stty size; tty; read x; echo "<$x>"']),
  ], { before: async (connection) => void (client = await connection.attach(ATTACH.STDIN | ATTACH.STDOUT)) });
  await client.until('30 90\r\n');
  client.write('typed\n');
  await client.until('<typed>');
  assert.equal(exit(await second.expect(MSG.EXITED)).code, 0);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});

test('a /dev/ptmx of the container that is something else is refused', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('listen', { path: scratch.path('sock') }),
    ...container(scratch, { inside: [child('symlink', { root: SLOT.ROOT, path: 'dev/ptmx', to: '/dev/null' })] }), exec(['/bin/sleep', '60']),
  ]);
  await shim.expect(MSG.STARTED);
  const second = await spawnThrough(scratch.path('sock'), [
    prepare('stdio', { mode: 2, stdin: 1 }), ...enter(), child('pty', { devpts: -1, slave: SLOT.SLAVE, rows: 0, cols: 0, uid: -1, gid: -1 }), exec(['/bin/true']),
  ]);
  assert.deepEqual(failure(await second.expect(MSG.FAILED)), { section: 2, index: 4, errno: 22, extra: 0 });
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});
