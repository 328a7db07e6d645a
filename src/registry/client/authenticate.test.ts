import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { answered, FakeRegistry, refuse } from '#test/support/fake-registry.ts';
import { collect, hostFiles, openFake } from '#test/support/open-fake.ts';
import { isKind } from '#spec/errors.ts';

const USER = { username: 'ann', password: 'sesame' };
const BASIC = `Basic ${Buffer.from('ann:sesame').toString('base64')}`;

/** Demands tokens of the realm `/token` on the same host. */
function demandTokens(registry: FakeRegistry, { realm = `http://${registry.host}/token`, token = 'abc' }: { realm?: string; token?: string } = {}): void {
  registry.quirks.push((request: IncomingMessage, response: ServerResponse) => {
    if (request.url!.startsWith('/token')) {
      if (request.headers.authorization !== undefined && request.headers.authorization !== BASIC) refuse(response, 401, 'UNAUTHORIZED');
      else response.end(JSON.stringify({ token, expires_in: 300 }));
      return true;
    }
    if (request.headers.authorization === `Bearer ${token}`) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="${realm}",service="reg",scope="repository:library/x:pull"` });
    return true;
  });
}

test('a token is fetched once, with the scope and the password, and used from then on', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob('hello');
  demandTokens(registry);
  using repository = openFake(registry, { credentials: USER });
  await Promise.all([collect(repository.blob(blob)), collect(repository.blob(blob)), collect(repository.blob(blob))]);
  await collect(repository.blob(blob));
  const tokens = registry.seen('GET', '/token');
  assert.ok(tokens.length <= 3, String(tokens.length));
  const url = new URL(tokens[0]!.url, 'http://x');
  assert.deepEqual([url.searchParams.get('service'), url.searchParams.get('scope'), url.searchParams.get('account')], ['reg', 'repository:library/x:pull', 'ann']);
  assert.equal(tokens[0]!.headers.authorization, BASIC);
  for (const { headers } of registry.seen('GET', '/v2/')) assert.notEqual(headers.authorization, BASIC, 'the password goes to the realm only');
});

test('an identity token is exchanged by POST', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob('hello');
  demandTokens(registry);
  using repository = openFake(registry, { credentials: { identityToken: 'refresh-me' } });
  await collect(repository.blob(blob));
  const [post] = registry.seen('POST', '/token');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(post!.body.toString())), { grant_type: 'refresh_token', client_id: 'naru', refresh_token: 'refresh-me', service: 'reg', scope: 'repository:library/x:pull' });
});

test('an expired token is renewed', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob('hello');
  let valid = 'one';
  registry.quirks.push((request, response) => {
    if (request.url!.startsWith('/token')) return answered(response.end(JSON.stringify({ access_token: valid })));
    if (request.headers.authorization === `Bearer ${valid}`) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="http://${registry.host}/token"` });
    return true;
  });
  using repository = openFake(registry);
  await collect(repository.blob(blob));
  valid = 'two';
  await collect(repository.blob(blob));
  assert.equal(registry.seen('GET', '/token').length, 2);
});

test('basic authentication, and a wrong password', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob('hello');
  registry.quirks.push((request, response) => {
    if (request.headers.authorization === BASIC) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="x"' });
    return true;
  });
  using repository = openFake(registry, { credentials: USER });
  await collect(repository.blob(blob));
  using other = openFake(registry, { credentials: { username: 'ann', password: 'wrong' } });
  await assert.rejects(collect(other.blob(blob)), (error) => isKind(error, 'unauthorized'));
  using nobody = openFake(registry);
  await assert.rejects(collect(nobody.blob(blob)), (error) => isKind(error, 'unauthorized'));
  await assert.rejects(nobody.manifest('latest'), /pull access denied for .*, repository does not exist or may require 'docker login'/);
});

test('a realm on another host without TLS gets nothing', async () => {
  await using registry = await FakeRegistry.start();
  await using thief = await FakeRegistry.start('127.0.0.2');
  const blob = registry.addBlob('hello');
  demandTokens(registry, { realm: `http://${thief.host}/token` });
  using repository = openFake(registry, { credentials: USER });
  await assert.rejects(collect(repository.blob(blob)), /names a token server without TLS/);
  assert.equal(thief.requests.length, 0);
});

test('a realm that changes gets nothing', async () => {
  await using registry = await FakeRegistry.start();
  await using thief = await FakeRegistry.start(); // the same address: only the port tells them apart
  const blob = registry.addBlob('hello');
  let realm = `http://${registry.host}/token`;
  registry.quirks.push((request, response) => {
    if (request.url!.startsWith('/token')) return answered(response.end('{"token":"abc"}'));
    if (request.headers.authorization === 'Bearer abc' && realm.includes(registry.host)) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="${realm}"` });
    return true;
  });
  using repository = openFake(registry, { credentials: USER });
  await collect(repository.blob(blob));
  realm = `http://${thief.host}/token`;
  await assert.rejects(collect(repository.blob(blob)), /sends us to another token server than before/);
  assert.equal(thief.requests.length, 0);
});

test('what the registry redirects to sees no credentials, and its challenge is not answered (CVE-2020-15157)', async () => {
  await using registry = await FakeRegistry.start();
  await using storage = await FakeRegistry.start();
  const blob = registry.addBlob('hello');
  demandTokens(registry);
  registry.quirks.push((request, response) => {
    if (!request.url!.includes('/blobs/')) return false;
    response.writeHead(307, { location: `http://${storage.host}${request.url}` }).end();
    return true;
  });
  using directories = hostFiles({ [registry.host]: { headers: { 'X-Team': 'secret' } } });
  using repository = openFake(registry, { credentials: USER, directories });
  storage.addBlob('hello');
  assert.equal((await collect(repository.blob(blob))).toString(), 'hello');
  assert.equal(storage.requests[0]!.headers.authorization, undefined);
  assert.equal(storage.requests[0]!.headers['x-team'], undefined);
  assert.equal(registry.seen('GET', '/v2/')[0]!.headers['x-team'], 'secret');

  storage.quirks.push((_request, response) => {
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="http://${storage.host}/steal"` });
    return true;
  });
  await assert.rejects(collect(repository.blob(blob)), (error) => isKind(error, 'unauthorized'));
  assert.equal(storage.seen('GET', '/steal').length, 0);
});

test('answers do not lead to addresses that only this machine reaches', async () => {
  await using registry = await FakeRegistry.start();
  const blob = registry.addBlob('hello');
  for (const location of ['http://169.254.169.254/latest/meta-data/', 'http://[fe80::1]/', 'http://[::ffff:169.254.169.254]/', 'http://0.0.0.0:1/', 'http://100.100.100.200/', 'http://2852039166/']) {
    registry.quirks.length = 0;
    registry.quirks.push((_request, response) => answered(response.writeHead(302, { location }).end()));
    using repository = openFake(registry);
    await assert.rejects(collect(repository.blob(blob)), (error) => isKind(error, 'forbidden'), location);
  }
  for (const location of ['file:///etc/passwd', 'ftp://x/y']) {
    registry.quirks.length = 0;
    registry.quirks.push((_request, response) => answered(response.writeHead(302, { location }).end()));
    using repository = openFake(registry);
    await assert.rejects(collect(repository.blob(blob)), (error) => isKind(error, 'forbidden'), location);
  }
});

test('a circle of redirects ends', async () => {
  await using registry = await FakeRegistry.start();
  registry.quirks.push((request, response) => answered(response.writeHead(302, { location: request.url! }).end()));
  using repository = openFake(registry);
  await assert.rejects(repository.manifest('latest'), /redirects more than 8 times/);
});

test('an upload does not go on at another host', async () => {
  await using registry = await FakeRegistry.start();
  await using thief = await FakeRegistry.start();
  registry.quirks.push((request, response) => {
    if (request.method !== 'POST') return false;
    response.writeHead(202, { location: `http://${thief.host}/v2/x/blobs/uploads/1` }).end();
    return true;
  });
  using repository = openFake(registry);
  const { digest } = registry.addBlob('x');
  await assert.rejects(repository.uploadBytes({ digest, bytes: Buffer.from('x') }), /sends an upload to another host/);
  assert.equal(thief.requests.length, 0);
});
