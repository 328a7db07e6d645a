import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { resolverTable } from '#net/dns/resolver-table.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import { ANY_ERRNO, type PlanOp } from '#runtime/plan/plan.ts';
import { sealedMemfd, socketpair } from '#sys/descriptors.ts';
import { CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MS_PRIVATE, MS_REC } from '#sys/numbers.ts';
import {
  ENOENT, MSG, SIGKILL, SLOT, Scratch, Spawner, child, cleanup, clone, container, exec, exit, failure, helper, listenUnix, logText, parent, pidOf, prepare, receive, sh,
} from './harness.ts';

const output = (scratch: Scratch): PlanOp[] => [
  prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
];

/** Run to the end: what it printed. */
async function run(scratch: Scratch, ops: readonly PlanOp[], slots: readonly number[] = []): Promise<string> {
  using spawner = new Spawner();
  const shim = await spawner.spawn([...output(scratch), ...ops], { slots });
  const ended = exit(await shim.expect(MSG.EXITED));
  const text = logText(scratch.read('log'));
  assert.equal(ended.code, 0, text + logText(scratch.read('log'), 2));
  return text;
}

async function fails(ops: readonly PlanOp[]): Promise<ReturnType<typeof failure>> {
  using spawner = new Spawner();
  const shim = await spawner.spawn(ops);
  return failure(await shim.expect(MSG.FAILED));
}

/** RTM_NEWLINK: interface `index` (patched where 0) up. */
function linkUp(seq: number, index: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setUint32(0, 32, true);
  view.setUint16(4, 16, true); // RTM_NEWLINK
  view.setUint16(6, 5, true); // REQUEST | ACK
  view.setUint32(8, seq, true);
  view.setInt32(20, index, true);
  view.setUint32(24, 1, true);
  view.setUint32(28, 1, true);
  return new Uint8Array(view.buffer);
}

test('netlink: a batch in the new network namespace, an interface found by name', async () => {
  using scratch = new Scratch();
  const text = await run(scratch, [
    clone(CLONE_NEWNET),
    child('netlink', { protocol: 0, acks: 1, batch: linkUp(1, 0), patches: [2, 20, 1], names: ['unused', 'lo'] }),
    sh('busybox ip link show lo'),
  ]);
  assert.match(text, /LOOPBACK,UP/);
});

test('netlink: the first error names the message', async () => {
  const batch = new Uint8Array(96);
  batch.set(linkUp(11, 1));
  batch.set(linkUp(12, 4242), 32);
  batch.set(linkUp(13, 1), 64);
  const error = await fails([clone(CLONE_NEWNET), child('netlink', { protocol: 0, acks: 3, batch, patches: [], names: [] }), sh('')]);
  assert.deepEqual(error, { section: 2, index: 1, errno: 19, extra: 1 });
  const outOfRange = await fails([clone(CLONE_NEWNET), child('netlink', { protocol: 0, acks: 1, batch: linkUp(1, 0), patches: [2, 29, 0], names: ['lo'] }), sh('')]);
  assert.equal(outOfRange.errno, 34);
});

test('netlink: the child\'s pid and a namespace\'s descriptor are patched in', async () => {
  using scratch = new Scratch();
  // One veth pair, its peer made in the child's namespace: by pid, then by descriptor.
  const attr = (type: number, body: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array((4 + body.length + 3) & ~3);
    new DataView(bytes.buffer).setUint16(0, 4 + body.length, true);
    new DataView(bytes.buffer).setUint16(2, type, true);
    bytes.set(body, 4);
    return bytes;
  };
  const text = (s: string): Uint8Array => new TextEncoder().encode(`${s}\0`);
  const veth = (name: string, peer: string, nsAttr: number): Uint8Array => {
    const inner = Buffer.concat([new Uint8Array(16), attr(3, text(peer)), attr(nsAttr, new Uint8Array(4))]);
    const body = Buffer.concat([
      new Uint8Array(16), attr(3, text(name)), attr(18, Buffer.concat([attr(1, text('veth')), attr(2, attr(1, inner))])),
    ]);
    const message = Buffer.concat([new Uint8Array(16), body]);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(16, 4);
    message.writeUInt16LE(0x605, 6);
    message.writeUInt32LE(1, 8);
    return message;
  };
  const byPid = veth('nt-a0', 'in0', 19), byFd = veth('nt-a1', 'in1', 28);
  const out = await run(scratch, [
    clone(CLONE_NEWNET),
    parent('netlink', { protocol: 0, acks: 1, batch: byPid, patches: [3, byPid.length - 4, 0], names: [] }),
    parent('child_ns', { slot: 40, name: 'net' }),
    parent('netlink', { protocol: 0, acks: 1, batch: byFd, patches: [1, byFd.length - 4, 40], names: [] }),
    sh('busybox ip link'),
  ]);
  assert.match(out, /in0@/);
  assert.match(out, /in1@/);
});

test('kill_procs empties a cgroup, rmdir removes it', async () => {
  using scratch = new Scratch();
  const group = existsSync('/sys/fs/cgroup/pids/cgroup.procs') ? `/sys/fs/cgroup/pids/naru-kill-${process.pid}` : `/sys/fs/cgroup/naru-kill-${process.pid}`;
  const started = Date.now();
  await run(scratch, [
    prepare('mkdir', { path: group, mode: 0o755 }), clone(), parent('write_pid', { path: `${group}/cgroup.procs` }),
    sh('for i in 1 2 3 4; do busybox setsid sleep 60 </dev/null >/dev/null 2>&1 & done; sleep 0.05'),
    cleanup('kill_procs', { path: `${group}/cgroup.procs`, timeoutMs: 2000 }), cleanup('rmdir', { path: group }),
  ]);
  assert.equal(existsSync(group), false);
  assert.ok(Date.now() - started < 2000);
});

test('the console goes to a console socket (OCI), and the shim lets go of it', async () => {
  using scratch = new Scratch();
  const path = scratch.path('console.sock');
  const accept = listenUnix(path);
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 2, stdin: 1 }),
    clone(), child('fs_mount', { slot: SLOT.PTS, type: 'devpts', options: ['newinstance', 'ptmxmode=0666'], attr: 0 }),
    child('pty', { devpts: SLOT.PTS, slave: SLOT.SLAVE, rows: 12, cols: 34, uid: -1, gid: -1 }),
    child('master', { slot: 41 }), child('send_fd', { path, slot: 41, name: '/dev/ptmx', socket: -1 }), child('close', { slot: 41 }),
    child('setsid', {}), child('tty', { slave: SLOT.SLAVE, ctty: 1 }), sh('stty size; sleep 5'),
  ]);
  const socket = accept();
  const { text, descriptors } = receive(socket);
  assert.equal(text, '/dev/ptmx');
  await shim.expect(MSG.STARTED);
  const bytes = Buffer.alloc(64);
  let said = '';
  while (!said.includes('\n')) said += bytes.toString('utf8', 0, readSync(descriptors[0]!, bytes));
  assert.equal(said, '12 34\r\n');
  closeSync(descriptors[0]!); // the only one: the session is hung up
  closeSync(socket);
  assert.equal(exit(await shim.expect(MSG.EXITED)).signal, 1);
});

test('identity: groups, ids, capabilities, limits, umask, no_new_privs', async () => {
  using scratch = new Scratch();
  const out = await run(scratch, [
    clone(CLONE_NEWUTS), child('cap_bound', { keep: 0x20 }), child('prctl', { option: 8, a2: 1, a3: 0, a4: 0, a5: 0 }),
    child('setgroups', { gids: [7, 9] }), child('setresgid', { gid: 33 }), child('setresuid', { uid: 44 }),
    child('capset', { effective: 0x20, permitted: 0x20, inheritable: 0x20 }), child('cap_ambient', { mask: 0x20 }),
    child('rlimit', { resource: 7, soft: 99, hard: 99 }), child('umask', { mask: 0o27 }), child('prctl', { option: 38, a2: 1, a3: 0, a4: 0, a5: 0 }),
    sh('cat /proc/self/status; umask; ulimit -n'),
  ]);
  assert.match(out, /^Uid:\t44\t44\t44\t44$/m);
  assert.match(out, /^Gid:\t33\t33\t33\t33$/m);
  assert.match(out, /^Groups:\t7 9 $/m);
  for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) assert.match(out, new RegExp(`^Cap${set}:\\t0{14}20$`, 'm'));
  assert.match(out, /^NoNewPrivs:\t1$/m);
  assert.match(out, /^0027\n99$/m);
});

test('the shim has its name, keyrings and schedulers are set', async () => {
  using spawner = new Spawner();
  const affinity = new Uint8Array(8);
  affinity[0] = 1;
  const attr = new DataView(new ArrayBuffer(48));
  attr.setUint32(0, 48, true);
  attr.setUint32(4, 3, true); // SCHED_BATCH
  const shim = await spawner.spawn([
    prepare('shim', { comm: 'my-shim', oomScoreAdj: 7 }), clone(), child('keyring', { name: '_ses.test' }, { tolerate: [38, 1] }),
    child('sched_setaffinity', { mask: affinity }), child('sched_setattr', { attr: new Uint8Array(attr.buffer) }),
    child('ioprio_set', { ioprio: (2 << 13) | 5 }), child('personality', { persona: 0x0040000 }),
    child('setsid', {}), sh('sleep 60'),
  ]);
  const pid = pidOf(await shim.expect(MSG.STARTED));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const shimPid = /^PPid:\t(\d+)/m.exec(status)![1]!;
  assert.equal(readFileSync(`/proc/${shimPid}/comm`, 'utf8'), 'my-shim\n');
  assert.equal(readFileSync(`/proc/${shimPid}/oom_score_adj`, 'utf8'), '7\n');
  assert.match(status, /^Cpus_allowed:\t1$/m);
  assert.equal(readFileSync(`/proc/${pid}/personality`, 'utf8').trim(), '00040000');
  assert.equal(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[38], '3');
  shim.send(MSG.SIGNAL, [SIGKILL]);
  await shim.expect(MSG.EXITED);
});

test('seccomp: a filter, and one whose listener goes to a socket', async () => {
  using scratch = new Scratch();
  const instruction = (code: number, jt: number, jf: number, k: number): number[] => [code & 255, code >> 8, jt, jf, k & 255, (k >> 8) & 255, (k >> 16) & 255, k >>> 24];
  const mkdirNumber = process.arch === 'x64' ? 83 : 34;
  const program = Uint8Array.from([
    ...instruction(0x20, 0, 0, 0), ...instruction(0x15, 0, 1, mkdirNumber), ...instruction(6, 0, 0, 0x00050000 | 95), ...instruction(6, 0, 0, 0x7fff0000),
  ]);
  const out = await run(scratch, [clone(), child('seccomp', { flags: 0, program, listener: -1, state: '' }), sh('busybox mkdir /tmp/never 2>&1 || grep Seccomp: /proc/self/status')]);
  assert.match(out, /Operation not supported\nSeccomp:\t2\n/);

  const [mine, theirs] = socketpair('stream');
  using second = new Scratch();
  await run(second, [clone(), child('seccomp', { flags: 8, program, listener: 0, state: 'state!' }), sh('exit 0')], [theirs]);
  closeSync(theirs);
  const { text, descriptors } = receive(mine);
  assert.equal(text, 'state!');
  assert.equal(readlinkSync(`/proc/self/fd/${descriptors[0]}`), 'anon_inode:seccomp notify');
  for (const fd of [mine, ...descriptors]) closeSync(fd);
});

/** A filter that makes the kernel seem older: these calls give ENOSYS. */
function without(...numbers: number[]): Uint8Array {
  const instruction = (code: number, jt: number, jf: number, k: number): number[] =>
    [code & 255, code >> 8, jt, jf, k & 255, (k >> 8) & 255, (k >> 16) & 255, k >>> 24];
  return Uint8Array.from([
    ...instruction(0x20, 0, 0, 0), ...numbers.flatMap((nr) => [...instruction(0x15, 0, 1, nr), ...instruction(6, 0, 0, 0x00050000 | 38)]),
    ...instruction(6, 0, 0, 0x7fff0000),
  ]);
}
const CLONE3 = 435, MOUNT_SETATTR = 442;

test('an older kernel: clone without clone3', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('seccomp', { flags: 0, program: without(CLONE3), listener: -1, state: '' }),
    ...container(scratch), child('init', { argv: ['/sbin/reaper', '--', 'sh'] }), exec(['/bin/sh', '-c', 'sleep 60']),
  ]);
  const pid = pidOf(await shim.expect(MSG.STARTED));
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\t\d+\t1$/m);
  shim.send(MSG.SIGNAL, [SIGKILL]); // through the pidfd
  assert.equal(exit(await shim.expect(MSG.EXITED)).signal, SIGKILL);
});

test('an older kernel: read-only paths without mount_setattr', async () => {
  using scratch = new Scratch();
  const ops = container(scratch, {
    inside: [
      child('seccomp', { flags: 0, program: without(MOUNT_SETATTR), listener: -1, state: '' }),
      child('readonly', { root: SLOT.ROOT, path: 'proc/sys', recursive: 0 }), child('readonly', { root: SLOT.ROOT, path: 'bin/busybox', recursive: 0 }),
    ],
  });
  const out = await run(scratch, [...ops, exec(['/bin/sh', '-c', 'cat /proc/mounts; echo x >/bin/busybox; exit 0'])]);
  assert.match(out, /^\S+ \/proc\/sys proc ro,nosuid,nodev,noexec,relatime/m);
  assert.match(out, / \/bin\/busybox overlay ro,/);
});

test('move_root enters a root without pivot_root', async () => {
  using scratch = new Scratch();
  const ops = container(scratch).map((o) => (o.name === 'pivot' ? child('move_root', { root: SLOT.ROOT }) : o));
  assert.match(await run(scratch, [...ops, exec(['/bin/sh', '-c', 'ls /; cat /proc/1/comm'])]), /^bin\ndev\netc\nproc\nsys\ntmp\n(sh|cat)\n$/);
});

test('unshare and a time namespace\'s offsets, before the clone', async () => {
  using scratch = new Scratch();
  const out = await run(scratch, [
    prepare('unshare', { flags: 0x80 }), prepare('write', { path: '/proc/self/timens_offsets', flags: 0, data: 'boottime 1000000 0\n' }),
    clone(), sh('cat /proc/uptime'),
  ]);
  assert.ok(Number(out.split('.')[0]) > 1_000_000);
});

test('files: fifo, chmod, chown, open, write_at, close, unlink', async () => {
  using scratch = new Scratch();
  const at = (name: string): string => scratch.path('d', name);
  const out = await run(scratch, [
    prepare('mkdir', { path: scratch.path('d'), mode: 0o700 }), prepare('mkfifo', { path: at('fifo'), mode: 0o640 }),
    prepare('write', { path: at('gone'), flags: 0o100, data: 'x' }), prepare('unlink', { path: at('gone') }),
    prepare('write', { path: at('file'), flags: 0o100, data: 'before' }), prepare('chmod', { path: at('file'), mode: 0o4711 }),
    prepare('open', { slot: 20, at: -1, path: scratch.path('d'), flags: 0o10000000, mode: 0, resolve: 0 }),
    prepare('write_at', { at: 20, path: 'file', resolve: 8, data: 'after!' }), prepare('close', { slot: 20 }),
    prepare('chown', { path: at('fifo'), uid: 5, gid: 6 }), clone(), sh(`cd ${scratch.path('d')}; busybox stat -c '%n %a %u %g %F' fifo file; cat file`),
  ]);
  assert.equal(out, 'fifo 640 5 6 fifo\nfile 4711 0 0 regular file\nafter!');
  assert.deepEqual(readdirSync(scratch.path('d')).sort(), ['fifo', 'file']);
  assert.equal((await fails([prepare('close', { slot: 20 }), clone(), sh('')])).errno, 9);
});

test('a label is only written to a real procfs (CVE-2019-16884)', async () => {
  using scratch = new Scratch();
  writeFileSync(scratch.path('exec'), '');
  const error = await fails([clone(), child('label', { path: scratch.path('exec'), label: 'x' }), sh('')]);
  assert.equal(error.errno, 1);
  assert.equal(scratch.read('exec').length, 0);
});

test('chdir makes the working directory when asked to', async () => {
  using scratch = new Scratch();
  assert.equal(await run(scratch, [...container(scratch), child('chdir', { path: '/srv/app/x', create: 1 }), exec(['/bin/sh', '-c', 'pwd'])]), '/srv/app/x\n');
});

test('mount and umount in a private mount namespace', async () => {
  using scratch = new Scratch();
  mkdirSync(scratch.path('m'));
  const out = await run(scratch, [
    clone(CLONE_NEWNS), child('mount', { source: '', target: '/', type: '', flags: MS_REC | MS_PRIVATE, data: '' }),
    child('mount', { source: 'none', target: scratch.path('m'), type: 'tmpfs', flags: 0, data: 'size=1m' }),
    child('write', { path: scratch.path('m/x'), flags: 0o100, data: '' }), child('umount', { path: scratch.path('m'), flags: 2 }),
    sh(`ls ${scratch.path('m')}`),
  ]);
  assert.equal(out, '');
});

test('a plan whose child executes nothing ends with 0', async () => {
  using scratch = new Scratch();
  const path = scratch.path('done');
  await run(scratch, [clone(CLONE_NEWPID), child('write', { path, flags: 0o100, data: '' })]);
  assert.equal(existsSync(path), true);
});

test('check accepts what the encoder writes, of every operation, and refuses what was cut', () => {
  const check = (bytes: Uint8Array): number | null => {
    const plan = sealedMemfd('plan', bytes);
    const { status } = spawnSync(helper(), ['check'], { stdio: ['ignore', 'ignore', 'inherit', 'ignore', plan] });
    closeSync(plan);
    return status;
  };
  const bytes = encodePlan({ ops: [prepare('mkdir', { path: '/x', mode: 1 }), clone(), sh('true')] });
  assert.equal(check(bytes), 0);
  for (const cut of [0, 8, 15, 16, 40, bytes.length - 8]) assert.equal(check(bytes.subarray(0, cut)), 1);
  const flipped = Uint8Array.from(bytes);
  flipped[16 + 16 + 3] = 0xff; // an offset far away
  assert.equal(check(flipped), 1);
});

test('run: one plan on given descriptors', async () => {
  using scratch = new Scratch();
  const { Connection } = await import('./harness.ts');
  const { spawn } = await import('node:child_process');
  const [mine, theirs] = socketpair('seqpacket');
  const plan = sealedMemfd('plan', encodePlan({
    ops: [prepare('stdio', { mode: 3, stdin: 0 }), clone(), sh('cat; echo out; echo err >&2; exit 2')],
  }));
  writeFileSync(scratch.path('in'), 'in\n');
  const input = openSync(scratch.path('in'), 'r'), out = openSync(scratch.path('out'), 'w'), err = openSync(scratch.path('err'), 'w');
  const connection = await Connection.of(mine);
  spawn(helper(), ['run'], { stdio: ['ignore', 'ignore', 'ignore', theirs, plan, input, out, err] });
  for (const fd of [theirs, plan, input, out, err]) closeSync(fd);
  assert.equal(exit(await connection.expect(MSG.EXITED)).code, 2);
  assert.equal(scratch.read('out').toString(), 'in\nout\n');
  assert.equal(scratch.read('err').toString(), 'err\n');
});

test('socket, its port, send_fds: a server outside gets sockets from within', async () => {
  using scratch = new Scratch();
  const loopback = Uint8Array.from([2, 0, 0, 0, 127, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0]);
  const path = scratch.path('taker.sock');
  const accept = listenUnix(path, 'seqpacket');
  const table = resolverTable();
  const patches = table.writer.labels.flatMap(({ name, offset }) => [4, offset, name === 'udp' ? 40 : 41]);
  const ECONNREFUSED = 111;
  const rules = await run(scratch, [
    clone(CLONE_NEWNET),
    child('netlink', { protocol: 0, acks: 1, batch: linkUp(1, 1), patches: [], names: [] }),
    child('socket', { slot: 40, domain: 2, type: 2, address: loopback, backlog: 0 }),
    child('socket', { slot: 41, domain: 2, type: 1, address: loopback, backlog: 3 }),
    child('netlink', { protocol: 12, acks: 1, batch: table.writer.finish(), patches, names: [] }),
    child('send_fds', { path, slots: [40, 41], data: 'hello' }),
    child('send_fds', { path: scratch.path('nobody'), slots: [40], data: 'x' }, { tolerate: [2, ECONNREFUSED] }),
    child('send_fds', { path: scratch.path('nobody'), slots: [40], data: 'x' }, { tolerate: [ANY_ERRNO] }),
    child('exec', { candidates: ['/bin/sh'], argv: ['sh', '-c', 'nft list ruleset; ss -lunH'], env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'] }),
  ]);
  const port = /127\.0\.0\.11:(\d+)/.exec(rules)?.[1];
  assert.match(rules, new RegExp(`ip daddr 127\\.0\\.0\\.11 udp dport 53 notrack udp dport set ${port} `), rules);
  assert.match(rules, /ip saddr 127\.0\.0\.11 tcp sport [1-9]\d+ notrack tcp sport set 53 /, rules);
  const connection = accept();
  const { text, descriptors } = receive(connection);
  assert.equal(text, 'hello');
  assert.equal(descriptors.length, 2);
  for (const fd of [connection, ...descriptors]) closeSync(fd);
});

test('send_fds: an empty slot and a missing listener say so', async () => {
  using scratch = new Scratch();
  const empty = await fails([clone(), child('send_fds', { path: scratch.path('x'), slots: [40], data: 'x' }), sh('')]);
  assert.equal(empty.errno, 9);
  const missing = await fails([clone(), child('socket', { slot: 40, domain: 2, type: 2, address: new Uint8Array(16).fill(2, 0, 1), backlog: 0 }), child('send_fds', { path: scratch.path('x'), slots: [40], data: 'x' }), sh('')]);
  assert.equal(missing.errno, ENOENT);
});
