import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { RuntimeBundles } from '../support/runtime-bundles.ts';

/** What a program is given to read, to write and to hold. */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.clear(), []));
after(() => b.destroy());

/** The caller's end of --console-socket: what came, as text of the messages that carry descriptors (the descriptor is theirs to keep). */
async function consoleSocket(name: string): Promise<{ path: string; server: Server; received: Promise<string> }> {
  const path = join(b.top, name);
  rmSync(path, { force: true });
  const got = Promise.withResolvers<string>();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => got.resolve(bytes.toString()));
  });
  server.listen(path);
  await once(server, 'listening');
  return { path, server, received: got.promise };
}

test('run: the program reads the caller’s stdin', () => {
  const { id, path } = b.bundle(['cat']);
  assert.deepEqual(b.run(['run', '-b', path, id], { input: 'hello\n' }), { status: 0, out: 'hello\n', err: '' });
});

test('exec: the program reads the caller’s stdin', () => {
  const { id, path } = b.bundle(['sleep', '60']);
  assert.equal(b.background('run', '-d', '-b', path, id), 0);
  assert.deepEqual(b.run(['exec', id, 'cat'], { input: 'hello\n' }), { status: 0, out: 'hello\n', err: '' });
});

test('a terminal through --console-socket: the name of the master comes, and nobody who reads the caller’s streams waits for the container', async () => {
  const { id, path } = b.bundle(['sleep', '60'], (spec) => { spec.process!.terminal = true; });
  const socket = await consoleSocket('create.sock');
  const pidFile = join(path, 'pid');
  // Ends only when nobody holds its pipes any more.
  const child = b.start(['create', '-b', path, '--console-socket', socket.path, '--pid-file', pidFile, id], ['ignore', 'pipe', 'pipe']);
  const [code] = await once(child, 'close') as [number];
  assert.equal(code, 0);
  assert.equal(await socket.received, '/dev/ptmx');
  socket.server.close();
  assert.equal(Number(readFileSync(pidFile, 'utf8')), b.state(id).pid);
  b.ok('start', id);
  const second = await consoleSocket('exec.sock');
  const inside = b.start(['exec', '-d', '-t', '--console-socket', second.path, id, 'sleep', '60'], ['ignore', 'pipe', 'pipe']);
  assert.deepEqual(await once(inside, 'close'), [0, null]);
  assert.equal(await second.received, '/dev/ptmx');
  second.server.close();
});

test('a terminal that nobody would hold is refused, and a console socket without a terminal', () => {
  const tty = b.bundle(['true'], (spec) => { spec.process!.terminal = true; });
  assert.match(b.run(['create', '-b', tty.path, tty.id]).err, /cannot allocate tty if runtime will detach without setting console socket/);
  const plain = b.bundle(['true']);
  assert.match(b.run(['create', '-b', plain.path, '--console-socket', '/nowhere', plain.id]).err, /cannot use console socket if runtime will not detach or allocate tty/);
  assert.match(b.run(['create', '-b', tty.path, '--console-socket', '/nowhere', tty.id]).err, /--console-socket \/nowhere: /);
});

test('--preserve-fds: the program holds the caller’s descriptors from 3 on, and no others', () => {
  const { id, path } = b.bundle(['sh', '-c', 'cat <&3; cat <&4; ls /proc/self/fd | tr "\\n" " "; readlink /proc/self/fd/5']);
  const files = ['three', 'four', 'five'].map((text) => {
    writeFileSync(join(b.top, text), `${text}\n`);
    return openSync(join(b.top, text), 'r');
  });
  try {
    const said = b.run(['run', '-b', path, '--preserve-fds', '2', id], { stdio: ['ignore', 'pipe', 'pipe', ...files] });
    assert.match(said.out, /^three\nfour\n/);
    assert.doesNotMatch(said.out, /five/);
    assert.equal(b.background('run', '-d', '-b', b.bundle(['sleep', '60']).path, 'box'), 0);
    const inside = b.run(['exec', '--preserve-fds', '1', 'box', 'cat', '/proc/self/fd/3'], { stdio: ['ignore', 'pipe', 'pipe', openSync(join(b.top, 'three'), 'r')] });
    assert.deepEqual(inside, { status: 0, out: 'three\n', err: '' });
  } finally {
    for (const fd of files) closeSync(fd);
  }
});

test('a hook is called by the name that its arguments begin with, and told the state', () => {
  const out = join(b.top, 'hook-out');
  const { id, path } = b.bundle(['true'], (spec) => {
    const hook = (point: string) => ({ path: '/bin/sh', args: ['own-name', '-c', `echo ${point} $0 $(cat /proc/$$/cmdline | tr '\\0' ' ' | cut -d' ' -f1) >>${out}; cat >/dev/null`] });
    spec.hooks = { prestart: [hook('prestart')], poststart: [hook('poststart')], poststop: [hook('poststop')] };
  });
  assert.equal(b.background('run', '-d', '-b', path, id), 0);
  b.ok('delete', '--force', id);
  assert.deepEqual(readFileSync(out, 'utf8').trim().split('\n').map((line) => line.split(' ').at(-1)), ['own-name', 'own-name', 'own-name']);
});
