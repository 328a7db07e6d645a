import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setPassword } from '#registry/server/auth/password-file.ts';
import { codeOf, digestOf, OCI_INDEX, OCI_MANIFEST, randomBlob, repository, testRegistry, type TestRegistry } from '../registry/harness.ts';

/** Attacks on a registry server: attack 38 (mounts, sessions, catalog, races, ranges, names) and what applies of 32 to 35. */
const users = mkdtempSync(join(tmpdir(), 'naru-attack-'));
let registry: TestRegistry;
let open: TestRegistry;
const as = (user: string, name: string): ReturnType<typeof repository> =>
  repository(registry.url, name, { authorization: `Basic ${Buffer.from(`${user}:${user}`).toString('base64')}` });
before(async () => {
  for (const user of ['ann', 'eve']) await setPassword(join(users, 'file'), user, user);
  registry = await testRegistry({
    htpasswd: { path: join(users, 'file'), realm: 'x' }, garbage: { interval: 3_600_000, grace: 0 },
    access: [{ users: ['ann'], repositories: 'ann/**', actions: ['pull', 'push', 'delete'] }, { users: ['eve'], repositories: 'eve/**', actions: ['pull', 'push', 'delete'] }],
  });
  open = await testRegistry({ sparse: false });
});
after(async () => {
  await registry[Symbol.asyncDispose]();
  await open[Symbol.asyncDispose]();
  rmSync(users, { recursive: true, force: true });
});

/** The bytes of one exchange, as sent: fetch would tidy the path. */
const raw = (text: string, target = open): Promise<string> => new Promise((resolve) => {
  const pieces: Buffer[] = [];
  const socket = connect(Number(new URL(target.url).port), '127.0.0.1', () => socket.write(text));
  socket.on('data', (d) => pieces.push(Buffer.from(d as Uint8Array))).on('error', () => undefined).on('close', () => resolve(Buffer.concat(pieces).toString('latin1')));
});

describe('what belongs to others', () => {
  test('a blob cannot be mounted without a right on its source, named or found, nor by guessing', async () => {
    const secret = randomBlob(64);
    assert.equal((await as('ann', 'ann/private').put(secret)).status, 201);
    for (const from of ['&from=ann/private', '', '&from=../ann/private', '&from=ann%2Fprivate', '&from=eve/../ann/private']) {
      const answer = await as('eve', 'eve/x').send('POST', `/v2/eve/x/blobs/uploads/?mount=${digestOf(secret)}${from}`);
      assert.equal(answer.status, 202, from);
      assert.equal((await as('eve', 'eve/x').blob(digestOf(secret), {}, 'HEAD')).status, 404);
    }
    // A manifest that names it does not bring it either.
    const manifest = (size: number): object => ({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: { mediaType: 'a/b', digest: digestOf(secret), size }, layers: [] });
    const answers = [await as('eve', 'eve/x').putManifest('t', manifest(64)), await as('eve', 'eve/x').putManifest('t', manifest(63))];
    assert.deepEqual(answers.map((answer) => answer.status), [201, 201], 'a sparse manifest is taken, and tells neither that the blob is there nor how large it is');
    assert.equal((await as('eve', 'eve/x').blob(digestOf(secret))).status, 404);
    await as('ann', 'ann/private').blob(digestOf(secret), {}, 'DELETE');
    await registry.server.clean();
    assert.equal((await as('ann', 'ann/private').blob(digestOf(secret))).status, 404, 'nor does it keep the blob');
  });
  test('an upload is of its repository alone', async () => {
    const location = await as('ann', 'ann/private').start();
    const id = location.split('/').at(-1) as string;
    for (const [method, query] of [['GET', ''], ['PATCH', ''], ['PUT', `?digest=${digestOf('')}`], ['DELETE', '']] as const) {
      assert.equal((await as('eve', 'eve/x').send(method, `/v2/eve/x/blobs/uploads/${id}${query}`)).status, 404);
      assert.equal((await as('eve', 'eve/x').send(method, `${location}${query}`)).status, 403);
    }
    for (const wrong of ['..', '%2e%2e', '../registry.db', '..%2fregistry.db', 'x'.repeat(36), id.toUpperCase(), `${id}%00`]) {
      const answer = await raw(`GET /v2/ann/private/blobs/uploads/${wrong} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Basic ${Buffer.from('ann:ann').toString('base64')}\r\n\r\n`, registry);
      assert.match(answer, /^HTTP\/1\.1 40[04] /, wrong);
    }
    assert.equal((await as('ann', 'ann/private').send('GET', location)).status, 204);
  });
  test('neither catalog, page nor the kind of refusal tells of them', async () => {
    await as('ann', 'ann/hidden').image('v1');
    const catalog = await as('eve', 'x').send('GET', '/v2/_catalog?n=1000');
    assert.deepEqual(await catalog.json(), { repositories: ['eve/x'] });
    assert.ok(!(await (await as('eve', 'x').send('GET', '/')).text()).includes('ann/hidden'));
    const [there, not] = [await as('eve', 'ann/hidden').manifest('v1'), await as('eve', 'ann/nothing').manifest('v1')];
    assert.equal(there.status, not.status);
    assert.equal(await there.text(), await not.text());
    const from = await as('eve', 'x').send('GET', '/v2/_catalog?last=ann&n=1');
    assert.equal(from.headers.get('link'), null);
  });
});

describe('names and digests that climb (CVE-2024-3727)', () => {
  test('are refused, and nothing appears outside of the store', async () => {
    for (const path of [
      '/v2/../../etc/manifests/x', '/v2/a/../b/manifests/x', '/v2/a/%2e%2e/b/manifests/x', '/v2/a%2f..%2fb/manifests/x', '/v2/a/..%2f..%2fb/manifests/x', '/v2/%00/manifests/x',
      '/v2/a//b/manifests/x', '/v2/.a/manifests/x', '/v2/a./manifests/x', '/v2/A/manifests/x', '/v2/a\\b/manifests/x', `/v2/${'a/'.repeat(200)}a/manifests/x`, '/v2/a/manifests/..', '/v2/a/manifests/%2e%2e%2fx',
      '/v2/a/manifests/sha256:../../../x', '/v2/a/blobs/sha256:..%2f..%2fregistry.db', '/v2/a/blobs/sha256:', '/v2/a/blobs/..', '/v2/a/referrers/sha256:../x',
    ]) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await raw(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        assert.match(answer, /^HTTP\/1\.1 40[045] /, `${method} ${path}`);
      }
    }
    const one = repository(open.url, 'a');
    for (const digest of ['sha256:../../x', `sha256:${'0'.repeat(63)}/`, '../../x', 'sha256:%2e%2e']) assert.equal((await one.send('POST', `/v2/a/blobs/uploads/?digest=${encodeURIComponent(digest)}`, { body: 'x' })).status, 400);
    assert.deepEqual(readdirSync(open.data).filter((name) => !/^(registry\.db(-wal|-shm)?|uploads|blobs|server\.lock|collector\.lock)$/.test(name)), []);
    assert.equal(existsSync(join(open.data, '..', 'x')), false);
  });
});

describe('bytes that lie', () => {
  const one = (): ReturnType<typeof repository> => repository(open.url, 'lies');
  test('a manifest whose sizes are wrong', async () => {
    const image = await one().image('v1');
    const answer = await one().putManifest('wrong', { ...image.manifest, layers: [{ ...image.layers[0], size: 1 }] });
    assert.equal(answer.status, 400);
    assert.equal(await codeOf(answer), 'SIZE_INVALID');
  });
  test('a document that is an image and an index at once, or not what Content-Type says (CVE-2021-41190)', async () => {
    const image = await one().image('v1');
    for (const [body, type] of [
      [{ ...image.manifest, manifests: [] }, OCI_MANIFEST], [{ ...image.manifest, manifests: [], mediaType: OCI_INDEX }, OCI_INDEX], [image.manifest, OCI_INDEX],
      [{ schemaVersion: 2, manifests: [], layers: [] }, OCI_INDEX], [{ ...image.manifest, fsLayers: [] }, OCI_MANIFEST], [{ schemaVersion: 1, name: 'x', tag: 'y', fsLayers: [] }, 'application/vnd.docker.distribution.manifest.v1+json'],
    ] as const) {
      const answer = await one().putManifest('confused', JSON.stringify(body), type);
      assert.equal(answer.status, 400);
      assert.equal(await codeOf(answer), 'MANIFEST_INVALID');
    }
  });
  test('malformed, deep, enormous and endless manifests', async () => {
    const image = await one().image('v1');
    const layer = image.layers[0];
    for (const body of [
      '', 'null', '[]', '{', '"x"', '{"schemaVersion":2}', '['.repeat(100_000), `{"schemaVersion":2,"x":${'[['.repeat(50)}${']]'.repeat(50)}}`,
      JSON.stringify({ ...image.manifest, config: { ...image.config, digest: 'sha256:../../x' } }), JSON.stringify({ ...image.manifest, layers: [{ ...layer, size: -1 }] }),
      JSON.stringify({ ...image.manifest, layers: [{ ...layer, size: 1e300 }] }), JSON.stringify({ ...image.manifest, annotations: { a: 1 } }), JSON.stringify({ ...image.manifest, subject: 'x' }),
      JSON.stringify({ ...image.manifest, layers: Array.from({ length: 20_000 }, () => layer) }), Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
    ]) {
      const answer = await one().putManifest('bad', body, OCI_MANIFEST);
      assert.equal(answer.status === 400 || answer.status === 413, true);
      assert.equal(await codeOf(answer), 'MANIFEST_INVALID');
    }
    const large = await one().putManifest('large', JSON.stringify({ ...image.manifest, annotations: { a: 'A'.repeat(5 << 20) } }), OCI_MANIFEST);
    assert.equal(large.status, 413);
    const polluted = await one().putManifest('proto', `${JSON.stringify(image.manifest).slice(0, -1)},"__proto__":{"polluted":1},"annotations":{"__proto__":"x"}}`, OCI_MANIFEST);
    assert.equal(polluted.status, 201);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
    assert.match(await raw(`PUT /v2/lies/manifests/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\nContent-Type: ${OCI_MANIFEST}\r\n\r\n{`), /^HTTP\/1\.1 413 /);
  });
  test('an index that lists itself cannot be made, one that lists what is not here is refused', async () => {
    const answer = await one().putManifest('loop', { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ mediaType: OCI_INDEX, digest: digestOf('loop'), size: 10 }] });
    assert.equal(await codeOf(answer), 'MANIFEST_BLOB_UNKNOWN');
  });
});

describe('chunks', () => {
  test('that overlap, repeat or leap', async () => {
    const one = repository(open.url, 'chunks');
    const location = await one.start();
    assert.equal((await one.send('PATCH', location, { body: 'aaaa', headers: { 'content-range': '0-3' } })).status, 202);
    for (const range of ['0-3', '2-5', '3-6', '5-8', '4-3']) {
      const answer = await one.send('PATCH', location, { body: 'bbbb', headers: { 'content-range': range } });
      assert.equal(answer.status, 416, range);
      assert.equal(answer.headers.get('range'), '0-3');
    }
    assert.equal((await one.send('PATCH', location, { body: 'bbbb', headers: { 'content-range': '4-7' } })).status, 202);
    assert.equal((await one.send('PUT', one.withQuery(location, `digest=${digestOf('aaaabbbb')}`))).status, 201);
  });
});

test('deletes, collections and pushes of the same blob at once leave no broken image', async () => {
  await using racing = await testRegistry({ garbage: { interval: 3_600_000, grace: 20 } });
  const layer = randomBlob(5_000);
  const one = repository(racing.url, 'race');
  let stop = false;
  const disturb = (async () => {
    while (!stop) {
      await one.blob(digestOf(layer), {}, 'DELETE');
      await racing.server.clean();
      await new Promise((resolve) => setTimeout(resolve, 4));
    }
  })();
  let whole = 0;
  try {
    for (let i = 0; i < 40; i++) {
      const image = await one.image('v1', { layers: [layer] }).catch((error: Error) => { if (!/MANIFEST_BLOB_UNKNOWN/.test(error.message)) throw error; return undefined; });
      if (image === undefined) continue;
      whole++;
      const answer = await one.blob(digestOf(layer));
      assert.equal(answer.status, 200, 'the manifest was taken, so its layer is here');
      assert.equal(digestOf(Buffer.from(await answer.arrayBuffer())), digestOf(layer));
      await one.manifest(image.digest, 'DELETE');
    }
  } finally {
    stop = true;
    await disturb;
  }
  assert.ok(whole > 0);
  assert.deepEqual(racing.said.filter((line) => line.startsWith('error')), []);
});

test('requests that a proxy could read differently are not answered as one', async () => {
  for (const head of ['Content-Length: 3\r\nTransfer-Encoding: chunked', 'Content-Length: 3\r\nContent-Length: 4', 'Content-Length: +3', 'Transfer-Encoding: chunked, identity']) {
    const answer = await raw(`PUT /v2/smuggle/manifests/x HTTP/1.1\r\nHost: localhost\r\n${head}\r\nConnection: close\r\n\r\n0\r\n\r\nGET /v2/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    assert.ok(!/^HTTP\/1\.1 2/.test(answer), head);
    assert.ok((answer.match(/HTTP\/1\.1 /g) ?? []).length <= 1, head);
  }
});
