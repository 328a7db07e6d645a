import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { tarOf, type TarHeaderFields } from '#core/archive/tar-writer.ts';
import { isKind } from '#spec/errors.ts';
import { listXattrs } from '#sys/files-xattr.ts';
import { openDirectory } from '#sys/files.ts';
import { dockerArchive } from '../support/image-archive.ts';
import { TestStore } from '../support/test-store.ts';

/** Layers that try to leave their directory (attack 32 of the list; CVE-2018-1002105's and CVE-2019-14271's families). */
let s: TestStore;
let victim: string;
type Member = TarHeaderFields & { data?: Uint8Array };
const bytes = (text: string): Uint8Array => Buffer.from(text);

before(async () => {
  s = await TestStore.open();
  victim = join(s.scratch, 'victim');
  mkdirSync(victim);
  writeFileSync(join(victim, 'secret'), 'host', { mode: 0o600 });
});
afterEach(async () => {
  assert.deepEqual(readdirSync(victim), ['secret'], 'the host was touched');
  assert.equal(readFileSync(join(victim, 'secret'), 'utf8'), 'host');
  assert.equal(statSync(join(victim, 'secret')).nlink, 1);
  assert.equal(statSync(join(victim, 'secret')).mode & 0o7777, 0o600);
  assert.equal(statSync(victim).mode & 0o7777, 0o755);
  await s.empty();
});
after(() => s.destroy());

const load = async (members: readonly Member[]): Promise<string> => s.layerOf(await s.load(dockerArchive([tarOf(members)])));
const refused = (members: readonly Member[], pattern: RegExp): Promise<void> =>
  assert.rejects(load(members), (error: Error) => pattern.test(error.message) && (isKind(error, 'corrupt') || isKind(error, 'too-large')));

test('a name with .. is refused and leaves nothing', () => refused([{ name: '../../../../../../tmp/naru-escape', type: 'file', data: bytes('x') }], /outside/));
test('.. in the middle that stays inside is cleaned', async () => {
  const layer = await load([{ name: 'a/../b', type: 'file', data: bytes('x') }]);
  assert.deepEqual(readdirSync(layer), ['b']);
});
test('an absolute name lands in the layer', async () => {
  const layer = await load([{ name: join(victim, 'planted'), type: 'file', data: bytes('x') }]);
  assert.equal(readFileSync(join(layer, victim, 'planted'), 'utf8'), 'x');
});

for (const [how, target] of [['absolute', (v: string) => v], ['relative', (v: string) => `../../../../../../../../../../../..${v}`]] as const) {
  test(`writing through a link (${how}) stays inside`, async () => {
    const layer = await load([
      { name: 'link', type: 'symlink', linkName: target(victim) },
      { name: 'link/planted', type: 'file', data: bytes('x') },
      { name: 'link/dir/deeper', type: 'file', data: bytes('y') },
    ]);
    assert.equal(readFileSync(join(layer, victim, 'planted'), 'utf8'), 'x');
    assert.equal(readFileSync(join(layer, victim, 'dir/deeper'), 'utf8'), 'y');
  });
  test(`a whiteout through a link (${how}) removes nothing`, async () => {
    await load([{ name: 'link', type: 'symlink', linkName: target(victim) }, { name: 'link/.wh.secret', type: 'file' }, { name: 'link/.wh..wh..opq', type: 'file' }]);
  });
  test(`a hard link through a link (${how}) finds no file of the host`, () =>
    refused([{ name: 'link', type: 'symlink', linkName: target(victim) }, { name: 'mine', type: 'link', linkName: 'link/secret' }], /hard link/));
  test(`metadata through a link (${how}) changes nothing`, async () => {
    const layer = await load([{ name: 'link', type: 'symlink', linkName: target(victim) }, { name: 'link', type: 'directory', mode: 0o777, uid: 7, gid: 7 }]);
    assert.equal(lstatSync(join(layer, 'link')).isDirectory(), true);
  });
}

test('a hard link to an absolute path is meant inside, and missing there', () => refused([{ name: 'mine', type: 'link', linkName: join(victim, 'secret') }], /hard link/));
test('a hard link that climbs is refused', () => refused([{ name: 'mine', type: 'link', linkName: `../../../../../../../..${'/x'}` }], /outside|hard link/));
test('a chain of links ends inside', async () => {
  const layer = await load([
    { name: 'a', type: 'symlink', linkName: 'b' }, { name: 'b', type: 'symlink', linkName: 'c' }, { name: 'c', type: 'symlink', linkName: victim },
    { name: 'a/planted', type: 'file', data: bytes('x') },
  ]);
  assert.ok(existsSync(join(layer, victim, 'planted')));
});
test('links in a circle are refused', () =>
  refused([{ name: 'a', type: 'symlink', linkName: 'b' }, { name: 'b', type: 'symlink', linkName: 'a' }, { name: 'a/x', type: 'file', data: bytes('x') }], /invalid archive/));
test('a file where a parent is needed is refused', () =>
  refused([{ name: 'a', type: 'file', data: bytes('x') }, { name: 'a/b', type: 'file', data: bytes('y') }], /not a directory/));

test('a link that takes the place of a directory leads nobody out', async () => {
  const layer = await load([
    { name: 'dir', type: 'directory', mode: 0o755 }, { name: 'dir/one', type: 'file', data: bytes('1') },
    { name: 'dir', type: 'symlink', linkName: victim }, { name: 'dir/two', type: 'file', data: bytes('2') },
  ]);
  assert.equal(readlinkSync(join(layer, 'dir')), victim);
  assert.ok(existsSync(join(layer, victim, 'two')));
});
test('a file over a link replaces the link, not what it leads to', async () => {
  const layer = await load([{ name: 'l', type: 'symlink', linkName: join(victim, 'secret') }, { name: 'l', type: 'file', mode: 0o644, data: bytes('mine') }]);
  assert.equal(lstatSync(join(layer, 'l')).isFile(), true);
});

test('overlay attributes in an archive are dropped', async () => {
  const xattrs = new Map([
    ['trusted.overlay.redirect', bytes(victim)], ['trusted.overlay.opaque', bytes('y')], ['trusted.overlay.metacopy', bytes('')],
    ['user.overlay.opaque', bytes('y')], ['user.kept', bytes('v')],
  ]);
  const layer = await load([{ name: 'd', type: 'directory', mode: 0o755, xattrs }, { name: 'f', type: 'file', xattrs, data: bytes('x') }]);
  const dir = openDirectory(layer);
  for (const name of ['d', 'f']) {
    const names = listXattrs(dir, name);
    assert.ok(Array.isArray(names));
    assert.deepEqual(names.filter((n) => n.includes('overlay')), []);
    assert.ok(names.includes('user.kept'));
  }
});
test('device nodes are made, not opened, and stay in the layer', async () => {
  const layer = await load([{ name: 'dev/null', type: 'char', devMajor: 1, devMinor: 3, mode: 0o666 }, { name: 'fifo', type: 'fifo', mode: 0o644 }, { name: 'dev/sda', type: 'block', devMajor: 8, devMinor: 0, mode: 0o660 }]);
  assert.equal(statSync(join(layer, 'dev/null')).isCharacterDevice(), true);
  assert.equal(statSync(join(layer, 'dev/sda')).rdev, 0x800);
  assert.equal(statSync(join(layer, 'fifo')).isFIFO(), true);
});
test('setuid survives, and belongs to whom the archive says', async () => {
  const layer = await load([{ name: 'su', type: 'file', mode: 0o4755, uid: 0, data: bytes('x') }, { name: 'other', type: 'file', mode: 0o6755, uid: 1000, gid: 50, data: bytes('x') }]);
  assert.equal(statSync(join(layer, 'su')).mode & 0o7777, 0o4755);
  const other = statSync(join(layer, 'other'));
  assert.deepEqual([other.mode & 0o7777, other.uid, other.gid], [0o6755, 1000, 50]);
});
test('CVE-2024-40635: an owner beyond 32 bits is refused, not wrapped to root', async () => {
  await refused([{ name: 'f', type: 'file', uid: 2 ** 32, data: bytes('x') }], /owner/);
  await refused([{ name: 'f', type: 'file', uid: 2 ** 32 - 1, data: bytes('x') }], /owner/);
});
test('names that differ only in case or in composition stay apart', async () => {
  const names = ['File', 'file', 'FILE', '\u00e9', 'e\u0301'].map((name) => Buffer.from(name).toString('latin1'));
  const layer = await load(names.map((name) => ({ name, type: 'file', data: bytes(name) })));
  assert.equal(readdirSync(layer).length, names.length);
});
test('paths beyond the limits are refused', async () => {
  await refused([{ name: `${'d/'.repeat(2100)}f`, type: 'file', data: bytes('x') }], /longer/);
  await refused([{ name: 'n'.repeat(300), type: 'file', data: bytes('x') }], /file name too long/);
  await refused([{ name: 'l', type: 'symlink', linkName: 'x'.repeat(5000) }], /longer/);
});
test('whiteouts that name nothing, or climb, are refused', async () => {
  for (const name of ['.wh.', '.wh...', '.wh..', 'd/.wh...']) await refused([{ name, type: 'file' }], /whiteout/);
});
test('an entry for the root itself cannot replace it', async () => {
  const layer = await load([{ name: './', type: 'directory', mode: 0o755 }, { name: '/', type: 'symlink', linkName: victim }, { name: 'f', type: 'file', data: bytes('x') }]);
  assert.deepEqual(readdirSync(layer), ['f']);
});
