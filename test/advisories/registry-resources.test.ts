import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { digestOf, OCI_MANIFEST, randomBlob, repository, testRegistry, type TestRegistry } from '../registry/harness.ts';
import { RawClient, statusOf } from '../support/raw-http.ts';

/** Attacks 28 to 30 on the registry: what is read differently by others, what is slow, large, deep or many, and requests of web pages. */
let registry: TestRegistry;
before(async () => { registry = await testRegistry({ maxConnections: 24 }); });
after(() => registry[Symbol.asyncDispose]());
const client = (target = registry): RawClient => new RawClient({ host: '127.0.0.1', port: Number(new URL(target.url).port) });
const alive = async (target = registry): Promise<void> => assert.equal((await fetch(`${target.url}/v2/`, { headers: { connection: 'close' } })).status, 200);
const memory = (): number => { Bun.gc(true); return process.memoryUsage().rss; };

test('a head that dribbles, and one that never comes, are cut off; others are served meanwhile', { timeout: 30_000 }, async () => {
  await using strict = await testRegistry({ headTimeout: 1_000 });
  const slow = client(strict).send('GET /v2/ HTTP/1.1\r\n');
  const silent = client(strict);
  const dribble = setInterval(() => slow.send('X: 1\r\n'), 100);
  try {
    const started = performance.now();
    while (!(slow.closed || slow.ended) || !(silent.closed || silent.ended)) {
      assert.ok(performance.now() - started < 15_000, 'still open');
      await alive(strict);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    clearInterval(dribble);
    slow.close();
    silent.close();
  }
});

test('more connections than allowed, all silent: newcomers are served, and uploads under way stay', async () => {
  const one = repository(registry.url, 'flood');
  const location = await one.start();
  const upload = client().send(`PATCH ${location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc`);
  const flood = Array.from({ length: 100 }, () => client());
  await new Promise((resolve) => setTimeout(resolve, 100));
  await alive();
  upload.send('def');
  await upload.until((text) => statusOf(text) === 202);
  upload.close();
  for (const each of flood) each.close();
});

test('heads of megabytes and thousands of fields are refused without being kept', async () => {
  const before = memory();
  for (const head of [`X: ${'a'.repeat(1 << 20)}\r\n`, 'X: a\r\n'.repeat(200_000), `Authorization: Basic ${'A'.repeat(200_000)}\r\n`, `Cookie: ${'b'.repeat(500_000)}`]) {
    const attacker = client().send(`GET /v2/ HTTP/1.1\r\nHost: localhost\r\n${head}`);
    const started = performance.now();
    while (!attacker.closed && !attacker.ended && performance.now() - started < 10_000) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(attacker.closed || attacker.ended, 'it was hung up on');
    assert.ok(!/^HTTP\/1\.1 2/.test(attacker.text));
    attacker.close();
  }
  const path = client().send(`GET /v2/${'a/'.repeat(20_000)}manifests/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  assert.match(await path.whole(10_000), /^HTTP\/1\.1 4\d\d /);
  path.close();
  assert.ok(memory() - before < 100 << 20);
  await alive();
});

test('JSON: a hundred megabytes, a million levels, prototypes', async () => {
  const one = repository(registry.url, 'json');
  const before = memory();
  const started = performance.now();
  const declared = client().send(`PUT /v2/json/manifests/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${OCI_MANIFEST}\r\nContent-Length: ${100 << 20}\r\n\r\n`);
  await declared.until((text) => statusOf(text) === 413);
  declared.close();
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1 << 20, 32), Buffer.from('\r\n')]);
  const endless = client().send(`PUT /v2/json/manifests/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${OCI_MANIFEST}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  for (let i = 0; i < 100 && !endless.closed && endless.text === ''; i++) await new Promise((resolve) => endless.socket.write(chunk, resolve));
  // Whoever is still sending when the connection is closed may lose the answer with it.
  assert.ok(statusOf(endless.text) === 413 || (endless.closed && endless.text === ''), endless.text);
  endless.close();
  for (const body of ['['.repeat(1_000_000), '{"a":'.repeat(500_000), `{"schemaVersion":2,"annotations":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`]) assert.equal((await one.putManifest('deep', body, OCI_MANIFEST)).status, 400);
  assert.ok(performance.now() - started < 10_000);
  assert.ok(memory() - before < 150 << 20);
  const image = await one.image('v1');
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    assert.equal((await one.putManifest('proto', `${JSON.stringify(image.manifest).slice(0, -1)},"annotations":{"${key}":"polluted"}}`, OCI_MANIFEST)).status, 201);
  }
  assert.equal((await fetch(`${registry.url}/?repository=json`)).status, 200);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('an upload in pieces of one byte costs no object for each', async () => {
  const one = repository(registry.url, 'tiny');
  const bytes = randomBlob(1 << 20);
  const pieces = Buffer.alloc(6 * bytes.length, '1\r\n?\r\n');
  bytes.forEach((byte, i) => { pieces[6 * i + 3] = byte; });
  const location = await one.start();
  const before = memory();
  const upload = client().send(`PATCH ${location} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`).send(pieces).send('0\r\n\r\n');
  await upload.until((text) => statusOf(text) === 202, 30_000);
  upload.close();
  assert.ok(memory() - before < 200 << 20, `${(memory() - before) >> 20} MiB more`);
  assert.equal((await one.send('PUT', one.withQuery(location, `digest=${digestOf(bytes)}`))).status, 201);
});

test('ranges: thousands at once, beyond all numbers, of what is not there; HEAD sends no body', async () => {
  const one = repository(registry.url, 'ranges');
  const bytes = randomBlob(10_000);
  await one.put(bytes);
  const many = `bytes=${Array.from({ length: 5_000 }, (_, i) => `${i}-${i}`).join(',')}`;
  for (const [range, statuses] of [[many, [200]], [`bytes=${'0-,'.repeat(5_000)}`, [200]], ['bytes=0-99999999999999999999999', [200, 206]], ['bytes=99999999999999999999999-', [200, 416]], ['bytes=-99999999999999999', [200, 206]], ['bytes=10000-', [416]], ['bytes=-0', [416]], ['bytes=1e3-2e3', [200]]] as const) {
    const answer = await one.blob(digestOf(bytes), { headers: { range } });
    assert.ok((statuses as readonly number[]).includes(answer.status), `${range.slice(0, 40)}: ${answer.status}`);
    const body = await answer.arrayBuffer();
    if (answer.status !== 416) assert.equal(body.byteLength, Number(answer.headers.get('content-length')));
    if (answer.status === 200) assert.equal(body.byteLength, bytes.length);
  }
  const head = client().send(`HEAD /v2/ranges/blobs/${digestOf(bytes)} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-99\r\nConnection: close\r\n\r\n`);
  const text = await head.whole(10_000);
  assert.match(text, /^HTTP\/1\.1 206 [\s\S]*content-length: 100/i);
  assert.ok(text.endsWith('\r\n\r\n'));
  assert.equal((await one.blob(digestOf('none'), { headers: { range: 'bytes=0-1' } })).status, 404);
});

test('a request hidden in the body of another is never answered', async () => {
  const hidden = 'GET /v2/hidden/tags/list HTTP/1.1\r\nHost: localhost\r\n\r\n';
  for (const head of [
    'Content-Length: 0\r\nContent-Length: 60', 'Transfer-Encoding: chunked\r\nContent-Length: 5', 'Transfer-Encoding: xchunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Content-Length: 0x10', 'Content-Length: 1 0', 'Content-Length: -1', 'Content-Length: 99999999999999999999999999', 'X: a\nContent-Length: 60', 'X: a\0b',
  ]) {
    const attacker = client().send(`POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n0\r\n\r\n${hidden}`);
    const started = performance.now();
    while (!attacker.closed && !attacker.ended && performance.now() - started < 2_500) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok((attacker.text.match(/HTTP\/1\.1 \d/g) ?? []).length <= 1, `${JSON.stringify(head)}: ${attacker.text.slice(0, 400)}`);
    assert.ok(!attacker.text.includes('NAME_UNKNOWN'), head);
    attacker.close();
  }
});

test('a page of another site can neither push nor delete', async () => {
  const one = repository(registry.url, 'page');
  const image = await one.image('v1');
  for (const origin of ['https://evil.example', 'null', registry.url]) {
    const headers = { origin, 'content-type': 'text/plain' };
    for (const [method, path] of [['POST', '/v2/page/blobs/uploads/'], ['PUT', '/v2/page/manifests/x'], ['DELETE', `/v2/page/manifests/${image.digest}`], ['DELETE', '/v2/page/manifests/v1']] as const) {
      assert.equal((await one.send(method, path, { headers, ...(method === 'DELETE' ? {} : { body: 'x' }) })).status, 403, `${origin} ${method}`);
    }
    const read = await one.manifest('v1', 'GET', { headers });
    assert.equal(read.headers.get('access-control-allow-origin'), null, 'nor read');
  }
  assert.equal((await one.manifest('v1')).status, 200);
  assert.equal((await one.send('OPTIONS', '/v2/page/manifests/v1', { headers: { origin: 'https://evil.example', 'access-control-request-method': 'DELETE' } })).status, 403);
});

test('uploads that nobody ends are bounded, and say when to come again', async () => {
  await using small = await testRegistry();
  const db = new DatabaseSync(join(small.data, 'registry.db'));
  db.exec("PRAGMA busy_timeout = 5000; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO uploads SELECT printf('00000000-0000-4000-8000-%012d', i), 'a', 'sha256', 9e12 FROM n");
  db.close();
  const answer = await repository(small.url, 'a').send('POST', '/v2/a/blobs/uploads/');
  assert.equal(answer.status, 429);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
});
