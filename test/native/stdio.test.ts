import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlanOp } from '#runtime/plan/plan.ts';
import {
  ATTACH, MSG, SIGKILL, SLOT, Scratch, Spawner, child, cleanup, clone, container, exec, exit, frames, logText, pidOf, prepare, sh, withDevpts,
  type Client, type Connection,
} from './harness.ts';

const { STDIN, STDOUT, STDERR, FRAMED, CLOSE_STDIN } = ATTACH;
const END = { CLIENT: 0, DETACHED: 1, ERROR: 2, EXITED: 3 };
const CTRL_P = 0x10, CTRL_Q = 0x11;

const piped = (scratch: Scratch, stdin: number, body: PlanOp[]): PlanOp[] => [
  prepare('stdio', { mode: 1, stdin }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }), clone(), ...body,
];
const waiting = (scratch: Scratch, stdin: number, script: string): PlanOp[] =>
  piped(scratch, stdin, [child('await', { kind: 0, path: '', slot: -1 }), sh(script)]);

/** The pty inside a container with its own devpts. */
const terminal = (scratch: Scratch, script: string): PlanOp[] => [
  prepare('stdio', { mode: 2, stdin: 1 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
  ...container(scratch, {
    inside: [
      ...withDevpts,
      child('pty', { devpts: SLOT.PTS, slave: SLOT.SLAVE, rows: 24, cols: 80, uid: 0, gid: 5 }),
      child('target', { root: SLOT.ROOT, path: 'dev/console', kind: 1, like: -1, mode: 0o600 }),
      child('open_tree', { slot: SLOT.MOUNT, at: SLOT.SLAVE, path: '', flags: 0x1001 }),
      child('attach', { slot: SLOT.MOUNT, root: SLOT.ROOT, path: 'dev/console' }),
    ],
  }),
  child('setsid', {}), child('tty', { slave: SLOT.SLAVE, ctty: 1 }), exec(['/bin/sh', '-c', script], ['PATH=/bin']),
];

const attachEnd = async (shim: Connection, client: Client): Promise<number> => {
  const message = await shim.expect(MSG.ATTACH_END);
  assert.equal(message.seq, client.seq);
  return message.body.getUint32(0, true);
};

test('attached before the shim begins: not a byte is missed', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  let client!: Client;
  const shim = await spawner.spawn(piped(scratch, 0, [sh('echo first; echo second >&2')]), {
    before: async (connection) => {
      client = await connection.attach(STDOUT | STDERR | FRAMED);
    },
  });
  await shim.expect(MSG.EXITED);
  const got = frames(await client.all());
  assert.deepEqual(got.filter((f) => f.stream === 1).map((f) => f.payload), ['first\n']);
  assert.deepEqual(got.filter((f) => f.stream === 2).map((f) => f.payload), ['second\n']);
  assert.equal(await attachEnd(shim, client), END.EXITED);
});

test('attached while START is awaited, and START sent before anybody looks', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(waiting(scratch, 0, 'echo now'));
  await shim.expect(MSG.CREATED);
  const client = await shim.attach(STDOUT);
  shim.send(MSG.START);
  assert.equal((await client.all()).toString(), 'now\n');
  assert.equal((await shim.expect(MSG.ATTACHED)).seq, client.seq);
});

test('stdin mode 2: the end of the first client ends the input; it keeps its output', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(waiting(scratch, 2, 'cat; echo done'));
  const client = await shim.attach(STDIN | STDOUT);
  shim.send(MSG.START);
  await shim.expect(MSG.STARTED);
  client.write('one\n');
  await client.until('one\n');
  client.shutdown();
  assert.equal((await client.all()).toString(), 'one\ndone\n');
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
});

test('stdin mode 1 stays open until a client that may close it ends, or CLOSE_STDIN', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(waiting(scratch, 1, 'while read l; do echo "<$l>"; done; echo over'));
  const first = await shim.attach(STDIN | STDOUT);
  shim.send(MSG.START);
  await shim.expect(MSG.STARTED);
  first.write('a\n');
  await first.until('<a>');
  first.shutdown();
  await sleep(50);
  const second = await shim.attach(STDIN | STDOUT | CLOSE_STDIN);
  second.write('b\n');
  await second.until('<b>');
  second.shutdown();
  assert.equal((await second.all()).toString(), '<b>\nover\n');
  assert.equal((await first.all()).toString(), '<a>\n<b>\nover\n');

  const other = await spawner.spawn(piped(scratch, 1, [sh('cat; exit 4')]));
  await other.expect(MSG.STARTED);
  other.send(MSG.CLOSE_STDIN);
  assert.equal(exit(await other.expect(MSG.EXITED)).code, 4);
});

test('input that the container does not read waits; nothing of it is lost', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(waiting(scratch, 2, 'sleep 0.3; busybox wc -c'));
  const client = await shim.attach(STDIN | STDOUT);
  shim.send(MSG.START);
  const block = new Uint8Array(64 * 1024).fill(0x61);
  let sent = 0;
  while (sent < 1_000_000) {
    const n = client.write(block);
    sent += Math.max(0, n);
    if (n < block.length) await sleep(5);
  }
  client.shutdown();
  assert.equal((await client.all()).toString().trim(), String(sent));
});

test('detach keys: across reads, with what only looked like them forwarded', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(piped(scratch, 1, [sh('cat')]));
  await shim.expect(MSG.STARTED);
  const client = await shim.attach(STDIN | STDOUT, [CTRL_P, CTRL_Q]);
  client.write(Uint8Array.of(0x61, CTRL_P));
  await client.until('a');
  await sleep(30);
  assert.equal(client.text, 'a');
  client.write(Uint8Array.of(CTRL_P, 0x62));
  await client.until('b');
  assert.deepEqual([...client.bytes], [0x61, CTRL_P, CTRL_P, 0x62]);
  client.write(Uint8Array.of(0x63, CTRL_P));
  await client.until('c');
  client.write(Uint8Array.of(CTRL_Q, 0x64));
  await client.all();
  assert.equal(await attachEnd(shim, client), END.DETACHED);
  assert.equal(client.text.endsWith('c'), true);
  assert.equal(shim.seen(MSG.EXITED), false, 'the container goes on');
  const again = await shim.attach(STDIN | STDOUT | CLOSE_STDIN);
  again.write('back\n');
  again.shutdown();
  assert.equal((await again.all()).toString(), 'back\n');
});

test('detach keys that overlap themselves', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(piped(scratch, 1, [sh('cat')]));
  const client = await shim.attach(STDIN | STDOUT, [0x61, 0x61, 0x62]);
  client.write('aaab');
  await client.all();
  assert.equal(await attachEnd(shim, client), END.DETACHED);
  shim.send(MSG.CLOSE_STDIN);
  await shim.expect(MSG.EXITED);
  assert.equal(logText(scratch.read('log')), 'a');
});

test('a slow client slows the container down; everything arrives, log and all', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const total = 8 << 20;
  const shim = await spawner.spawn(waiting(scratch, 0, `busybox head -c ${total} /dev/zero; echo end >&2`));
  const slow = await shim.attach(STDOUT | FRAMED);
  const fast = await shim.attach(STDOUT | STDERR);
  slow.pause();
  shim.send(MSG.START);
  await sleep(400);
  assert.equal(shim.seen(MSG.EXITED), false);
  assert.ok(existsSync(scratch.path('log')) && scratch.read('log').length < total / 2, 'reading stopped');
  slow.resume();
  const all = frames(await slow.all());
  assert.equal(all.reduce((n, f) => n + f.payload.length, 0), total);
  assert.equal((await fast.all()).length, total + 4);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
  assert.equal(logText(scratch.read('log')).length, total);
});

test('a client that goes away takes nothing with it', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(waiting(scratch, 0, 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.4; done'));
  const client = await shim.attach(STDOUT);
  shim.send(MSG.START);
  await client.until('1');
  client.close();
  assert.equal(await attachEnd(shim, client), END.CLIENT);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
  assert.equal(logText(scratch.read('log')), '1\n2\n3\n4\n5\n6\n');
});

test('what was written last is drained, though a grandchild keeps the pipe', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(piped(scratch, 0, [sh('(sleep 30 >&2 & echo $! >&2); busybox head -c 60000 /dev/zero; exit 2')]));
  const pid = pidOf(await shim.expect(MSG.STARTED));
  assert.ok(pid > 0);
  assert.equal(exit(await shim.expect(MSG.EXITED, 2000)).code, 2);
  assert.equal(logText(scratch.read('log')).length, 60000);
  process.kill(Number(logText(scratch.read('log'), 2)), SIGKILL);
});

test('a terminal: size, resize, input, hang-up', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(terminal(scratch, 'stty size; read a; stty size; echo "got $a"; busybox tty; echo to the console >/dev/console; exit 6'));
  const client = await shim.attach(STDIN | STDOUT);
  await shim.expect(MSG.STARTED);
  await client.until('24 80');
  shim.send(MSG.RESIZE, [50, 132]);
  await sleep(30);
  client.write('word\n');
  await client.until('50 132');
  const text = (await client.all()).toString();
  assert.match(text, /got word\r\n\/dev\/pts\/0\r\nto the console\r\n$/);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 6);
  assert.equal(logText(scratch.read('log')), text);
});

test('a terminal: ^C reaches the foreground; a size asked for early is not lost', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  let client!: Client;
  const shim = await spawner.spawn(terminal(scratch, 'trap "stty size; exit 9" INT; echo ready; while :; do sleep 0.05; done'), {
    before: async (connection) => {
      client = await connection.attach(STDIN | STDOUT);
      connection.send(MSG.RESIZE, [11, 22]);
    },
  });
  await client.until('ready');
  client.write(Uint8Array.of(3));
  await client.until('11 22');
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 9);
});

test('much output through a terminal is complete', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(terminal(scratch, 'i=0; while [ $i -lt 2000 ]; do echo "line number $i"; i=$((i+1)); done'));
  await shim.expect(MSG.EXITED);
  const lines = logText(scratch.read('log')).split('\r\n');
  assert.equal(lines.length, 2001);
  assert.equal(lines[1999], 'line number 1999');
});

test('the buffers are given back when nothing flows', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn(piped(scratch, 1, [sh('busybox head -c 4000000 /dev/zero; cat')]));
  const pid = pidOf(await shim.expect(MSG.STARTED));
  const shimPid = /^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  await sleep(1500);
  const dirty = Number(/^Anonymous:\s+(\d+) kB/m.exec(readFileSync(`/proc/${shimPid}/smaps_rollup`, 'utf8'))![1]);
  assert.ok(dirty <= 60, `${dirty} kB of the shim are its own`);
  shim.send(MSG.CLOSE_STDIN);
  await shim.expect(MSG.EXITED);
});

test('a client that never reads gets ten seconds after the end, and holds nobody up before', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('exit_file', { path: scratch.path('exit'), sync: 0 }), prepare('mkdir', { path: scratch.path('made'), mode: 0o755 }),
    clone(), child('await', { kind: 0, path: '', slot: -1 }), sh('busybox head -c 400000 /dev/zero & sleep 0.2; exit 3'),
    cleanup('rmdir', { path: scratch.path('made') }),
  ]);
  const client = await shim.attach(STDOUT);
  client.pause();
  shim.send(MSG.START);
  await shim.expect(MSG.STARTED);
  await sleep(1000);
  assert.equal(scratch.read('exit').readInt32LE(4), 3, 'the record is there');
  assert.equal(existsSync(scratch.path('made')), false, 'the cleanup is done');
  assert.equal(shim.seen(MSG.EXITED), false);
  const ended = exit(await shim.expect(MSG.EXITED, 12000));
  assert.equal(ended.code, 3);
  assert.equal(await attachEnd(shim, client), END.ERROR);
  client.close();
});
