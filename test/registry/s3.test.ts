import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { distributionSuite } from '#test/conformance/distribution/distribution-suite.ts';
import { fakeS3, type FakeS3 } from './fake-s3.ts';
import { digestOf, randomBlob, repository, testRegistry, type TestRegistry } from './harness.ts';

describe('OCI distribution on S3', () => {
  let s3: FakeS3;
  let registry: TestRegistry;
  before(async () => {
    s3 = await fakeS3('bucket');
    registry = await testRegistry({
      s3: { endpoint: s3.url, bucket: 'bucket', region: 'test-1', accessKeyId: 'key', secretAccessKey: 'secret', prefix: 'reg/', partBytes: 100_000 },
      garbage: { interval: 3_600_000, grace: 0 },
    });
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    await s3[Symbol.asyncDispose]();
  });
  distributionSuite(() => registry.url);

  test('large blobs go in parts, in order, and come back by ranges', async () => {
    const one = repository(registry.url, 'large');
    const bytes = randomBlob(350_000);
    const digest = digestOf(bytes);
    s3.failNext(2);
    assert.equal((await one.put(bytes)).status, 201);
    assert.deepEqual(s3.objects.get(`reg/${digest.replace(':', '/')}`), bytes);
    assert.equal(s3.uploads.size, 0);
    const part = await one.blob(digest, { headers: { range: 'bytes=99990-200009' } });
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(99_990, 200_010));
  });

  test('a storage that fails is told; the upload can be ended again', async () => {
    const one = repository(registry.url, 'failing');
    const bytes = randomBlob(1_000);
    const location = await one.start();
    await one.send('PATCH', location, { body: bytes });
    s3.failNext(4, 500);
    const answer = await one.send('PUT', one.withQuery(location, `digest=${digestOf(bytes)}`));
    assert.equal(answer.status, 503);
    assert.equal((await one.blob(digestOf(bytes))).status, 404);
    assert.equal((await one.send('PUT', one.withQuery(location, `digest=${digestOf(bytes)}`))).status, 201);
  });

  test('collection, and strays', async () => {
    s3.objects.set(`reg/sha256/${'a'.repeat(64)}`, Buffer.from('stray'));
    s3.objects.set('reg/something-else', Buffer.from('not ours'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const report = await registry.server.clean();
    assert.ok((report?.blobs ?? 0) >= 2);
    assert.equal(report?.strays, 1);
    assert.ok(s3.objects.has('reg/something-else'));
  });
});
