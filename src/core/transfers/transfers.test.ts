import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { sha256, streamOf } from '#test/support/image-archive.ts';
import { TestStore } from '#test/support/test-store.ts';
import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { tarOf } from '../archive/tar-writer.ts';
import type { IncomingImage, PullSession, StageEvent, StageOptions as AllOptions } from './transfer-store.ts';

let store: TestStore;
beforeEach(async () => {
  store = await TestStore.open();
});
afterEach(() => store.destroy());

const layer = (name: string, size = 200_000): Buffer => Buffer.from(tarOf([{ name: `${name}/`, type: 'directory', mode: 0o755 }, { name: `${name}/file`, type: 'file', mode: 0o644, data: randomBytes(size) }, { name: `${name}/small`, type: 'file', mode: 0o600, data: Buffer.from(name) }]));
const digestOf = (bytes: Uint8Array): Digest => `sha256:${sha256(bytes)}` as Digest;

type StageOptions = Omit<AllOptions, 'alone'>;
interface Made { image: IncomingImage; blobs: Buffer[]; tars: Buffer[] }
function made(tars: Buffer[], { pack = (tar: Buffer): Buffer => gzipSync(tar), diffIds = tars.map(digestOf) }: { pack?: (tar: Buffer) => Buffer; diffIds?: Digest[] } = {}): Made {
  const blobs = tars.map(pack);
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } }));
  return { tars, blobs, image: { config, layers: blobs.map((blob) => ({ digest: digestOf(blob), size: blob.byteLength, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' })) } };
}

const manifest = { digest: digestOf(Buffer.from('m')), mediaType: 'm', bytes: Buffer.from('m') };
const publish = (session: PullSession, tag = 'x:latest') => session.publish({ tags: [tag], digests: [`x@${manifest.digest}`], manifest, repository: 'r.test/x' });

/** Serves a blob, and notes the offsets that were asked for. */
function serve(blob: Buffer, { offsets = [], cut = Infinity, signal = new AbortController().signal, onEvent = () => {} }: { offsets?: number[]; cut?: number; signal?: AbortSignal; onEvent?: (event: StageEvent) => void } = {}): StageOptions {
  return {
    signal, onEvent,
    async *open(offset) {
      offsets.push(offset);
      let at = offset;
      for await (const chunk of streamOf(blob.subarray(offset)) as AsyncIterable<Uint8Array>) {
        if ((at += chunk.byteLength) > cut) throw new NaruError('unavailable', 'cut');
        yield chunk;
      }
    },
  };
}

const partials = (): string[] => readdirSync(join(store.dataRoot, 'pulls'));

test('layers come, are unpacked, and become an image with its names', async () => {
  const { image, blobs, tars } = made([layer('a'), layer('b')]);
  await using session = store.store.transfers.begin(image);
  assert.deepEqual(session.missing(), [0, 1]);
  const events: string[] = [];
  await Promise.all(blobs.map((blob, i) => session.stage(i, serve(blob, { onEvent: ({ phase }) => events.push(`${i} ${phase}`) }))));
  assert.deepEqual(session.missing(), []);
  assert.ok(events.includes('0 downloading') && events.includes('1 downloaded'));
  const record = await publish(session);
  assert.equal(record.id, digestOf(image.config));
  assert.deepEqual([record.tags, record.digests], [['x:latest'], [`x@${manifest.digest}`]]);
  assert.deepEqual(partials(), []);
  assert.equal(store.store.images.find(`x@${manifest.digest}`)?.id, record.id);
  assert.deepEqual(Buffer.from(store.store.transfers.manifestOf(record.id)!.bytes), manifest.bytes);
  const [bottom] = store.store.transfers.layersOf(record.id);
  assert.deepEqual(bottom!.blobs, [{ ...image.layers[0], repositories: ['r.test/x'] }]);

  // Compressed again: the same tar, the same bytes each time.
  for (const [compression, decompress] of [['gzip', gunzipSync], ['zstd', zstdDecompressSync]] as const) {
    const digests = new Set<string>();
    for (let i = 0; i < 2; i++) {
      const compressed = store.store.transfers.compress(bottom!, { compression, level: 0, alone: true }, new AbortController().signal);
      const parts: Buffer[] = [];
      for await (const part of compressed.open()) parts.push(Buffer.from(part));
      const bytes = Buffer.concat(parts);
      assert.ok(decompress(bytes).equals(tars[0]!));
      const finished = await compressed.finish();
      assert.deepEqual(finished, { digest: digestOf(bytes), size: bytes.byteLength });
      digests.add(finished.digest);
    }
    assert.equal(digests.size, 1);
  }
});

test('a second image does not bring what is there', async () => {
  const [a, b, c] = [layer('a'), layer('b'), layer('c')];
  const first = made([a, b]);
  {
    await using session = store.store.transfers.begin(first.image);
    await Promise.all(first.blobs.map((blob, i) => session.stage(i, serve(blob))));
    await publish(session);
  }
  await using session = store.store.transfers.begin(made([a, c]).image);
  assert.deepEqual(session.missing(), [1]);
});

test('what came before a cut is used, also after the store was opened anew', async () => {
  const { image, blobs: [blob] } = made([layer('a', 900_000)]);
  const offsets: number[] = [];
  {
    await using session = store.store.transfers.begin(image);
    await assert.rejects(session.stage(0, serve(blob!, { offsets, cut: 500_000 })), /cut/);
  }
  await store.reopen();
  assert.equal(partials().length, 1);
  await using session = store.store.transfers.begin(image);
  await session.stage(0, serve(blob!, { offsets }));
  await publish(session);
  assert.equal(offsets[0], 0);
  assert.ok(offsets[1]! > 350_000 && offsets[1]! <= 500_000, String(offsets));
});

test('a partial file that is damaged is thrown away, and the blob asked for once more', async () => {
  const { image, blobs: [blob] } = made([layer('a')]);
  const path = join(store.dataRoot, 'pulls', `sha256-${sha256(blob!)}.partial`);
  for (const content of [randomBytes(1000), randomBytes(blob!.byteLength), randomBytes(blob!.byteLength + 50_000)]) {
    writeFileSync(path, content);
    const offsets: number[] = [];
    await using session = store.store.transfers.begin(image);
    await session.stage(0, serve(blob!, { offsets }));
    assert.equal(offsets.at(-1), 0);
  }
  // All of it was there: nothing is asked for.
  writeFileSync(path, blob!);
  const offsets: number[] = [];
  await using session = store.store.transfers.begin(image);
  await session.stage(0, serve(blob!, { offsets }));
  assert.deepEqual(offsets, []);
});

test('lies: digest, size, diffId, count', async () => {
  const { image, blobs: [blob] } = made([layer('a')]);
  const refused = async (lie: Buffer, pattern: RegExp): Promise<void> => {
    await using session = store.store.transfers.begin(image);
    await assert.rejects(session.stage(0, serve(lie)), (error: Error) => pattern.test(error.message));
    assert.equal(session.missing().length, 1);
    await assert.rejects(publish(session), (error) => isKind(error, 'conflict'));
  };
  await refused(gzipSync(layer('b')).subarray(0, blob!.byteLength), /verification failed|ended after|malformed|more bytes/);
  await refused(Buffer.concat([blob!.subarray(0, -1), Buffer.of(blob!.at(-1)! ^ 1)]), /filesystem layer verification failed for digest sha256:/);
  await refused(Buffer.concat([blob!, Buffer.of(0)]), /more bytes than the \d+ that were announced/);
  await refused(blob!.subarray(0, -10), /the transfer ended after/);
  const wrong = made([layer('a')], { diffIds: [digestOf(Buffer.from('else'))] });
  await using session = store.store.transfers.begin(wrong.image);
  await assert.rejects(session.stage(0, serve(wrong.blobs[0]!)), /layers from manifest don't match image configuration/);
  assert.throws(() => store.store.transfers.begin({ ...image, layers: [] }), /layers from manifest don't match image configuration/);
  assert.throws(() => store.store.transfers.begin({ ...image, config: Buffer.from('{"rootfs":{"diff_ids":["sha256:../../x"]}}') }), (error) => isKind(error, 'corrupt'));
});

test('zstd and plain layers', async () => {
  const { image, blobs } = made([layer('a'), layer('b')], { pack: (tar) => (tar.includes('a/file') ? zstdCompressSync(tar) : tar) });
  await using session = store.store.transfers.begin(image);
  await Promise.all(blobs.map((blob, i) => session.stage(i, serve(blob))));
  await publish(session);
});

test('a layer whose last padding and end were left out, as umoci writes it', async () => {
  const whole = layer('a', 1000);
  const { image, blobs: [blob] } = made([whole.subarray(0, whole.byteLength - 1024 - 511)]);
  await using session = store.store.transfers.begin(image);
  await session.stage(0, serve(blob!));
  const { id } = await publish(session);
  const [one] = store.store.transfers.layersOf(id);
  const parts: Buffer[] = [];
  for await (const part of store.store.transfers.compress(one!, { compression: 'gzip', level: 0, alone: true }, new AbortController().signal).open()) parts.push(Buffer.from(part));
  assert.ok(gunzipSync(Buffer.concat(parts)).equals(gunzipSync(blob!)));
});

test('a layer that is no archive, and one of nothing but zeros', async () => {
  for (const [blob, pattern] of [[gzipSync(Buffer.from('no tar at all, but long enough to be looked at'.repeat(100))), /malformed|invalid/], [gzipSync(Buffer.alloc(200 << 20)), /don't match image configuration/]] as const) {
    const { image } = made([layer('a')], { pack: () => blob });
    await using session = store.store.transfers.begin(image);
    await assert.rejects(session.stage(0, serve(blob)), (error: Error) => pattern.test(error.message));
  }
});

test('two pulls of the same layer share the work', async () => {
  const { image, blobs: [blob] } = made([layer('a')]);
  const offsets: number[] = [];
  await using one = store.store.transfers.begin(image);
  await using two = store.store.transfers.begin(image);
  await Promise.all([one.stage(0, serve(blob!, { offsets })), two.stage(0, serve(blob!, { offsets }))]);
  assert.deepEqual(offsets, [0]);
  await publish(one, 'one:latest');
  assert.deepEqual(two.missing(), []);
  const record = await publish(two, 'two:latest');
  assert.deepEqual(record.tags, ['one:latest', 'two:latest']);
});

test('when the pull that brings a layer is canceled, the other goes on', async () => {
  const { image, blobs: [blob] } = made([layer('a', 900_000)]);
  const offsets: number[] = [];
  const controller = new AbortController();
  await using one = store.store.transfers.begin(image);
  await using two = store.store.transfers.begin(image);
  const stuck: StageOptions = {
    ...serve(blob!, { offsets, signal: controller.signal }),
    async *open(offset, signal) {
      offsets.push(offset);
      yield blob!.subarray(0, 300_000);
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new NaruError('canceled', 'canceled'))));
    },
  };
  const first = one.stage(0, stuck);
  const second = two.stage(0, serve(blob!, { offsets }));
  setTimeout(() => controller.abort(), 200);
  await assert.rejects(first, (error) => isKind(error, 'canceled'));
  await second;
  await publish(two);
  assert.equal(offsets.length, 2);
});

test('images whose layers cross do not wait for each other (CVE-2021-20291)', async () => {
  const tars = Array.from({ length: 8 }, (_, i) => layer(`l${i}`, 10_000));
  const forth = made(tars), back = made([...tars].reverse());
  const pull = async ({ image, blobs }: Made, tag: string): Promise<void> => {
    await using session = store.store.transfers.begin(image);
    for (let attempt = 1; ; attempt++) {
      await Promise.all(session.missing().map((i) => session.stage(i, serve(blobs[i]!))));
      try {
        return void (await publish(session, tag));
      } catch (error) {
        if (attempt === 5 || !isKind(error, 'conflict')) throw error;
      }
    }
  };
  await Promise.all([pull(forth, 'a:1'), pull(back, 'b:1'), pull(forth, 'a:2'), pull(back, 'b:2')]);
  assert.equal(store.store.images.list().length, 2);
});

test('an image that is removed while another that shares its layers comes: those are brought again', async () => {
  const [a, b] = [layer('a'), layer('b')];
  const first = made([a]);
  {
    await using session = store.store.transfers.begin(first.image);
    await session.stage(0, serve(first.blobs[0]!));
    await publish(session);
  }
  const second = made([a, b]);
  await using session = store.store.transfers.begin(second.image);
  assert.deepEqual(session.missing(), [1]);
  await session.stage(1, serve(second.blobs[1]!));
  store.store.images.delete(digestOf(first.image.config));
  await assert.rejects(publish(session), (error) => isKind(error, 'conflict'));
  assert.deepEqual(session.missing(), [0]);
  await session.stage(0, serve(second.blobs[0]!));
  await publish(session);
});

test('nothing is left: of a failure only the partial file, of an image that went nothing at all', async () => {
  const { image, blobs } = made([layer('a'), layer('b')]);
  {
    await using session = store.store.transfers.begin(image);
    await session.stage(0, serve(blobs[0]!));
  }
  await store.empty();
  assert.equal(statSync(join(store.dataRoot, 'pulls', `sha256-${sha256(blobs[0]!)}.partial`)).size, blobs[0]!.byteLength);
});

test('a layer that was fitted to other parents is not downloaded again', async () => {
  // No entry for d/: what it is like comes from the parents, so the tree cannot be shared.
  const implicit = Buffer.from(tarOf([{ name: 'd/file', type: 'file', mode: 0o644, data: randomBytes(50_000) }]));
  const first = made([layer('a'), implicit]);
  const second = made([layer('b'), implicit]);
  {
    await using session = store.store.transfers.begin(first.image);
    await Promise.all(first.blobs.map((blob, i) => session.stage(i, serve(blob))));
    await publish(session, 'x:1');
  }
  const offsets: number[] = [];
  await using session = store.store.transfers.begin(second.image);
  await session.stage(0, serve(second.blobs[0]!));
  await session.stage(1, serve(second.blobs[1]!, { offsets }));
  const record = await publish(session, 'x:2');
  assert.deepEqual(offsets, [], 'the registry was not asked');
  assert.equal(record.config.rootfs.diff_ids[1], digestOf(implicit));
});
