import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { ByteSource } from '#core/archive/byte-source.ts';
import { TarReader } from '#core/archive/tar-reader.ts';
import { tarHeader, tarOf, type TarHeaderFields } from '#core/archive/tar-writer.ts';
import type { ImageRecord } from '#core/store.ts';
import { dockerArchive, ociArchive, sha256, streamOf } from '../support/image-archive.ts';
import { TestStore } from '../support/test-store.ts';

type Member = TarHeaderFields & { data?: Uint8Array };
const text = (value: string): Uint8Array => Buffer.from(value);
let s: TestStore;
before(async () => {
  s = await TestStore.open();
});
afterEach(() => s.empty());
after(() => s.destroy());

/** Members of an archive by name. */
async function members(archive: Uint8Array): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  const reader = new TarReader(new ByteSource(streamOf(archive)));
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const parts: Buffer[] = [];
    for (let chunk = await reader.content(); chunk !== undefined; chunk = await reader.content()) parts.push(Buffer.from(chunk));
    found.set(entry.name, Buffer.concat(parts));
  }
  return found;
}
const save = (image: ImageRecord): Promise<Buffer> => buffer(s.store.images.save([{ id: image.id, tags: image.tags }]).stream());

/** The merged image, looked at through a descriptor. */
function look<T>(image: ImageRecord, work: (root: string) => T): T {
  const fd = s.store.snapshots.openImage(image.id);
  try {
    return work(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

test('save gives back every byte of odd layers', async () => {
  const noise = randomBytes(700_000);
  const pythons = spawnSync('python3', ['-c', `
import tarfile, io, sys
out = io.BytesIO(); t = tarfile.open(fileobj=out, mode='w', format=tarfile.GNU_FORMAT)
for n in ['a/'+'x'*200, 'bcd', 'a/'+'x'*200]:
    i = tarfile.TarInfo(n); i.size = 3; i.uname = 'me'; t.addfile(i, io.BytesIO(n[-3:].encode()))
t.close(); sys.stdout.buffer.write(out.getvalue())`]).stdout;
  assert.ok(pythons.byteLength > 0);
  const layers: Uint8Array[] = [
    tarOf([{ name: './', type: 'directory', mode: 0o755 }, { name: './f', type: 'file', data: noise }]),
    // names taken again: by a file, a link, a directory; and a directory with content by a file
    tarOf([
      { name: 'twice', type: 'file', data: text('first') }, { name: 'twice', type: 'file', data: text('second') },
      { name: 'd', type: 'directory', mode: 0o755 }, { name: 'd/deep/file', type: 'file', data: text('deep') }, { name: 'd', type: 'file', data: text('now a file') },
      { name: 'd', type: 'symlink', linkName: 'nowhere' }, { name: 'twice', type: 'directory', mode: 0o700 }, { name: 'twice/in', type: 'file', data: text('in') },
    ]),
    // through links, hard links, whiteouts that carry bytes
    tarOf([
      { name: 'real', type: 'directory', mode: 0o755 }, { name: 'link', type: 'symlink', linkName: 'real' }, { name: 'link/f', type: 'file', data: text('through') },
      { name: 'real/g', type: 'link', linkName: 'link/f' }, { name: '.wh.gone', type: 'file', data: text('odd') }, { name: '.wh..wh.plnk', type: 'file', data: text('aufs') },
    ]),
    Buffer.concat([tarOf([{ name: 'x', type: 'file', data: text('x') }]), randomBytes(3000)]), // something after the end
    tarHeader({ name: 'only-a-header', type: 'directory', mode: 0o755 }), // no end at all
    new Uint8Array(10240),
    pythons,
    new Uint8Array(0),
  ];
  const image = await s.load(dockerArchive(layers));
  const saved = await members(await save(image));
  for (const layer of layers) assert.ok(Buffer.from(layer).equals(saved.get(`blobs/sha256/${sha256(layer)}`)!), 'layer is not the same');
  assert.deepEqual(await save(image), await save(image));
  // and what was saved is loaded again, as the same image
  const again = await s.load(await save(image));
  assert.equal(again.id, image.id);
});

test('a layer that was changed behind our back is not saved', async () => {
  const image = await s.load(dockerArchive([tarOf([{ name: 'f', type: 'file', data: text('right') }])]));
  writeFileSync(join(s.layerOf(image), 'f'), 'wrong');
  await assert.rejects(save(image), /damaged/);
});

test('directories that a layer did not name keep what the layers below say', async () => {
  const base = tarOf([
    { name: 'tmp', type: 'directory', mode: 0o1777, mtime: 5_000_000_000n }, { name: 'home', type: 'directory', mode: 0o750, uid: 1000, gid: 1000 },
    { name: 'usr', type: 'directory', mode: 0o755 }, { name: 'usr/lib', type: 'directory', mode: 0o755 }, { name: 'usr/lib/old', type: 'file', data: text('old') },
    { name: 'lib', type: 'symlink', linkName: 'usr/lib' },
  ]);
  const top = tarOf([{ name: 'tmp/x', type: 'file', data: text('x') }, { name: 'home/y', type: 'file', data: text('y') }, { name: 'lib/new', type: 'file', data: text('new') }, { name: 'lib/deep/er', type: 'file', data: text('er') }]);
  const image = await s.load(dockerArchive([base, top]));
  look(image, (root) => {
    assert.equal(statSync(join(root, 'tmp')).mode & 0o7777, 0o1777);
    assert.equal(statSync(join(root, 'tmp')).mtimeMs, 5000);
    assert.deepEqual([statSync(join(root, 'home')).mode & 0o777, statSync(join(root, 'home')).uid], [0o750, 1000]);
    assert.equal(readlinkSync(join(root, 'lib')), 'usr/lib');
    assert.deepEqual(readdirSync(join(root, 'usr/lib')).sort(), ['deep', 'new', 'old']);
    assert.equal(readFileSync(join(root, 'lib/deep/er'), 'utf8'), 'er');
  });
});

test('whiteouts and opaque directories hide what lies below, and only that', async () => {
  const base = tarOf([
    { name: 'a', type: 'file', data: text('a') }, { name: 'd', type: 'directory', mode: 0o755 }, { name: 'd/old', type: 'file', data: text('o') },
    { name: 'e', type: 'directory', mode: 0o755 }, { name: 'e/old', type: 'file', data: text('o') },
    { name: 'g', type: 'directory', mode: 0o755 }, { name: 'g/old', type: 'file', data: text('o') },
  ]);
  const top = tarOf([
    { name: '.wh.a', type: 'file' }, { name: 'd/', type: 'directory', mode: 0o755 }, { name: 'd/new', type: 'file', data: text('n') }, { name: 'd/.wh..wh..opq', type: 'file' },
    { name: '.wh.e', type: 'file' }, { name: 'e', type: 'directory', mode: 0o755 }, { name: 'e/new', type: 'file', data: text('n') },
    { name: 'g', type: 'directory', mode: 0o755 }, { name: 'g/new', type: 'file', data: text('n') }, { name: '.wh.g', type: 'file' },
  ]);
  const image = await s.load(dockerArchive([base, top]));
  look(image, (root) => {
    assert.deepEqual(readdirSync(root).sort(), ['d', 'e', 'g']);
    for (const d of ['d', 'e', 'g']) assert.deepEqual(readdirSync(join(root, d)), ['new'], d);
  });
});

test('the same layer twice in one image, and in two', async () => {
  const a = tarOf([{ name: 'a', type: 'file', data: text('a') }]);
  const b = tarOf([{ name: '.wh.a', type: 'file' }]);
  const twice = await s.load(dockerArchive([a, b, a, a], { tags: ['twice:1'] }));
  const once = await s.load(dockerArchive([a], { tags: ['once:1'] }));
  const other = await s.load(ociArchive([b, a], { tags: ['other:1'] }));
  assert.deepEqual(readdirSync(join(s.dataRoot, 'layers')).length, 2);
  look(twice, (root) => assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'a'));
  s.store.images.delete(twice.id);
  look(once, (root) => assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'a'));
  s.store.images.delete(once.id);
  look(other, (root) => assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'a'));
  assert.equal((await save(other)).byteLength > 0, true);
});

test('many layers, and the way of older kernels, leave no mount behind', async () => {
  const { openByMount } = await import('#core/snapshots/overlay.ts');
  const layers = Array.from({ length: 120 }, (_, i) => tarOf([{ name: `f${i}`, type: 'file', data: text(String(i)) }]));
  const image = await s.load(dockerArchive(layers));
  const ours = (): string[] => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(s.scratch));
  look(image, (root) => assert.equal(readdirSync(root).length, 120));
  const few = await s.load(dockerArchive(layers.slice(0, 20), { tags: ['few:1'] }));
  const { lowers, upper, work } = s.store.snapshots.create('old-way', { image: few.id }, { durable: false });
  const fd = openByMount({ lowers, upper, work, readOnly: false, empty: join(s.dataRoot, 'empty'), scratch: join(s.dataRoot, 'incoming/mount') });
  writeFileSync(`/proc/self/fd/${fd}/new`, 'x');
  assert.equal(readdirSync(`/proc/self/fd/${fd}`).length, 21);
  closeSync(fd);
  assert.ok(existsSync(join(upper, 'new')));
  assert.deepEqual(ours(), []);
  await s.store.snapshots.remove('old-way');
  await s.reopen(); // sweeps incoming/mount
});

test('import, change, diff, commit, export', async () => {
  const rootfs = tarOf([
    { name: 'etc', type: 'directory', mode: 0o755 }, { name: 'etc/a', type: 'file', mode: 0o640, uid: 5, data: text('a') }, { name: 'etc/b', type: 'file', data: text('b') },
    { name: 'gone', type: 'directory', mode: 0o755 }, { name: 'gone/x', type: 'file', data: text('x') }, { name: 'swap', type: 'directory', mode: 0o755 }, { name: 'swap/old', type: 'file', data: text('o') },
  ]);
  const platform = { os: 'linux', architecture: 'amd64' };
  const base = await s.store.images.import(streamOf(rootfs), { config: { Cmd: ['/x'] }, comment: 'Imported from -', platform, reference: 'base' }, new AbortController().signal);
  assert.deepEqual(base.tags, ['base:latest']);
  assert.equal(s.store.images.history(base.id)[0]!.comment, 'Imported from -');

  s.store.snapshots.create('c', { image: base.id }, { durable: true });
  assert.throws(() => s.store.images.delete(base.id), /being used by container c/);
  const fd = s.store.snapshots.open('c', { readOnly: false });
  const root = `/proc/self/fd/${fd}`;
  spawnSync('sh', ['-c', 'set -e; cd /proc/self/fd/3; rm etc/b; rm -r gone; echo a2 > etc/a; rm -r swap; mkdir swap; echo n > swap/new; mkdir -p var/lib; echo v > var/lib/v; ln -s v var/lib/l; ln var/lib/v var/lib/h; mkfifo fifo; chmod 1777 var'], { stdio: ['ignore', 'ignore', 'inherit', fd] });
  closeSync(fd);
  void root;
  const changes = await s.store.snapshots.changes('c');
  assert.deepEqual(changes.map((c) => `${'CAD'[c.kind]} ${c.path}`), [
    'C /etc', 'C /etc/a', 'D /etc/b', 'A /fifo', 'D /gone', 'C /swap', 'A /swap/new', 'D /swap/old', 'A /var', 'A /var/lib', 'A /var/lib/h', 'A /var/lib/l', 'A /var/lib/v',
  ]);
  const usage = await s.store.snapshots.usage('c');
  assert.equal(usage.size, 3 + 2 + 2 + 1);

  const config = { ...base.config, created: '2024-01-01T00:00:00Z' };
  const one = await s.store.images.commit({ snapshot: 'c', base: base.id, config, reference: 'done:1' });
  const two = await s.store.images.commit({ snapshot: 'c', base: base.id, config });
  assert.equal(one.id, two.id, 'the same difference gives the same image');
  assert.equal(one.config.rootfs.diff_ids.length, 2);
  look(one, (merged) => {
    assert.deepEqual(readdirSync(merged).sort(), ['etc', 'fifo', 'swap', 'var']);
    assert.equal(readFileSync(join(merged, 'etc/a'), 'utf8'), 'a2\n');
    assert.deepEqual(readdirSync(join(merged, 'etc')), ['a']);
    assert.deepEqual(readdirSync(join(merged, 'swap')), ['new']);
    assert.equal(statSync(join(merged, 'etc/a')).uid, 5);
    assert.equal(statSync(join(merged, 'var/lib/v')).nlink, 2);
    assert.equal(statSync(join(merged, 'var')).mode & 0o7777, 0o1777);
    assert.ok(lstatSync(join(merged, 'fifo')).isFIFO());
  });
  const exported = await buffer(s.store.snapshots.exportTar('c'));
  const out = mkdtempSync(join(s.scratch, 'out.'));
  assert.equal(spawnSync('tar', ['-xpf', '-', '-C', out], { input: exported }).status, 0);
  assert.deepEqual(readdirSync(out).sort(), ['etc', 'fifo', 'swap', 'var']);
  assert.deepEqual([...(await members(await save(one))).keys()].filter((n) => n.startsWith('blobs/sha256/')).length, 5);
  await s.store.snapshots.remove('c');
});

test('what a crash leaves is swept, what it needs is there again', async () => {
  const image = await s.load(dockerArchive([tarOf([{ name: 'f', type: 'file', data: text('f') }])]));
  s.store.snapshots.create('kept', { image: image.id }, { durable: true });
  s.store.snapshots.create('lost', { image: image.id }, { durable: true });
  spawnSync('rm', ['-rf', join(s.dataRoot, 'snapshots/lost')]);
  for (const orphan of ['layers/77/deep/er', 'recipes/77', 'incoming/x/0', 'snapshots/nobody/upper', 'trash/y']) mkdirSync(join(s.dataRoot, orphan), { recursive: true });
  writeFileSync(join(s.dataRoot, `blobs/sha256/${'0'.repeat(64)}`), '{}');
  await s.reopen();
  for (let i = 0; i < 50 && readdirSync(join(s.dataRoot, 'trash')).length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(s.leftovers().sort(), [`blobs/sha256/${image.id.slice(7)}`, 'layers/' + readdirSync(join(s.dataRoot, 'layers'))[0], 'recipes/' + readdirSync(join(s.dataRoot, 'layers'))[0], 'snapshots/kept', 'snapshots/lost'].sort());
  closeSync(s.store.snapshots.open('lost', { readOnly: false }));
  assert.equal(s.store.images.find('test')?.id, image.id);
  for (const id of ['kept', 'lost']) await s.store.snapshots.remove(id);
});

test('a snapshot over the whole machine', async () => {
  const mark = `naru-test-${process.pid}`;
  s.store.snapshots.create('machine', { directory: '/' }, { durable: false });
  const fd = s.store.snapshots.open('machine', { readOnly: false });
  writeFileSync(`/proc/self/fd/${fd}/${mark}`, 'x');
  assert.ok(readdirSync(`/proc/self/fd/${fd}`).includes('etc'));
  const view = s.store.snapshots.open('machine', { readOnly: true }); // while the other is open, as when a container runs
  assert.equal(readFileSync(`/proc/self/fd/${view}/${mark}`, 'utf8'), 'x');
  assert.throws(() => writeFileSync(`/proc/self/fd/${view}/${mark}`, 'y'));
  closeSync(view);
  closeSync(fd);
  assert.equal(existsSync(`/${mark}`), false);
  assert.deepEqual(await s.store.snapshots.changes('machine'), [{ path: `/${mark}`, kind: 1 }]);
  await s.store.snapshots.remove('machine');
  assert.throws(() => s.store.snapshots.create('x', { directory: 'relative' }, { durable: false }), /absolute/);
  assert.throws(() => s.store.snapshots.create('x', { directory: '/nowhere-at-all' }, { durable: false }), /no such file/);
  assert.throws(() => s.store.snapshots.create('x', { directory: '/etc/passwd' }, { durable: false }), /not a directory/);
  assert.throws(() => s.store.snapshots.create('../x', { directory: '/' }, { durable: false }), /invalid snapshot id/);
});

test('deep and big trees are removed', async () => {
  s.store.snapshots.create('deep', { directory: s.scratch }, { durable: false });
  const upper = join(s.dataRoot, 'snapshots/deep/upper');
  assert.equal(spawnSync('python3', ['-c', `
import os
os.chdir('${upper}')
for i in range(1500):
    os.mkdir('directory-with-a-long-name'); os.chdir('directory-with-a-long-name')
open('end','w').close()
os.chdir('${upper}')
os.mkdir('wide')
for i in range(3000): open('wide/%d' % i, 'w').close()`]).status, 0);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await s.store.snapshots.remove('deep');
  clearInterval(timer);
});

test('names: find, tag, untag', async () => {
  const image = await s.load(dockerArchive([tarOf([{ name: 'f', type: 'file', data: text('f') }])], { tags: ['localhost:5000/a/b:v1'] }));
  const { images } = s.store;
  const hex = image.id.slice(7);
  for (const name of [image.id, hex, hex.slice(0, 12), hex.slice(0, 3), `sha256:${hex.slice(0, 12)}`, 'localhost:5000/a/b:v1']) assert.equal(images.find(name)?.id, image.id, name);
  for (const name of ['a/b:v1', 'localhost:5000/a/b', 'nothing', `sha256:${'0'.repeat(64)}`, `x@sha256:${'0'.repeat(64)}`]) assert.equal(images.find(name), undefined, name);
  assert.throws(() => images.find('UPPER'), /invalid reference format/);
  images.tag(image.id, 'other');
  assert.deepEqual(images.find('other')?.tags, ['localhost:5000/a/b:v1', 'other:latest']);
  assert.ok(images.get(image.id)!.lastTagged > 0n);
  const second = await s.load(dockerArchive([tarOf([{ name: 'g', type: 'file', data: text('g') }])], { tags: ['other'] }));
  assert.equal(images.find('other')?.id, second.id);
  assert.deepEqual(images.get(image.id)!.tags, ['localhost:5000/a/b:v1']);
  assert.equal(images.untag('other:latest'), true);
  assert.equal(images.untag('other:latest'), false);
  assert.equal(images.find('other'), undefined);
  assert.equal(images.find(second.id)?.id, second.id);
  images.delete(second.id);
  assert.equal(images.find(second.id), undefined);
});

test('archives of Docker before 1.10', async () => {
  const ids = ['a', 'b'].map((c) => c.repeat(64));
  const layers = ids.map((id) => tarOf([{ name: `file-${id[0]}`, type: 'file', data: text(id[0]!) }]));
  const image = await s.load(tarOf([
    ...ids.flatMap((id, i): Member[] => [
      { name: `${id}/VERSION`, type: 'file', data: text('1.0') },
      { name: `${id}/json`, type: 'file', data: text(JSON.stringify({ id, ...(i > 0 ? { parent: ids[i - 1] } : {}), os: 'linux', architecture: 'amd64', config: { Cmd: ['old'] }, container_config: { Cmd: ['/bin/sh', '-c', `step ${i}`] } })) },
      { name: `${id}/layer.tar`, type: 'file', data: layers[i]! },
    ]),
    { name: 'repositories', type: 'file', data: text(JSON.stringify({ 'old/image': { v1: ids[1] } })) },
  ]));
  assert.deepEqual(image.tags, ['old/image:v1']);
  assert.deepEqual(s.store.images.history(image.id).map((h) => h.createdBy), ['/bin/sh -c step 1', '/bin/sh -c step 0']);
  look(image, (root) => assert.deepEqual(readdirSync(root).sort(), ['file-a', 'file-b']));
});

test('an index of many platforms: ours is taken, attestations and what is absent are not', async () => {
  const layer = tarOf([{ name: 'f', type: 'file', data: text('f') }]);
  const type = 'application/vnd.oci.image.index.v1+json';
  const inner = (ours: object): Uint8Array => Buffer.from(JSON.stringify({
    schemaVersion: 2, mediaType: type,
    manifests: [
      { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'3'.repeat(64)}`, size: 10, platform: { os: 'linux', architecture: 's390x' } },
      { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'4'.repeat(64)}`, size: 10, platform: { os: 'unknown', architecture: 'unknown' }, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
      ours,
    ],
  }));
  let index: Uint8Array = new Uint8Array(0);
  const archive = ociArchive([layer], {
    index(i) {
      const [descriptor] = i['manifests'] as Record<string, unknown>[];
      const { annotations, ...ours } = descriptor!;
      index = inner({ ...ours, platform: { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' } });
      return { ...i, manifests: [{ mediaType: type, digest: `sha256:${sha256(index)}`, size: index.byteLength, annotations }] };
    },
    blobs: (blobs) => void blobs.set(`blobs/sha256/${sha256(index)}`, index),
    tags: ['many:1'],
  });
  assert.deepEqual((await s.load(archive)).tags, ['many:1']);
});

test('equal layers by links, as old docker save wrote them', async () => {
  const layer = tarOf([{ name: 'f', type: 'file', data: text('f') }]);
  const config = text(JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: Array(2).fill(`sha256:${sha256(layer)}`) } }));
  const image = await s.load(tarOf([
    { name: 'one/layer.tar', type: 'file', data: layer }, { name: 'two/layer.tar', type: 'symlink', linkName: '../one/layer.tar' },
    { name: 'c.json', type: 'file', data: config }, { name: 'manifest.json', type: 'file', data: text(JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: ['one/layer.tar', 'two/layer.tar'] }])) },
  ]));
  assert.equal(image.chainIds.length, 2);
  assert.deepEqual(image.tags, []);
});
