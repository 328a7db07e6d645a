import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { encodePlan } from '#runtime/plan/encode.ts';
import { sealedMemfd, sendWithDescriptors, socketpair } from '#sys/descriptors.ts';
import { CLONE_NEWNS, CLONE_NEWPID } from '#sys/numbers.ts';
import {
  EINVAL, ENOENT, MSG, NO_SECTION, SIGKILL, SIGTERM, Scratch, Spawner, child, cleanup, clone, connectTo, container, exec, exit,
  failure, helper, logRecords, logText, parent, pidOf, prepare, sh,
} from './harness.ts';
import { mountsOf } from '../support/host-mounts.ts';

test('a program in new namespaces on an overlay: output, log, exit record', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }),
    prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('exit_file', { path: scratch.path('exit'), sync: 1 }),
    ...container(scratch),
    exec(['/bin/sh', '-c', 'echo hello $$; hostname; echo bad >&2; exit 7']),
  ]);
  const started = await shim.expect(MSG.STARTED);
  assert.equal(started.seq, 1);
  assert.ok(pidOf(started) > 1);
  assert.deepEqual(exit(await shim.expect(MSG.EXITED)), { code: 7, signal: 0, ooms: 0 });
  await shim.closed();
  assert.equal(logText(scratch.read('log')), 'hello 1\nbox\n');
  assert.equal(logText(scratch.read('log'), 2), 'bad\n');
  const record = scratch.read('exit');
  assert.equal(record.length, 32);
  assert.equal(record.subarray(0, 4).toString(), 'NEXT');
  assert.equal(record.readInt32LE(4), 7);
});

test('the host sees no mount of it', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const before = mountsOf('self', scratch.dir);
  const shim = await spawner.spawn([...container(scratch), exec(['/bin/sleep', '60'])]);
  const pid = pidOf(await shim.expect(MSG.STARTED));
  assert.match(readFileSync(`/proc/${pid}/mounts`, 'utf8'), /^overlay \/ overlay /m);
  assert.deepEqual(mountsOf('self', scratch.dir), before);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  assert.deepEqual(exit(await shim.expect(MSG.EXITED)), { code: 0, signal: SIGKILL, ooms: 0 });
});

test('a signal ends it; the exit record says which', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([prepare('exit_file', { path: scratch.path('exit'), sync: 0 }), clone(), sh('sleep 60 & wait')]);
  await shim.expect(MSG.STARTED);
  shim.send(MSG.SIGNAL, [SIGTERM]);
  assert.equal(exit(await shim.expect(MSG.EXITED)).signal, SIGTERM);
  assert.equal(scratch.read('exit').readInt32LE(8), SIGTERM);
});

test('signals are at their defaults and unblocked in the program', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }), clone(),
    child('exec', { candidates: ['/bin/busybox'], argv: ['cat', '/proc/self/status'], env: [] }),
  ]);
  await shim.expect(MSG.EXITED);
  const status = logText(scratch.read('log'));
  assert.match(status, /^SigBlk:\s0{16}$/m);
  assert.match(status, /^SigIgn:\s0{16}$/m);
  assert.match(status, /^SigCgt:\s0{16}$/m);
});

test('no descriptor of ours reaches the program', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const leaked = openSync('/etc', 'r');
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 1 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('listen', { path: scratch.path('sock') }), clone(), sh('ls -l /proc/$$/fd; exit 0'),
  ], { slots: [leaked] });
  closeSync(leaked);
  await shim.expect(MSG.EXITED);
  const numbers = [...logText(scratch.read('log')).matchAll(/ (\d+) -> (\S+)/g)].map((m) => m[1]);
  assert.deepEqual(numbers, ['0', '1', '2']);
});

test('inherit: a slot becomes the descriptor with this number, whatever had it', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const fd = openSync('/etc/hostname', 'r');
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }), clone(),
    child('inherit', { slot: 0, fd: 4 }), child('inherit', { slot: 0, fd: 3 }), sh('cat <&3; ls /proc/$$/fd; exit 0'),
  ], { slots: [fd] });
  closeSync(fd);
  await shim.expect(MSG.EXITED);
  assert.equal(logText(scratch.read('log')), `${readFileSync('/etc/hostname', 'utf8')}0\n1\n2\n3\n4\n`);
});

test('100,000 environment variables', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const env = Array.from({ length: 100_000 }, (_, i) => `V${i}=x`);
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }), clone(),
    child('rlimit', { resource: 3, soft: 64 << 20, hard: 64 << 20 }),
    child('exec', { candidates: ['/bin/busybox'], argv: ['cat', '/proc/self/environ'], env }),
  ]);
  assert.equal(exit(await shim.expect(MSG.EXITED, 15000)).code, 0);
  assert.equal(logText(scratch.read('log')), env.map((e) => `${e}\0`).join(''));
});

test('exec tries the candidates in order and prefers EACCES', async () => {
  using spawner = new Spawner();
  const tries = (candidates: string[]) => [clone(), child('exec', { candidates, argv: ['true'], env: [] })];
  const good = await spawner.spawn(tries(['/nowhere/true', '/etc/hostname/true', '/bin/true']));
  assert.equal(exit(await good.expect(MSG.EXITED)).code, 0);
  const directory = await spawner.spawn(tries(['/etc', '/nowhere/true']));
  assert.equal(failure(await directory.expect(MSG.FAILED)).errno, 21, 'EISDIR');
  const denied = await spawner.spawn(tries(['/etc/passwd', '/etc', '/nowhere/true']));
  assert.deepEqual(failure(await denied.expect(MSG.FAILED)), { section: 2, index: 1, errno: 13, extra: 0 });
  const missing = await spawner.spawn(tries(['/nowhere/true', '/also/true']));
  assert.equal(failure(await missing.expect(MSG.FAILED)).errno, ENOENT);
  await missing.closed();
});

test('a failure names section, operation and errno, and runs the cleanup', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const made = scratch.path('made');
  const undo = cleanup('rmdir', { path: made });
  const cases = [
    { ops: [prepare('mkdir', { path: made, mode: 0o755 }), prepare('write', { path: '/no/such', flags: 0, data: 'x' }), clone(), sh(''), undo], expected: { section: 0, index: 1 } },
    { ops: [prepare('mkdir', { path: made, mode: 0o755 }), clone(), parent('rmdir', { path: '/no/such' }), sh(''), undo], expected: { section: 1, index: 2 } },
    { ops: [prepare('mkdir', { path: made, mode: 0o755 }), clone(), child('chdir', { path: '/no/such', create: 0 }), sh(''), undo], expected: { section: 2, index: 2 } },
  ];
  for (const { ops, expected } of cases) {
    const shim = await spawner.spawn(ops);
    assert.deepEqual(failure(await shim.expect(MSG.FAILED)), { ...expected, errno: ENOENT, extra: 0 });
    await shim.closed();
    assert.equal(existsSync(made), false);
  }
});

test('tolerated errors skip what depends on them', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('rmdir', { path: '/no/such' }, { tolerate: [ENOENT], skip: 1 }),
    prepare('mkdir', { path: scratch.path('skipped'), mode: 0o700 }),
    prepare('mkdir', { path: scratch.path('made'), mode: 0o700 }),
    clone(), sh(''),
  ]);
  await shim.expect(MSG.EXITED);
  assert.deepEqual(readdirSync(scratch.dir), ['made']);
});

test('a child killed before its exec is a failed start', async () => {
  using spawner = new Spawner();
  const shim = await spawner.spawn([clone(), child('await', { kind: 0, path: '', slot: -1 }), sh('')]);
  await shim.expect(MSG.CREATED);
  shim.send(MSG.SIGNAL, [SIGKILL]);
  assert.deepEqual(failure(await shim.expect(MSG.FAILED)), { section: 2, index: 1, errno: 10, extra: SIGKILL });
});

test('a malformed plan is refused before anything is done', async () => {
  using spawner = new Spawner();
  for (const bytes of [new Uint8Array(0), new Uint8Array(16), new Uint8Array(4096).fill(0xff)]) {
    const shim = await spawner.spawn(bytes);
    assert.deepEqual(failure(await shim.expect(MSG.FAILED)), { section: NO_SECTION, index: NO_SECTION, errno: EINVAL, extra: 1 });
    await shim.closed();
  }
  const noClone = await spawner.spawn([prepare('mkdir', { path: '/tmp/never', mode: 0o755 })]);
  assert.equal(failure(await noClone.expect(MSG.FAILED)).extra, 8);
});

test('create, then start', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('pid_file', { path: scratch.path('pid') }), prepare('listen', { path: scratch.path('sock') }),
    ...container(scratch), child('await', { kind: 0, path: '', slot: -1 }), exec(['/bin/echo', 'late']),
  ]);
  const created = await shim.expect(MSG.CREATED);
  assert.equal(scratch.read('pid').toString(), String(pidOf(created)));
  assert.equal(statSync(scratch.path('sock')).mode & 0o777, 0o600);
  const other = await connectTo(scratch.path('sock'));
  other.send(MSG.SUBSCRIBE);
  assert.equal(pidOf(await other.expect(MSG.CREATED)), pidOf(created));
  assert.equal(shim.seen(MSG.STARTED), false);
  other.send(MSG.START);
  assert.equal(pidOf(await shim.expect(MSG.STARTED)), pidOf(created));
  await other.expect(MSG.STARTED);
  assert.equal(exit(await other.expect(MSG.EXITED)).code, 0);
  await shim.expect(MSG.EXITED);
  await shim.closed();
  assert.equal(existsSync(scratch.path('sock')), false);
  assert.equal(logText(scratch.read('log')), 'late\n');
});

test('the container outlives the daemon: output, exit record, and a new daemon', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('exit_file', { path: scratch.path('exit'), sync: 0 }), prepare('listen', { path: scratch.path('sock') }),
    ...container(scratch), exec(['/bin/sh', '-c', 'sleep 0.3; echo still here; sleep 0.3; exit 3']),
  ]);
  shim.close(); // before STARTED
  spawner.end();
  await new Promise((resolve) => setTimeout(resolve, 150));
  const daemon = await connectTo(scratch.path('sock'));
  daemon.send(MSG.SUBSCRIBE);
  await daemon.expect(MSG.STARTED);
  assert.equal(exit(await daemon.expect(MSG.EXITED)).code, 3);
  assert.equal(scratch.read('exit').readInt32LE(4), 3);
  assert.equal(logText(scratch.read('log')), 'still here\n');
});

test('a trace stamps every operation', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const ops = [...container(scratch), exec(['/bin/true']), cleanup('rmdir', { path: scratch.path('work/work') })];
  const shim = await spawner.spawn(ops, { trace: true });
  const first = (await shim.expect(MSG.TRACE)).body;
  assert.equal(first.getUint32(0, true), ops.length - 1);
  const indexes = Array.from({ length: ops.length - 1 }, (_, i) => first.getUint32(8 + 24 * i, true));
  assert.deepEqual(indexes, ops.slice(1).map((_, i) => i));
  for (let i = 0; i < ops.length - 2; i++) {
    assert.ok(first.getBigUint64(8 + 24 * i + 8, true) <= first.getBigUint64(8 + 24 * i + 16, true));
  }
  await shim.expect(MSG.STARTED);
  const last = (await shim.expect(MSG.TRACE)).body;
  assert.equal(last.getUint32(8, true), ops.length - 1);
  await shim.expect(MSG.EXITED);
});

test('the log is rotated between records', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 200, maxFiles: 3 }),
    clone(), sh('for i in 1 2 3 4 5 6 7 8 9; do echo "line $i 0123456789012345678901234567890123456789"; sleep 0.02; done'),
  ]);
  await shim.expect(MSG.EXITED);
  assert.deepEqual(readdirSync(scratch.dir).sort(), ['log', 'log.1', 'log.2']);
  let text = '';
  for (const name of ['log.2', 'log.1', 'log']) {
    assert.ok(statSync(scratch.path(name)).size <= 200);
    assert.ok(logRecords(scratch.read(name)).length >= 1);
    text += logText(scratch.read(name));
  }
  assert.match(text, /line 9 .*\n$/);
});

test('pid 1 duty: reaps orphans, forwards signals, ends as its child', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const log = () => logText(scratch.read('log'));
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    ...container(scratch), child('init', { argv: ['/sbin/reaper', '--', 'sh'] }),
    exec(['/bin/sh', '-c', 'trap "echo got it; exit 5" TERM; (sleep 0.05 & exit); sleep 0.2; ps -o pid,stat,comm,args; echo $$; while :; do sleep 0.05; done']),
  ]);
  await shim.expect(MSG.STARTED);
  while (!log().includes('\n2\n')) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.match(log(), /^ +1 S +reaper +(\{reaper\} )?\/sbin\/reaper -- sh$/m);
  assert.doesNotMatch(log(), / Z /);
  shim.send(MSG.SIGNAL, [SIGTERM]);
  assert.deepEqual(exit(await shim.expect(MSG.EXITED)), { code: 5, signal: 0, ooms: 0 });
  assert.match(log(), /got it\n$/);
});

test('pid 1 duty: a killed child gives 128 + the signal', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([...container(scratch), child('init', { argv: ['/sbin/reaper', '--', 'sh'] }), exec(['/bin/sh', '-c', 'kill -9 $$'])]);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 137);
});

test('hooks get their input, their environment, and a deadline', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const hook = (script: string, timeoutMs = 5000) =>
    ({ argv: ['sh', '-c', script], env: [`OUT=${scratch.path('out')}`], stdin: '{"pid":\0PID\0,"id":"x"}', timeoutMs, path: '/bin/busybox' });
  const shim = await spawner.spawn([clone(CLONE_NEWNS), parent('hook', hook('busybox cat >$OUT')), sh('exit 0')]);
  const pid = pidOf(await shim.expect(MSG.STARTED));
  assert.equal(scratch.read('out').toString(), `{"pid":${pid},"id":"x"}`);
  const failed = await spawner.spawn([clone(), parent('hook', hook('exit 3')), sh('')]);
  assert.deepEqual(failure(await failed.expect(MSG.FAILED)), { section: 1, index: 1, errno: 121, extra: 3 << 8 });
  const slow = await spawner.spawn([clone(), parent('hook', hook('sleep 5', 50)), sh('')]);
  assert.equal(failure(await slow.expect(MSG.FAILED)).errno, 110);
  const missing = await spawner.spawn([clone(), parent('hook', { ...hook(''), path: '/no/hook' }), sh('')]);
  assert.equal(failure(await missing.expect(MSG.FAILED)).errno, ENOENT);
});

test('wait_parent: child and parent section run at the same time until there, and each failure is its own', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const [early, late] = [scratch.path('early'), scratch.path('late')];
  const hook = (script: string) => parent('hook', { argv: ['sh', '-c', script], env: [], stdin: '', timeoutMs: 20_000, path: '/bin/busybox' });
  const begun = child('mkdir', { path: early, mode: 0o755 });
  // Each waits for what only the other does.
  const seen = hook(`until [ -d ${early} ]; do busybox sleep 0.01; done; busybox mkdir ${late}`);
  const undo = [cleanup('rmdir', { path: early }), cleanup('rmdir', { path: late })];
  const wait = child('wait_parent', {});
  const both = await spawner.spawn([clone(), seen, begun, wait, child('rmdir', { path: late }), sh('exit 4'), ...undo], { trace: true });
  assert.equal((await both.expect(MSG.TRACE)).body.getUint32(0, true), 6);
  assert.equal(exit(await both.expect(MSG.EXITED)).code, 4);
  await both.closed();
  // The child's failure, which comes first, is told with its own operation's index although the shim had others after it.
  const failing = await spawner.spawn([clone(), seen, parent('rmdir', { path: late }), begun, child('rmdir', { path: '/no/such' }), wait, sh(''), ...undo]);
  assert.deepEqual(failure(await failing.expect(MSG.FAILED)), { section: 2, index: 4, errno: ENOENT, extra: 0 });
  await failing.closed();
  // So it is when the shim's own operations fail because the child has gone.
  const gone = hook('until for pid in $(busybox cat /proc/$PPID/task/$PPID/children); do busybox grep -q "^State:.Z" /proc/$pid/status && break; done; do busybox sleep 0.01; done');
  const orphaned = await spawner.spawn([clone(), gone, parent('rmdir', { path: '/no/such' }), begun, child('rmdir', { path: '/no/such/either' }), wait, sh(''), ...undo]);
  assert.deepEqual(failure(await orphaned.expect(MSG.FAILED)), { section: 2, index: 4, errno: ENOENT, extra: 0 });
  await orphaned.closed();
  const refused = await spawner.spawn([clone(), seen, parent('rmdir', { path: '/no/such' }), begun, wait, sh(''), ...undo]);
  assert.deepEqual(failure(await refused.expect(MSG.FAILED)), { section: 1, index: 2, errno: ENOENT, extra: 0 });
  await refused.closed();
  assert.deepEqual([existsSync(early), existsSync(late)], [false, false]);
  // Without a parent section there is nothing to wait for; a second one would wait for ever.
  const alone = await spawner.spawn([clone(), wait, sh('exit 5')]);
  assert.equal(exit(await alone.expect(MSG.EXITED)).code, 5);
  assert.equal(failure(await (await spawner.spawn([clone(), wait, wait, sh('')])).expect(MSG.FAILED)).section, NO_SECTION);
});

test('a user namespace: the parent section writes the maps', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const CLONE_NEWUSER = 0x10000000;
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    clone(CLONE_NEWUSER | CLONE_NEWPID),
    parent('child_write', { name: 'uid_map', data: '0 100000 65536\n' }),
    parent('child_write', { name: 'setgroups', data: 'deny' }),
    parent('child_write', { name: 'gid_map', data: '0 100000 65536\n' }),
    child('setresgid', { gid: 0 }), child('setresuid', { uid: 0 }), child('assert_uid', { uid: 0 }), sh('id -u; cat /proc/self/uid_map'),
  ]);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
  assert.match(logText(scratch.read('log')), /^0\n\s+0\s+100000\s+65536\n$/);
});

test('what the shim holds is small, and nothing of it stays', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const env = Array.from({ length: 20_000 }, (_, i) => `VARIABLE_${i}=${'x'.repeat(40)}`);
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 1 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('listen', { path: scratch.path('sock') }), ...container(scratch),
    child('exec', { candidates: ['/bin/cat'], argv: ['cat'], env }),
    cleanup('rmdir', { path: scratch.path('work/work') }),
  ]);
  const pid = pidOf(await shim.expect(MSG.STARTED));
  const shimPid = /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const rollup = readFileSync(`/proc/${shimPid}/smaps_rollup`, 'utf8');
  const pss = Number(/^Pss:\s+(\d+) kB/m.exec(rollup)![1]);
  assert.ok(pss <= 200, `the shim's PSS is ${pss} kB`);
  shim.send(MSG.CLOSE_STDIN);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
  await shim.closed();
  for (let i = 0; existsSync(`/proc/${shimPid}`); i++) {
    assert.ok(i < 100, 'the shim became a zombie');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal(existsSync(scratch.path('work/work')), false);
});

test('out-of-memory kills are counted and announced', async () => {
  using spawner = new Spawner();
  const v2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const group = `/sys/fs/cgroup/${v2 ? '' : 'memory/'}naru-test-${process.pid}`;
  const limit = v2 ? 'memory.max' : 'memory.limit_in_bytes';
  if (v2) mkdirSync(group, { recursive: true });
  const shim = await spawner.spawn([
    prepare('mkdir', { path: group, mode: 0o755 }, { tolerate: [17] }),
    prepare('write', { path: `${group}/${limit}`, flags: 0, data: String(8 << 20) }),
    prepare('oom_watch', { oomFile: v2 ? `${group}/memory.events` : `${group}/memory.oom_control`, eventControl: v2 ? '' : `${group}/cgroup.event_control` }),
    clone(), parent('write_pid', { path: `${group}/cgroup.procs` }),
    sh('a=0123456789abcdef; while :; do a="$a$a"; done'),
    cleanup('kill_procs', { path: `${group}/cgroup.procs`, timeoutMs: 1000 }), cleanup('rmdir', { path: group }),
  ]);
  const oom = await shim.expect(MSG.OOM, 10000);
  assert.ok(oom.body.getUint32(0, true) >= 1);
  const ended = exit(await shim.expect(MSG.EXITED));
  assert.equal(ended.signal, SIGKILL);
  assert.ok(ended.ooms >= 1);
  assert.equal(existsSync(group), false);
});

test('a failure is heard from a shim that left with messages unread', () => {
  const [mine, theirs] = socketpair('seqpacket');
  const plan = sealedMemfd('plan', encodePlan({ ops: [prepare('mkdir', { path: '/nonesuch/x', mode: 0o755 }), clone(), exec(['/bin/true'])] }));
  assert.ok(sendWithDescriptors(mine, new Uint8Array(new Uint32Array([MSG.SIGNAL, 1, 0]).buffer), []) > 0);
  // Ours is read only when the shim is gone.
  spawnSync(helper(), ['run'], { stdio: ['ignore', 'ignore', 'inherit', theirs, plan] });
  closeSync(theirs);
  closeSync(plan);
  const message = Buffer.alloc(256);
  assert.ok(readSync(mine, message) > 0);
  assert.equal(message.readUInt32LE(0), MSG.FAILED);
  closeSync(mine);
});

test('an exit is told once its record is in place; then record and directory go to the disk, if that was asked for', () => {
  for (const sync of [1, 0]) {
    using scratch = new Scratch();
    const [mine, theirs] = socketpair('seqpacket');
    const plan = sealedMemfd('plan', encodePlan({ ops: [prepare('exit_file', { path: scratch.path('exit'), sync }), clone(), exec(['/bin/true'])] }));
    const log = scratch.path('calls');
    spawnSync('strace', ['-f', '-qq', '-y', '-o', log, '-e', 'trace=renameat2,sendmsg,fsync', helper(), 'run'], { stdio: ['ignore', 'ignore', 'inherit', theirs, plan] });
    for (const fd of [mine, theirs, plan]) closeSync(fd);
    const calls = scratch.read('calls').toString();
    const places = [/renameat2\(.*exit\.tmp".*exit"/, /sendmsg\(.*iov_base="g\\0/, new RegExp(`fsync\\(\\d+<${scratch.path('exit')}>\\) += 0`), new RegExp(`fsync\\(\\d+<${scratch.dir}>\\) += 0`)].map((call) => calls.search(call));
    assert.deepEqual(places.map((at) => at >= 0), [true, true, sync === 1, sync === 1], calls);
    if (sync === 1) assert.deepEqual(places.toSorted((a, b) => a - b), places, calls);
  }
});

test('the helper is static, without interpreter or libraries, and smaller than 200 KiB', () => {
  const program = readFileSync(helper());
  assert.ok(program.byteLength < 200 << 10, `${program.byteLength} bytes`);
  const [offset, size, count] = [Number(program.readBigUInt64LE(32)), program.readUInt16LE(54), program.readUInt16LE(56)];
  const types = Array.from({ length: count }, (_, i) => program.readUInt32LE(offset + i * size));
  assert.ok(types.includes(1), 'PT_LOAD');
  assert.ok(!types.includes(2) && !types.includes(3), 'neither PT_DYNAMIC nor PT_INTERP');
  assert.equal(program.readUInt16LE(60), program.readUInt16LE(62) + 1, 'section names come last: no symbol table');
});
