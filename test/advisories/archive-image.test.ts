import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarHeader, tarOf } from '#core/archive/tar-writer.ts';
import { MAX_EXTENDED_HEADER } from '#core/archive/tar-entry.ts';
import { isKind, type ErrorKind } from '#spec/errors.ts';
import { dockerArchive, ociArchive, sha256, streamOf } from '../support/image-archive.ts';
import { TestStore } from '../support/test-store.ts';

/** Image archives that lie (attacks 33, 34, 36, 37), and bombs. After each refusal nothing may be left. */
let s: TestStore;
before(async () => {
  s = await TestStore.open();
});
afterEach(() => s.empty());
after(() => s.destroy());

const layer = tarOf([{ name: 'f', type: 'file', mode: 0o644, data: Buffer.from('content') }]);
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

async function refused(archive: Uint8Array, kind: ErrorKind, pattern: RegExp): Promise<void> {
  await assert.rejects(s.load(archive), (error: Error) => {
    assert.match(error.message, pattern);
    assert.ok(isKind(error, kind), `kind of ${error.message}: ${(error as { kind?: string }).kind}`);
    return true;
  });
  assert.deepEqual(s.store.images.list(), []);
  assert.deepEqual(s.leftovers(), []);
}

test('a layer with another diffId than the config says', () => refused(dockerArchive([layer], { diffIds: [`sha256:${'0'.repeat(64)}`] }), 'corrupt', /invalid diffID for layer 0: expected "sha256:0{64}", got/));
test('a config under another digest’s name', () => refused(tarOf([
  { name: 'l.tar', type: 'file', data: layer },
  { name: `${'1'.repeat(64)}.json`, type: 'file', data: json({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] } }) },
  { name: 'manifest.json', type: 'file', data: json([{ Config: `${'1'.repeat(64)}.json`, RepoTags: ['x:1'], Layers: ['l.tar'] }]) },
]), 'corrupt', /has digest/));
test('a blob that is not what its digest says', async () => {
  for (const which of [0, 1, 2]) {
    await refused(ociArchive([layer], {
      blobs(blobs) {
        const path = [...blobs.keys()][which]!;
        const changed = Buffer.from(blobs.get(path)!);
        changed[changed.byteLength - 1]! ^= 1;
        blobs.set(path, changed);
      },
    }), 'corrupt', /digest|JSON/);
  }
});
test('sizes in descriptors that lie', async () => {
  const lie = (list: unknown): unknown => (list as { size: number }[]).map((d) => ({ ...d, size: d.size + 1 }));
  await refused(ociArchive([layer], { manifest: (m) => ({ ...m, layers: lie(m['layers']) }) }), 'corrupt', /its descriptor says/);
  await refused(ociArchive([layer], { manifest: (m) => ({ ...m, config: { ...(m['config'] as object), size: 1 } }) }), 'corrupt', /its descriptor says/);
  await refused(ociArchive([layer], { index: (i) => ({ ...i, manifests: lie(i['manifests']) }) }), 'corrupt', /its descriptor says/);
});
test('CVE-2024-3727: a digest that is a path', async () => {
  for (const digest of ['sha256:../../../../etc/passwd', '../../etc/passwd', 'sha256:', `md5:${'0'.repeat(32)}`, `sha256:${'A'.repeat(64)}`, 7, null]) {
    await refused(ociArchive([layer], { manifest: (m) => ({ ...m, layers: (m['layers'] as object[]).map((d) => ({ ...d, digest })) }) }), 'corrupt', /no digest|malformed descriptor/);
  }
});
test('CVE-2021-41190: a document that is an index and a manifest', () =>
  refused(ociArchive([layer], { manifest: (m) => ({ ...m, manifests: [] }) }), 'corrupt', /not what its descriptor says/));
test('a media type that contradicts the descriptor', () =>
  refused(ociArchive([layer], { manifest: (m) => ({ ...m, mediaType: 'application/vnd.oci.image.index.v1+json' }) }), 'corrupt', /its descriptor/));
test('indexes that go round or deep', async () => {
  const type = 'application/vnd.oci.image.index.v1+json';
  let inner: { mediaType: string; digest: string; size: number } = { mediaType: type, digest: `sha256:${'2'.repeat(64)}`, size: 1 };
  const documents: Uint8Array[] = [];
  for (let i = 0; i < 12; i++) {
    const document = json({ schemaVersion: 2, mediaType: type, manifests: [inner] });
    documents.push(document);
    inner = { mediaType: type, digest: `sha256:${sha256(document)}`, size: document.byteLength };
  }
  const archive = ociArchive([layer], {
    index: (i) => ({ ...i, manifests: [inner] }),
    blobs: (blobs) => documents.forEach((d) => blobs.set(`blobs/sha256/${sha256(d)}`, d)),
  });
  await refused(archive, 'corrupt', /nested deeper/);
});
test('a million layers in a config', () =>
  refused(dockerArchive([layer], { diffIds: Array.from({ length: 50_000 }, () => `sha256:${sha256(layer)}`) }), 'corrupt', /length mismatch/));
test('prototype keys in documents are only data', async () => {
  const image = await s.load(dockerArchive([layer], { config: JSON.parse('{"__proto__":{"polluted":1},"config":{"Labels":{"__proto__":"x"}}}') as Record<string, unknown> }));
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  assert.equal(image.tags[0], 'test:latest');
});
test('CVE-2026-50195: tags that are no tags', async () => {
  for (const tag of ['../../x:1', 'UPPER:1', 'a b', '', `${'x'.repeat(300)}:1`, `a@sha256:${'0'.repeat(64)}`, '-x:1', 'a:..']) {
    await assert.rejects(s.load(dockerArchive([layer], { tags: [tag] })));
    assert.deepEqual(s.leftovers(), []);
  }
});
test('references in manifest.json that climb or are missing', async () => {
  for (const path of ['../../../../../../etc/passwd', '/etc/passwd', 'nowhere']) {
    await refused(tarOf([{ name: 'manifest.json', type: 'file', data: json([{ Config: path, RepoTags: null, Layers: [] }]) }]), 'corrupt', /missing|outside/);
  }
});
test('a link in the archive leads to no file of the host', () => refused(tarOf([
  { name: 'c.json', type: 'symlink', linkName: '/etc/passwd' },
  { name: 'l.tar', type: 'symlink', linkName: '../../../../../../../../etc/passwd' },
  { name: 'manifest.json', type: 'file', data: json([{ Config: 'c.json', RepoTags: null, Layers: ['l.tar'] }]) },
]), 'corrupt', /missing/));

test('an archive that is cut anywhere', async () => {
  const whole = dockerArchive([layer, tarOf([{ name: 'big', type: 'file', data: randomBytes(200_000) }])]);
  for (const part of [0, 1, 511, 512, 700, 5000, 100_000, whole.byteLength - 2000]) {
    await refused(whole.subarray(0, part), 'corrupt', /invalid archive|malformed archive/);
  }
});
test('a stream that breaks', async () => {
  const whole = dockerArchive([tarOf([{ name: 'big', type: 'file', data: randomBytes(500_000) }])]);
  const stream = streamOf(whole, 4096);
  let passed = 0;
  stream.on('data', (chunk: Buffer) => {
    passed += chunk.byteLength;
    if (passed > 200_000) stream.destroy(new Error('the client went away'));
  });
  stream.pause();
  await assert.rejects(async () => {
    for await (const event of s.store.images.load(stream, new AbortController().signal)) void event;
  });
  assert.deepEqual(s.leftovers(), []);
});
test('an abort in the middle', async () => {
  const controller = new AbortController();
  const endless = streamOf(dockerArchive([tarOf([{ name: 'big', type: 'file', data: randomBytes(500_000) }])]).subarray(0, 400_000), 4096);
  const push = endless as unknown as { push(chunk: Buffer | null): boolean };
  void push;
  setTimeout(() => controller.abort(), 150);
  await assert.rejects(async () => {
    const { Readable } = await import('node:stream');
    const stalled = Readable.from((async function* () {
      for await (const chunk of endless) yield chunk as Buffer;
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    })(), { objectMode: false });
    for await (const event of s.store.images.load(stalled, controller.signal)) void event;
  }, (error: Error) => isKind(error, 'canceled'));
  assert.deepEqual(s.leftovers(), []);
});
test('noise', async () => {
  for (let i = 0; i < 5; i++) await refused(randomBytes(5000 * (i + 1)), 'corrupt', /malformed/);
  await refused(gzipSync(randomBytes(50_000)), 'corrupt', /malformed/);
  const damaged = gzipSync(dockerArchive([layer]));
  damaged.fill(0x55, 200, 260);
  await refused(damaged, 'corrupt', /malformed/);
});

test('a file whose header promises more than there is', async () => {
  const lying = Buffer.concat([tarHeader({ name: 'f', type: 'file', size: 10_000_000 }), Buffer.alloc(1024, 1)]);
  await refused(dockerArchive([lying]), 'corrupt', /malformed archive: unexpected end/);
});
test('numbers that are no sizes', async () => {
  for (const record of ['size=-1', 'size=99999999999999999999', 'size=abc', 'uid=-5', 'mtime=yesterday']) {
    const text = ` ${record}\n`;
    const pax = Buffer.from(`${text.length + 2}${text}`);
    const bad = Buffer.concat([
      paxBlock(pax.byteLength), pax, Buffer.alloc(512 - pax.byteLength), tarHeader({ name: 'f', type: 'file' }), Buffer.alloc(1024),
    ]);
    await refused(dockerArchive([bad]), 'corrupt', /malformed/);
  }
});
test('an extended header without end', async () => {
  const huge = Buffer.concat([paxBlock(MAX_EXTENDED_HEADER + 1), Buffer.alloc(4096)]);
  await refused(dockerArchive([huge]), 'too-large', /extended header/);
});
test('a sparse file says so', async () => {
  const header = Buffer.from(tarHeader({ name: 'f', type: 'file' }));
  header[156] = 'S'.charCodeAt(0);
  await refused(dockerArchive([Buffer.concat([resum(header), Buffer.alloc(1024)])]), 'unsupported', /sparse/);
});
test('other compressions are named', async () => {
  const xz = Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), randomBytes(600)]);
  await refused(xz, 'unsupported', /xz/);
  await refused(dockerArchive([layer], { pack: () => xz }), 'unsupported', /xz/);
});

test('a bomb outside and a bomb in a layer', async () => {
  const zeros = Buffer.alloc(160 << 20);
  const bomb = zstdCompressSync(Buffer.concat([tarHeader({ name: 'zeros', type: 'file', size: zeros.byteLength }), zeros, Buffer.alloc(1024)]));
  assert.ok(zeros.byteLength / bomb.byteLength > 2000);
  await refused(bomb, 'too-large', /bomb|times its size/);
  await refused(dockerArchive([layer], { pack: () => bomb }), 'too-large', /times its size/);
});
test('honest compression is read', async () => {
  for (const pack of [gzipSync, zstdCompressSync]) {
    const image = await s.load(pack(dockerArchive([layer], { pack })));
    assert.equal(image.size, 7);
    await s.load(pack(ociArchive([layer], { pack, tags: ['second:1'] })));
  }
});

function paxBlock(size: number): Buffer {
  const header = Buffer.from(tarHeader({ name: 'PaxHeaders/x', type: 'file', size }));
  header[156] = 'x'.charCodeAt(0);
  return resum(header);
}

function resum(header: Buffer): Buffer {
  header.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}
