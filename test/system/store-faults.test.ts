import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { openStore } from '#core/open-store.ts';
import { tarOf } from '#core/archive/tar-writer.ts';
import { isKind } from '#spec/errors.ts';
import { dockerArchive, streamOf } from '../support/image-archive.ts';
import { TestStore } from '../support/test-store.ts';

let s: TestStore;
before(async () => {
  s = await TestStore.open();
});
afterEach(() => s.empty());
after(() => s.destroy());

const big = dockerArchive([tarOf([{ name: 'd', type: 'directory', mode: 0o755 }, ...Array.from({ length: 40 }, (_, i) => ({ name: `d/f${i}`, type: 'file' as const, data: randomBytes(1 << 20) }))])]);

/** Helper processes that work below a directory. */
const helpers = (below: string): number[] => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).map(Number).filter((pid) => {
  try {
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return line.includes(below) && line.includes('"kind"');
  } catch {
    return false;
  }
});
const until = async (what: string, test: () => boolean): Promise<void> => {
  for (let i = 0; i < 250; i++) {
    if (test()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${what}`);
};

/** An archive that stops in the middle until it is destroyed. */
const stalled = (bytes: Uint8Array, at: number): Readable => {
  let sent = false;
  return new Readable({
    read() {
      if (!sent) for (let i = 0; i < at; i += 65536) this.push(Buffer.from(bytes.subarray(i, Math.min(at, i + 65536))));
      sent = true;
    },
  });
};

test('a full disk: one sentence, nothing left', async () => {
  const small = join(s.scratch, 'small');
  mkdirSync(small);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'naru-test', small]).status, 0);
  try {
    const store = await openStore(join(small, 'data'), []);
    await assert.rejects(async () => {
      for await (const event of store.images.load(streamOf(big, 65536), new AbortController().signal)) void event;
    }, (error: Error) => isKind(error, 'no-space') && /no space left on device/.test(error.message));
    for (const directory of ['incoming', 'layers', 'recipes', 'trash']) await until(`${directory} is empty`, () => readdirSync(join(small, 'data', directory)).length === 0);
    // and there is room again
    for await (const event of store.images.load(streamOf(dockerArchive([tarOf([{ name: 'f', type: 'file', data: randomBytes(1 << 20) }])])), new AbortController().signal)) void event;
    assert.equal(store.images.list().length, 1);
    store.close();
  } finally {
    assert.equal(spawnSync('umount', [small]).status, 0);
  }
});

test('the helper is killed: an error, nothing left, and the next works', async () => {
  const archive = stalled(big, 20 << 20);
  const failed = assert.rejects(async () => {
    for await (const event of s.store.images.load(archive, new AbortController().signal)) void event;
  }, /helper process failed \(SIGKILL\)/);
  await until('the helper works', () => helpers(s.dataRoot).length === 1 && readdirSync(join(s.dataRoot, 'incoming')).length === 1);
  process.kill(helpers(s.dataRoot)[0]!, 'SIGKILL');
  await failed;
  assert.equal(archive.destroyed, true);
  assert.deepEqual(s.leftovers(), []);
  assert.equal((await s.load(big)).size, 40 << 20);
});

test('the daemon is killed while it loads: the next one finds nothing half made', async () => {
  s.store.close();
  const script = join(s.scratch, 'daemon.ts');
  writeFileSync(join(s.scratch, 'archive'), big);
  writeFileSync(script, `
import { createReadStream } from 'node:fs';
import { openStore } from ${JSON.stringify(join(import.meta.dirname, '../../src/core/open-store.ts'))};
const store = await openStore(${JSON.stringify(s.dataRoot)}, []);
async function* slow() { for await (const chunk of createReadStream(${JSON.stringify(join(s.scratch, 'archive'))})) { yield chunk; await new Promise((r) => setTimeout(r, 5)); } }
const { Readable } = await import('node:stream');
for await (const event of store.images.load(Readable.from(slow(), { objectMode: false }), new AbortController().signal)) console.log(event);
`);
  for (let round = 0; round < 3; round++) {
    const daemon = spawn(process.execPath, [script], { stdio: 'ignore' });
    await until('a layer grows', () => {
      const jobs = readdirSync(join(s.dataRoot, 'incoming'));
      return jobs.length > 0 && readdirSync(join(s.dataRoot, 'incoming', jobs[0]!)).length > 0;
    });
    await new Promise((resolve) => setTimeout(resolve, 40 * round));
    daemon.kill('SIGKILL');
    await until('the helper is gone too', () => helpers(s.dataRoot).length === 0);
    const store = await openStore(s.dataRoot, []);
    assert.deepEqual(store.images.list(), []);
    store.close();
  }
  s.store = await openStore(s.dataRoot, []);
  await until('all is swept', () => s.leftovers().length === 0);
  assert.equal((await s.load(big)).size, 40 << 20);
});

test('two loads of the same image at once, and a delete in between', async () => {
  const [a, b] = await Promise.all([s.load(big), s.load(big)]);
  assert.equal(a.id, b.id);
  assert.equal(readdirSync(join(s.dataRoot, 'layers')).length, 1);
  const loading = s.load(big);
  s.store.images.delete(a.id);
  const again = await loading;
  assert.ok(s.store.images.get(again.id) !== undefined);
  assert.ok(readdirSync(s.layerOf(again)).length > 0);
});

test('a save whose reader leaves ends its helper', async () => {
  const image = await s.load(big);
  const stream = s.store.images.save([{ id: image.id, tags: image.tags }]).stream();
  await new Promise((resolve) => stream.once('readable', resolve));
  const before = process.memoryUsage().rss;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(process.memoryUsage().rss - before < 16 << 20, 'nobody reads, so nothing is gathered');
  stream.destroy();
  await until('the helper is gone', () => spawnSync('pgrep', ['-P', String(process.pid), 'bun'], { encoding: 'utf8' }).stdout.trim() === '');
  assert.ok((await buffer(s.store.images.save([{ id: image.id, tags: [] }]).stream())).byteLength > 40 << 20);
});

test('the event loop goes on while an image is loaded and removed', async () => {
  const begun = performance.now();
  let worst = 0;
  let last = begun;
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
  }, 1);
  const image = await s.load(big);
  s.store.images.delete(image.id);
  clearInterval(timer);
  const all = performance.now() - begun;
  assert.ok(worst < all / 2, `blocked for ${worst.toFixed(1)} of ${all.toFixed(1)} ms`);
});
