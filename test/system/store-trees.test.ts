import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { tarOf } from '#core/archive/tar-writer.ts';
import { openTrees } from '#core/trees/open-trees.ts';
import { openDirectory } from '#sys/files.ts';
import { streamOf } from '../support/image-archive.ts';

const trees = openTrees();
let scratch: string;
let tree: string;
let root: number;
const text = (value: string): Uint8Array => Buffer.from(value);
const options = { noOverwriteDirNonDir: false, keepIds: true };

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'naru-trees.'));
  tree = join(scratch, 'root');
  mkdirSync(join(tree, 'etc/sub'), { recursive: true });
  writeFileSync(join(tree, 'etc/file'), 'inside', { mode: 0o640 });
  writeFileSync(join(tree, 'etc/sub/deep'), 'deep');
  symlinkSync('/etc/file', join(tree, 'absolute'));
  symlinkSync('etc', join(tree, 'dir'));
  symlinkSync('../../../../../../../../etc/passwd', join(tree, 'out'));
  symlinkSync('/nowhere', join(tree, 'dangling'));
  root = openDirectory(tree);
});
afterEach(() => {
  closeSync(root);
  rmSync(scratch, { recursive: true, force: true });
});

const listOf = async (path: string): Promise<string[]> => {
  const listed = spawnSync('tar', ['tPf', '-'], { input: await buffer(trees.pack(root, path)), encoding: 'utf8' });
  assert.equal(listed.status, 0, listed.stderr);
  return listed.stdout.trim().split('\n');
};

test('stat: Go’s mode, links of the path followed, the last one told', () => {
  const file = trees.stat(root, '/etc/file');
  assert.deepEqual([file.name, file.size, file.mode, file.isDirectory, file.linkTarget], ['file', 6, 0o640, false, '']);
  assert.equal(trees.stat(root, 'dir/file').size, 6);
  assert.equal(trees.stat(root, '/etc').mode, 2 ** 31 + 0o755);
  const link = trees.stat(root, '/absolute');
  assert.deepEqual([link.mode, link.linkTarget], [2 ** 27 + 0o777, '/etc/file']);
  assert.equal(trees.stat(root, '/dir/').isDirectory, true);
  assert.equal(trees.stat(root, '/dir/.').isDirectory, true);
  assert.equal(trees.stat(root, '/dangling').linkTarget, '/nowhere');
  assert.equal(trees.stat(root, '/').name, '/');
  assert.equal(trees.stat(root, '/../../..').isDirectory, true);
  assert.throws(() => trees.stat(root, '/missing'), /Could not find the file \/missing/);
  assert.throws(() => trees.stat(root, '/etc/file/'), /Could not find/);
  spawnSync('chmod', ['7755', join(tree, 'etc')]);
  assert.equal(trees.stat(root, '/etc').mode, 2 ** 31 + 2 ** 23 + 2 ** 22 + 2 ** 20 + 0o755);
});

test('pack: names begin with the last name of the path', async () => {
  assert.deepEqual(await listOf('/etc'), ['etc/', 'etc/file', 'etc/sub/', 'etc/sub/deep']);
  assert.deepEqual(await listOf('/etc/.'), ['./', './file', './sub/', './sub/deep']);
  assert.deepEqual(await listOf('/etc/file'), ['file']);
  assert.deepEqual(await listOf('/dir'), ['dir']);
  assert.deepEqual(await listOf('/dir/sub'), ['sub/', 'sub/deep']);
  assert.deepEqual((await listOf('/')).slice(0, 3), ['/', '/absolute', '/dangling']);
  await assert.rejects(buffer(trees.pack(root, '/missing')));
});

test('pack keeps what a file is', async () => {
  spawnSync('sh', ['-c', 'cd "$0"; ln etc/file etc/hard; mkfifo etc/fifo; mknod etc/null c 1 3; chown 12:34 etc/file; setfattr -n user.x -v y etc/sub 2>/dev/null; head -c 700000 /dev/zero > etc/big; touch -d @1234567890 etc/big', tree]);
  const out = join(scratch, 'out');
  mkdirSync(out);
  assert.equal(spawnSync('tar', ['-xpf', '-', '-C', out], { input: await buffer(trees.pack(root, '/etc')) }).status, 0);
  assert.equal(statSync(join(out, 'etc/file')).ino, statSync(join(out, 'etc/hard')).ino);
  assert.deepEqual([statSync(join(out, 'etc/file')).uid, statSync(join(out, 'etc/file')).gid, statSync(join(out, 'etc/file')).mode & 0o777], [12, 34, 0o640]);
  assert.ok(lstatSync(join(out, 'etc/fifo')).isFIFO());
  assert.equal(lstatSync(join(out, 'etc/null')).rdev, 0x103);
  assert.deepEqual([statSync(join(out, 'etc/big')).size, statSync(join(out, 'etc/big')).mtimeMs], [700000, 1234567890000]);
});

test('pack stops when nobody reads', async () => {
  spawnSync('sh', ['-c', 'head -c 50000000 /dev/zero > "$0"/etc/huge', tree]);
  const before = readdirSync('/proc/self/fd').length;
  const stream = trees.pack(root, '/etc');
  stream.once('readable', () => {});
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(stream.readableLength < 2 << 20, `${stream.readableLength} bytes are waiting`);
  stream.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(readdirSync('/proc/self/fd').length <= before);
});

test('unpack: into a directory, through links inside, replacing what is there', async () => {
  const tar = tarOf([
    { name: 'new', type: 'file', mode: 0o600, uid: 5, gid: 6, mtime: 7_000_000_000n, data: text('n') }, { name: 'sub', type: 'file', mode: 0o644, data: text('was a directory') },
    { name: 'made/up', type: 'file', mode: 0o644, data: text('u') }, { name: 'l', type: 'symlink', linkName: '/etc/passwd' },
  ]);
  await trees.unpack(root, '/dir', streamOf(gzipSync(tar)), options);
  const made = statSync(join(tree, 'etc/new'));
  assert.deepEqual([made.mode & 0o7777, made.uid, made.gid, made.mtimeMs], [0o600, 5, 6, 7000]);
  assert.equal(readFileSync(join(tree, 'etc/sub'), 'utf8'), 'was a directory');
  assert.equal(readFileSync(join(tree, 'etc/made/up'), 'utf8'), 'u');
  assert.equal(readlinkSync(join(tree, 'etc/l')), '/etc/passwd');
  await trees.unpack(root, '/', streamOf(tarOf([{ name: 'rooted', type: 'file', uid: 9, gid: 9, data: text('r') }])), { ...options, keepIds: false });
  assert.deepEqual([statSync(join(tree, 'rooted')).uid, statSync(join(tree, 'rooted')).gid], [0, 0]);
});

test('unpack refuses in Docker’s words', async () => {
  const put = (path: string, tar: Uint8Array, noOverwriteDirNonDir = false): Promise<void> => trees.unpack(root, path, streamOf(tar), { ...options, noOverwriteDirNonDir });
  const file = tarOf([{ name: 'sub', type: 'file', data: text('x') }]);
  await assert.rejects(put('/etc/file', file), /not a directory/);
  await assert.rejects(put('/missing', file), /Could not find the file \/missing/);
  await assert.rejects(put('/etc', file, true), /cannot overwrite directory "sub" with non-directory "sub"/);
  await assert.rejects(put('/etc', tarOf([{ name: 'file', type: 'directory', mode: 0o755 }]), true), /cannot overwrite non-directory "file" with directory "file\/"/);
  assert.equal(readFileSync(join(tree, 'etc/file'), 'utf8'), 'inside');
  await assert.rejects(put('/etc', tarOf([{ name: '../../../../../../../tmp/x', type: 'file', data: text('x') }])), /outside/);
  await assert.rejects(put('/etc', file.subarray(0, 600)), /unexpected end/);
});

test('unpack leads nowhere out', async () => {
  const victim = join(scratch, 'victim');
  mkdirSync(victim, { mode: 0o700 });
  writeFileSync(join(victim, 'secret'), 'host');
  symlinkSync(victim, join(tree, 'trap'));
  await trees.unpack(root, '/', streamOf(tarOf([
    { name: 'trap/planted', type: 'file', data: text('x') }, { name: 'evil', type: 'symlink', linkName: victim }, { name: 'evil/planted', type: 'file', data: text('x') },
    { name: 'evil', type: 'directory', mode: 0o777 }, { name: 'trap2', type: 'symlink', linkName: join(victim, 'secret') }, { name: 'trap2', type: 'char', devMajor: 1, devMinor: 3, mode: 0o777 },
  ])), options);
  await assert.rejects(trees.unpack(root, '/', streamOf(tarOf([{ name: 'h', type: 'link', linkName: 'trap/secret' }])), options), /hard link/);
  assert.deepEqual(readdirSync(victim), ['secret']);
  assert.equal(statSync(victim).mode & 0o777, 0o700);
  assert.equal(statSync(join(victim, 'secret')).mode & 0o111, 0);
  assert.ok(existsSync(join(tree, victim, 'planted')));
});

test('a tree that changes meanwhile never leads out (CVE-2018-15664)', async () => {
  const victim = join(scratch, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'file'), 'host');
  mkdirSync(join(tree, 'a'));
  symlinkSync(victim, join(tree, 'b'));
  const swapper = spawn('python3', ['-c', `
import ctypes, os
os.chdir('${tree}')
libc = ctypes.CDLL(None)
while True: libc.renameat2(-100, b'a', -100, b'b', 2)`], { stdio: 'ignore' });
  try {
    const tar = tarOf([{ name: 'a/file', type: 'file', mode: 0o777, data: text('planted') }, { name: 'a/dir', type: 'directory', mode: 0o777 }, { name: 'a/dev', type: 'fifo', mode: 0o777 }]);
    const end = Date.now() + 1500;
    let done = 0;
    while (Date.now() < end) {
      await trees.unpack(root, '/', streamOf(tar), options).then(() => done++, () => {});
      await buffer(trees.pack(root, '/a')).then((bytes) => assert.equal(bytes.includes('host'), false), () => {});
      assert.notEqual(Buffer.from(trees.readFile(root, '/a/file', 100) ?? []).toString(), 'host');
    }
    assert.ok(done > 10, `${done} rounds`);
  } finally {
    swapper.kill('SIGKILL');
  }
  assert.deepEqual(readdirSync(victim), ['file']);
  assert.equal(readFileSync(join(victim, 'file'), 'utf8'), 'host');
});

test('readFile takes regular files only (CVE-2024-9676, CVE-2022-1227)', () => {
  assert.equal(Buffer.from(trees.readFile(root, '/etc/file', 100)!).toString(), 'inside');
  assert.equal(Buffer.from(trees.readFile(root, '/absolute', 3)!).toString(), 'ins');
  spawnSync('sh', ['-c', 'cd "$0"; mkfifo fifo; mknod zero c 1 5; truncate -s 1T sparse', tree]);
  for (const path of ['/fifo', '/zero', '/etc', '/missing', '/dangling']) assert.equal(trees.readFile(root, path, 100), undefined, path);
  assert.equal(trees.readFile(root, '/sparse', 1000)!.byteLength, 1000);
  assert.equal(trees.readFile(root, '/out', 100), undefined); // /etc/passwd in the root, which is not there
});

test('copyInto copies a subtree as it is', async () => {
  spawnSync('sh', ['-c', 'cd "$0"; ln etc/file etc/hard; chown 12:34 etc; chmod 2750 etc', tree]);
  const into = join(scratch, 'volume');
  mkdirSync(into);
  await trees.copyInto(root, '/dir', into);
  assert.deepEqual(readdirSync(into).sort(), ['file', 'hard', 'sub']);
  assert.equal(statSync(join(into, 'file')).nlink, 2);
  assert.deepEqual([statSync(into).uid, statSync(into).gid, statSync(into).mode & 0o7777], [12, 34, 0o2750]);
  const empty = join(scratch, 'empty');
  mkdirSync(empty);
  await trees.copyInto(root, '/missing', empty);
  await trees.copyInto(root, '/etc/file', empty);
  assert.deepEqual(readdirSync(empty), []);
});

test('unpack lets a slow archive take its time', async () => {
  const tar = tarOf([{ name: 'slow', type: 'file', data: text('slowly') }]);
  const slow = Readable.from((async function* () {
    for (let at = 0; at < tar.byteLength; at += 300) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield Buffer.from(tar.subarray(at, at + 300));
    }
  })(), { objectMode: false });
  await trees.unpack(root, '/', slow, options);
  assert.equal(readFileSync(join(tree, 'slow'), 'utf8'), 'slowly');
});
