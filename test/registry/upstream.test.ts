import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setPassword } from '#registry/server/auth/password-file.ts';
import { codeOf, digestOf, randomBlob, repository, testRegistry } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'naru-upstream-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('a cache in front of a registry: fetched once, shown while the upstream is away', async () => {
  const users = join(directory, 'users');
  await setPassword(users, 'cache', 'word');
  const upstream = await testRegistry({ htpasswd: { path: users, realm: 'up' } });
  const origin = repository(upstream.url, 'lib/app', { authorization: `Basic ${Buffer.from('cache:word').toString('base64')}` });
  const layer = randomBlob(3_000_000);
  const image = await origin.image('v1', { layers: [layer] });
  await using cache = await testRegistry({ upstream: { url: upstream.url, username: 'cache', password: 'word', fresh: 0 } });
  const one = repository(cache.url, 'lib/app');

  assert.equal(await (await one.manifest('v1')).text(), image.text);
  const bodies = await Promise.all([...Array(8).keys()].map(async () => Buffer.from(await (await one.blob(digestOf(layer))).arrayBuffer())));
  for (const body of bodies) assert.equal(digestOf(body), digestOf(layer));
  const part = await one.blob(digestOf(layer), { headers: { range: 'bytes=10-19' } });
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), layer.subarray(10, 20));
  assert.deepEqual((await (await one.send('GET', '/v2/lib/app/tags/list')).json()), { name: 'lib/app', tags: ['v1'] });

  const moved = await origin.image('v1');
  assert.equal((await one.manifest('v1')).headers.get('docker-content-digest'), moved.digest, 'a tag that moved is followed');
  for (const { digest } of moved.layers.concat(moved.config)) assert.equal((await one.blob(digest)).status, 200);
  assert.equal((await one.manifest('absent')).status, 404);
  assert.equal((await one.blob(digestOf('absent'))).status, 404);

  await upstream[Symbol.asyncDispose]();
  const stale = await one.manifest('v1');
  assert.equal(stale.status, 200);
  assert.match(stale.headers.get('warning') as string, /^299 - "/);
  assert.equal(digestOf(Buffer.from(await (await one.blob(digestOf(layer))).arrayBuffer())), digestOf(layer));
  assert.equal((await (await one.send('GET', '/v2/lib/app/tags/list')).json() as { tags: string[] }).tags.length, 1);
  assert.equal((await one.manifest('other')).status, 503);
  const push = await one.send('POST', '/v2/lib/app/blobs/uploads/');
  assert.equal(push.status, 405);
  assert.equal(await codeOf(push), 'UNSUPPORTED');
});

test('an upstream that lies: wrong bytes never arrive whole, and nothing is kept', async () => {
  const bytes = randomBlob(100_000);
  const digest = digestOf(bytes);
  const lie = Buffer.from(bytes);
  lie[500] = (lie[500] as number) ^ 1;
  let honest = false;
  const asked: { path: string; authorization: string | undefined }[] = [];
  const elsewhere = createServer((request, response) => { asked.push({ path: `elsewhere${request.url}`, authorization: request.headers.authorization }); response.end(honest ? bytes : lie); });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    asked.push({ path: request.url as string, authorization: request.headers.authorization });
    if (request.url?.startsWith('/token')) return response.end(JSON.stringify({ token: 'tok', expires_in: 300 }));
    if (request.headers.authorization !== 'Bearer tok') { response.writeHead(401, { 'www-authenticate': `Bearer realm="http://127.0.0.1:${port}/token",service="up"` }); return response.end(); }
    if (request.url?.includes('/manifests/')) { response.writeHead(200, { 'docker-content-digest': digest, 'content-type': 'application/vnd.oci.image.manifest.v1+json' }); return response.end(lie); }
    response.writeHead(307, { location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/store` });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await using cache = await testRegistry({ upstream: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, username: 'u', password: 'p', fresh: 0 } });
    const one = repository(cache.url, 'lib/app');
    await assert.rejects(async () => { const answer = await one.blob(digest); if (answer.status !== 200) throw new Error('refused'); await answer.arrayBuffer(); });
    assert.equal((await one.manifest('v1')).status, 503);
    honest = true;
    for (let i = 0; ; i++) {
      const answer = await one.blob(digest);
      const body = Buffer.from(await answer.arrayBuffer().catch(() => new ArrayBuffer(0)));
      if (answer.status === 200 && digestOf(body) === digest) break;
      assert.ok(i < 20);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(asked.filter((a) => a.path.startsWith('elsewhere')).map((a) => a.authorization).filter((a) => a !== undefined), [], 'no credentials follow a redirect');
    assert.ok(asked.some((a) => a.path.startsWith('/token?') && a.path.includes('scope=repository%3Alib%2Fapp%3Apull') && a.authorization?.startsWith('Basic ')));
  } finally {
    server.closeAllConnections(); server.close();
    elsewhere.closeAllConnections(); elsewhere.close();
  }
});
