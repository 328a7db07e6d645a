import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, afterEach, test } from 'node:test';
import { RuntimeBundles, until } from '../support/runtime-bundles.ts';

/** What a program is given to read, to write and to hold. */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.clear(), []));
after(() => b.destroy());

/** The caller's end of --console-socket, as an engine has it: takes the descriptor and holds it; says the message's text, then what the
 *  terminal says. */
const RECEIVER = `
import array, os, socket, sys
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen(1)
print('listening', flush=True)
peer, _ = listener.accept()
text, control, _, _ = peer.recvmsg(100, socket.CMSG_SPACE(4))
master = array.array('i', control[0][2][:4])[0]
print(text.decode(), flush=True)
while True:
    try: said = os.read(master, 1000)
    except OSError: break
    if not said: break
    print(said.decode().strip(), flush=True)
`;

async function consoleSocket(name: string): Promise<{ path: string; next(): Promise<string>; close(): void }> {
  const path = join(b.top, name);
  const receiver = spawn('python3', ['-c', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: receiver.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value as string;
  assert.equal(await next(), 'listening');
  return { path, next, close: () => void receiver.kill() };
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
  const { id, path } = b.bundle(['sh', '-c', 'tty; stty size; sleep 60'], (spec) => {
    spec.process!.terminal = true;
    spec.process!.consoleSize = { height: 11, width: 22 };
  });
  const socket = await consoleSocket('create.sock');
  const pidFile = join(path, 'pid');
  // Ends only when nobody holds its pipes any more.
  const child = b.start(['create', '-b', path, '--console-socket', socket.path, '--pid-file', pidFile, id], ['ignore', 'pipe', 'pipe']);
  let complaint = '';
  child.stderr!.on('data', (bytes: Buffer) => { complaint += bytes.toString(); });
  const [code] = await once(child, 'close') as [number];
  assert.equal(code, 0, complaint);
  assert.equal(await socket.next(), '/dev/ptmx');
  assert.equal(Number(readFileSync(pidFile, 'utf8')), b.state(id).pid);
  b.ok('start', id);
  assert.equal(await socket.next(), '/dev/pts/0');
  assert.equal(await socket.next(), '11 22');
  const second = await consoleSocket('exec.sock');
  const inside = b.start(['exec', '-d', '-t', '--console-socket', second.path, id, 'sh', '-c', 'tty; sleep 60'], ['ignore', 'pipe', 'pipe']);
  assert.deepEqual(await once(inside, 'close'), [0, null]);
  assert.equal(await second.next(), '/dev/ptmx');
  assert.equal(await second.next(), '/dev/pts/1');
  second.close();
  socket.close();
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

test('a poststart hook that fails is a warning; in a configuration of 1.3 it is the container\'s end', async () => {
  const log = join(b.top, 'poststart-log');
  for (const version of ['1.2.1', '1.3.0']) {
    const ends = version === '1.3.0';
    const fresh = () => b.bundle(['sleep', '60'], (spec) => {
      spec.ociVersion = version;
      spec.hooks = { poststart: [{ path: '/bin/false' }, { path: '/bin/sh', args: ['sh', '-c', `echo second >>${log}`] }], poststop: [{ path: '/bin/sh', args: ['sh', '-c', `echo stop >>${log}`] }] };
    });
    for (const verb of ['start', 'run -d', ...(ends ? ['run'] : [])]) {
      writeFileSync(log, '');
      const { id, path } = fresh();
      if (verb === 'start') assert.equal(b.background('create', '-b', path, id), 0);
      const err = join(b.top, 'poststart-err');
      const stderr = openSync(err, 'w');
      const said = b.run(verb === 'start' ? ['start', id] : [...verb.split(' '), '-b', path, id], { stdio: ['ignore', 'ignore', stderr] });
      closeSync(stderr);
      const where = `${version} ${verb}: ${readFileSync(err, 'utf8')}`;
      assert.equal(said.status, ends ? 1 : 0, where);
      assert.match(readFileSync(err, 'utf8'), /\/hooks\/poststart\/0: hook \/bin\/false: exit status 1/, where);
      assert.equal(readFileSync(log, 'utf8'), ends ? 'stop\n' : 'second\n', where);
      if (!ends) b.ok('delete', '--force', id);
      assert.ok(await until(() => b.left().length === 0), `${where}: ${b.left().join()}`);
    }
  }
});
