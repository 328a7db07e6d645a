import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { FakeRegistry, refuse } from '#test/support/fake-registry.ts';
import { collect, openFake } from '#test/support/open-fake.ts';
import { isKind } from '#spec/errors.ts';

const DATA = randomBytes(300_000);

test('a blob that is cut again and again is finished by Range', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  let cuts = 0;
  registry.quirks.push((request, response) => {
    if (!request.url!.includes('/blobs/') || cuts >= 5) return false;
    cuts++;
    const from = Number(/bytes=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(from === 0 ? 200 : 206, { 'content-length': DATA.byteLength - from, ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${DATA.byteLength - 1}/${DATA.byteLength}` }) });
    response.write(DATA.subarray(from, from + 50_000));
    setTimeout(() => response.socket?.destroy(), 20);
    return true;
  });
  using repository = openFake(registry);
  assert.ok(DATA.equals(await collect(repository.blob(blob))));
  assert.equal(cuts, 5);
  assert.match(registry.requests.at(-1)!.headers.range!, /^bytes=\d{5,}-$/);
});

test('a short body that ends cleanly is resumed too', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  let first = true;
  registry.quirks.push((_request, response) => {
    if (!first) return false;
    first = false;
    response.write(DATA.subarray(0, 1000)); // chunked: no length to be wrong about
    setTimeout(() => response.end(), 5);
    return true;
  });
  using repository = openFake(registry);
  assert.ok(DATA.equals(await collect(repository.blob(blob))));
  assert.equal(registry.requests.at(-1)!.headers.range, 'bytes=1000-');
});

test('a server that ignores Range has its first bytes skipped', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  registry.quirks.push((_request, response) => {
    response.end(DATA);
    return true;
  });
  using repository = openFake(registry);
  assert.ok(DATA.subarray(123_456).equals(await collect(repository.blob(blob, { offset: 123_456 }))));
});

test('a range that is not the one asked for is refused', async () => {
  for (const range of ['bytes 0-299999/300000', 'bytes 1000-299999/300001', undefined]) {
    await using registry = await FakeRegistry.start();
    const blob = registry.addBlob(DATA);
    registry.quirks.push((_request, response) => {
      response.writeHead(206, range === undefined ? {} : { 'content-range': range }).end(DATA.subarray(1000));
      return true;
    });
    using repository = openFake(registry);
    await assert.rejects(collect(repository.blob(blob, { offset: 1000 })), (error) => isKind(error, 'corrupt'));
  }
});

test('more or fewer bytes than the descriptor says', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  using repository = openFake(registry);
  await assert.rejects(collect(repository.blob({ ...blob, size: DATA.byteLength - 1 })), /its descriptor says 299999/);
  await assert.rejects(collect(repository.blob({ ...blob, size: DATA.byteLength + 1 })), /its descriptor says 300001/);
  registry.quirks.push((_request, response) => {
    response.write(DATA);
    setTimeout(() => response.end(DATA), 5);
    return true;
  });
  await assert.rejects(collect(repository.blob(blob)), /is longer than the 300000 bytes/);
});

test('a wrong digest is found in a document', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob('{}');
  registry.blobs.set(blob.digest, Buffer.from('[]'));
  using repository = openFake(registry);
  await assert.rejects(repository.document(blob), /filesystem layer verification failed for digest sha256:/);
});

test('a registry that sends nothing any more is given up after a while', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  registry.quirks.push((_request, response) => {
    response.writeHead(200, { 'content-length': DATA.byteLength });
    response.write(DATA.subarray(0, 10));
    return true;
  });
  using repository = openFake(registry, { patience: 50 });
  await assert.rejects(collect(repository.blob(blob)), /sent nothing for 0.05 s/);
});

test('429 waits as long as Retry-After says; 5xx is tried again, a few times', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  const answers = [429, 503, 500];
  registry.quirks.push((_request, response) => {
    const status = answers.shift();
    if (status === undefined) return false;
    refuse(response, status, status === 429 ? 'TOOMANYREQUESTS' : 'UNAVAILABLE', status === 429 ? { 'retry-after': '1' } : {});
    return true;
  });
  using repository = openFake(registry);
  const began = performance.now();
  assert.ok(DATA.equals(await collect(repository.blob(blob))));
  assert.ok(performance.now() - began > 950);
  registry.quirks.length = 0;
  registry.quirks.push((_request, response) => {
    refuse(response, 502, 'UNAVAILABLE');
    return true;
  });
  const before = registry.requests.length;
  await assert.rejects(collect(repository.blob(blob)), (error) => isKind(error, 'unavailable'));
  assert.ok(registry.requests.length - before <= 16);
});

test('a pull can be canceled while bytes come', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob(DATA);
  registry.quirks.push((_request, response) => {
    response.writeHead(200, { 'content-length': DATA.byteLength });
    response.write(DATA.subarray(0, 10));
    return true;
  });
  using repository = openFake(registry);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 30);
  await assert.rejects(collect(repository.blob(blob, { signal: controller.signal })), (error) => isKind(error, 'canceled'));
});
