import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { setPassword } from '#registry/server/auth/password-file.ts';
import { codeOf, digestOf, randomBlob, repository, testRegistry, type TestRegistry } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'naru-auth-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const basic = (user: string, password: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });

describe('password file', () => {
  let registry: TestRegistry;
  const file = join(directory, 'users');
  before(async () => {
    for (const user of ['ann', 'bob', 'ops']) await setPassword(file, user, `${user}'s word`);
    registry = await testRegistry({
      htpasswd: { path: file, realm: 'test "realm"' }, anonymousPull: ['public/*'],
      access: [
        { users: ['ann'], repositories: 'ann/**', actions: ['pull', 'push'] },
        { users: ['*'], repositories: 'shared/*', actions: ['pull'] },
        { users: ['ops'], repositories: '**', actions: ['pull', 'push', 'delete'] },
      ],
    });
  });
  after(() => registry[Symbol.asyncDispose]());
  const as = (user: string | undefined, name: string): ReturnType<typeof repository> => repository(registry.url, name, user === undefined ? {} : basic(user, `${user}'s word`));

  test('the base asks for a login', async () => {
    const answer = await fetch(`${registry.url}/v2/`);
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get('www-authenticate'), 'Basic realm="test \\"realm\\""');
    assert.equal(await codeOf(answer), 'UNAUTHORIZED');
    assert.equal((await fetch(`${registry.url}/v2/`, { headers: basic('ann', "ann's word") })).status, 200);
    for (const wrong of [basic('ann', 'x'), basic('nobody', "ann's word"), basic('', ''), { authorization: 'Basic !!!' }, { authorization: 'Bearer x' }, { authorization: 'Digest a=b' }]) {
      assert.equal((await fetch(`${registry.url}/v2/`, { headers: wrong })).status, 401);
    }
  });

  test('rights by repository and action', async () => {
    const image = await as('ann', 'ann/app').image('v1');
    await as('ops', 'shared/tool').image('v1');
    await as('ops', 'public/tool').image('v1');
    await as('ops', 'secret/tool').image('v1');
    const status = async (user: string | undefined, name: string, method = 'GET', reference = 'v1'): Promise<number> => (await as(user, name).manifest(reference, method)).status;
    assert.equal(await status('ann', 'ann/app'), 200);
    assert.equal(await status('bob', 'ann/app'), 403);
    assert.equal(await status(undefined, 'ann/app'), 401);
    assert.equal(await status('ann', 'ann/app', 'DELETE', image.digest), 403);
    assert.equal(await status('bob', 'shared/tool'), 200);
    assert.equal(await status(undefined, 'shared/tool'), 401);
    assert.equal(await status(undefined, 'public/tool'), 200);
    assert.equal(await status('bob', 'public/tool'), 200);
    assert.equal((await as('bob', 'shared/tool').send('POST', '/v2/shared/tool/blobs/uploads/')).status, 403);
    assert.equal((await as(undefined, 'public/tool').send('POST', '/v2/public/tool/blobs/uploads/')).status, 401);
    assert.equal(await status('ann', 'secret/tool'), 403);
    assert.equal(await status('ann', 'secret/none'), 403, 'no telling what exists');
  });

  test('lists hold what the caller may pull, and page over the rest', async () => {
    const catalog = async (user: string | undefined, query = ''): Promise<string[]> => ((await (await as(user, 'x').send('GET', `/v2/_catalog${query}`)).json()) as { repositories: string[] }).repositories;
    assert.deepEqual(await catalog('ops'), ['ann/app', 'public/tool', 'secret/tool', 'shared/tool']);
    assert.deepEqual(await catalog('bob'), ['public/tool', 'shared/tool']);
    assert.deepEqual(await catalog(undefined), ['public/tool']);
    const page = await as('bob', 'x').send('GET', '/v2/_catalog?n=1');
    assert.match(page.headers.get('link') as string, /<\/v2\/_catalog\?last=public%2Ftool&n=1>; rel="next"/);
    assert.deepEqual(await catalog('bob', '?n=1&last=public%2Ftool'), ['shared/tool']);
    assert.ok(!(await (await as(undefined, 'x').send('GET', '/')).text()).includes('secret'));
    assert.equal((await as('bob', 'x').send('GET', '/?repository=secret/tool')).status, 404);
    assert.equal((await fetch(`${registry.url}/metrics`)).status, 401);
    assert.equal((await as('bob', 'x').send('GET', '/metrics')).status, 200);
  });

  test('a changed file counts at once, and only bcrypt does', async () => {
    await setPassword(file, 'bob', 'new word');
    assert.equal((await fetch(`${registry.url}/v2/`, { headers: basic('bob', "bob's word") })).status, 401);
    assert.equal((await fetch(`${registry.url}/v2/`, { headers: basic('bob', 'new word') })).status, 200);
    await assert.rejects(setPassword(file, 'a:b', 'x'));
    await assert.rejects(setPassword(file, 'long', 'x'.repeat(73)));
    const plain = join(directory, 'plain');
    writeFileSync(plain, 'eve:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nmallory:plain\n');
    await using other = await testRegistry({ htpasswd: { path: plain, realm: 'x' } });
    for (const [user, word] of [['eve', 'secret'], ['mallory', 'plain']] as const) assert.equal((await fetch(`${other.url}/v2/`, { headers: basic(user, word) })).status, 401);
    await assert.rejects(testRegistry({ htpasswd: { path: join(directory, 'absent'), realm: 'x' } }), /password file/);
  });

  test('a flood of wrong passwords is turned away, not queued', async () => {
    const answers = await Promise.all([...Array(60).keys()].map((i) => fetch(`${registry.url}/v2/`, { headers: basic('ann', `wrong ${i}`) })));
    const statuses = new Set(answers.map((a) => a.status));
    assert.deepEqual([...statuses].sort(), [401, 429]);
  });
});

describe('signed tokens', () => {
  let registry: TestRegistry;
  let sign: (access: object[], claims?: Record<string, unknown>) => Promise<string>;
  let forge: typeof sign;
  let publicPem: string;
  const settings = { realm: 'https://auth.example/token', service: 'registry.example', issuer: 'issuer.example' };
  before(async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const other = await generateKeyPair('ES256');
    publicPem = await exportSPKI(publicKey);
    const keys = join(directory, 'keys.json');
    writeFileSync(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }));
    const signer = (key: CryptoKey): typeof sign => async (access, claims = {}) =>
      new SignJWT({ access, sub: 'ann', iss: settings.issuer, aud: settings.service, exp: Math.floor(Date.now() / 1000) + 60, ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(key);
    sign = signer(privateKey as CryptoKey);
    forge = signer(other.privateKey as CryptoKey);
    registry = await testRegistry({ token: { ...settings, keys } });
  });
  after(() => registry[Symbol.asyncDispose]());
  const right = (name: string, ...actions: string[]): object => ({ type: 'repository', name, actions });
  const bearer = (token: string, name = 'a/b'): ReturnType<typeof repository> => repository(registry.url, name, { authorization: `Bearer ${token}` });

  test('the challenge names realm, service and scope', async () => {
    const answer = await repository(registry.url, 'a/b').send('POST', '/v2/a/b/blobs/uploads/');
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"');
    assert.equal((await bearer(await sign([])).manifest('x')).headers.get('www-authenticate')?.includes('scope="repository:a/b:pull"'), true);
  });
  test('a token gives what it lists and no more', async () => {
    await bearer(await sign([right('a/b', 'pull', 'push')])).image('v1');
    const puller = await sign([right('a/b', 'pull')]);
    assert.equal((await bearer(puller).manifest('v1')).status, 200);
    assert.equal((await bearer(puller, 'a/c').manifest('v1')).status, 401);
    assert.equal((await bearer(puller).send('POST', '/v2/a/b/blobs/uploads/')).status, 401);
    assert.equal((await bearer(puller).manifest('v1', 'DELETE')).status, 401);
    assert.deepEqual(await (await bearer(await sign([{ type: 'registry', name: 'catalog', actions: ['*'] }])).send('GET', '/v2/_catalog')).json(), { repositories: ['a/b'] });
    assert.deepEqual(await (await bearer(await sign([])).send('GET', '/v2/_catalog')).json(), { repositories: [] });
  });
  test('forged, expired, foreign and unsigned tokens prove nothing', async () => {
    const all = [right('a/b', 'pull')];
    const now = Math.floor(Date.now() / 1000);
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { access: all, iss: settings.issuer, aud: settings.service, exp: now + 60 };
    const { createHmac } = await import('node:crypto');
    const hs = `${encode({ alg: 'HS256', kid: 'one' })}.${encode(claims)}`;
    for (const token of [
      await forge(all), await sign(all, { exp: now - 60 }), await sign(all, { exp: undefined }), await sign(all, { aud: 'other' }), await sign(all, { iss: 'other' }), await sign(all, { nbf: now + 600 }),
      `${encode({ alg: 'none' })}.${encode(claims)}.`, `${hs}.${createHmac('sha256', publicPem).update(hs).digest('base64url')}`, 'x', 'a.b.c',
    ]) assert.equal((await bearer(token).manifest('v1')).status, 401, token.slice(0, 60));
  });
  test('mounts need a right on the source', async () => {
    const bytes = randomBlob(100);
    await bearer(await sign([right('src', 'pull', 'push')]), 'src').put(bytes);
    const path = `/v2/dst/blobs/uploads/?mount=${digestOf(bytes)}&from=src`;
    assert.equal((await bearer(await sign([right('dst', 'pull', 'push')]), 'dst').send('POST', path)).status, 202);
    assert.equal((await bearer(await sign([right('dst', 'pull', 'push'), right('src', 'pull')]), 'dst').send('POST', path)).status, 201);
  });
});
