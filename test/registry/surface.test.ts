import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { codeOf, repository, testRegistry } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'naru-surface-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('webhooks: in order, again after failures, bounded', async () => {
  const seen: { action: string; target: { repository: string; tag?: string; digest?: string } }[] = [];
  let failures = 2;
  const receiver = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += String(piece);
    if (failures-- > 0) { response.writeHead(500); return response.end(); }
    assert.equal(request.headers['content-type'], 'application/vnd.docker.distribution.events.v2+json');
    assert.equal(request.headers['x-key'], 'k');
    seen.push(...(JSON.parse(text) as { events: typeof seen }).events);
    response.end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  try {
    await using registry = await testRegistry({ webhooks: [{ url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`, headers: { 'x-key': 'k' }, backoff: 10 }] });
    const one = repository(registry.url, 'hook/app');
    const image = await one.image('v1');
    await (await one.manifest('v1')).text();
    await one.manifest('v1', 'DELETE');
    for (let i = 0; i < 100 && seen.length < 5; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(seen.map((e) => [e.action, e.target.tag ?? '']), [['push', ''], ['push', ''], ['push', 'v1'], ['pull', 'v1'], ['delete', 'v1']]);
    assert.equal(seen[2]?.target.digest, image.digest);
    assert.match(await (await fetch(`${registry.url}/metrics`)).text(), /naru_registry_events_total\{outcome="delivered"\} 5/);
  } finally {
    receiver.closeAllConnections(); receiver.close();
  }
});

test('webhooks: what was not delivered is after a restart of the server, signed, and never more than the queue holds', async () => {
  const seen: string[] = [];
  const receiver = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += String(piece);
    assert.equal(request.headers['x-hub-signature-256'], `sha256=${createHmac('sha256', 'secret').update(text).digest('hex')}`);
    seen.push(...(JSON.parse(text) as { events: { action: string; target: { tag?: string } }[] }).events.map((e) => e.target.tag ?? e.action));
    response.end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  await new Promise<void>((resolve) => receiver.close(() => resolve()));
  // Nobody listens at that port now.
  const registry = await testRegistry({ webhooks: [{ url: `http://127.0.0.1:${port}/`, secret: 'secret', queue: 5, backoff: 20 }] });
  try {
    const one = repository(registry.url, 'durable');
    const image = await one.image('v0');
    for (let i = 1; i < 8; i++) await one.putManifest(`v${i}`, image.text, image.manifest.mediaType);
    assert.match(await (await fetch(`${registry.url}/metrics`)).text(), /^naru_registry_events_waiting 5$/m);
    await registry.restart();
    assert.match(await (await fetch(`${registry.url}/metrics`)).text(), /^naru_registry_events_waiting 5$/m);
    await new Promise<void>((resolve) => receiver.listen(port, '127.0.0.1', resolve));
    for (let i = 0; i < 200 && seen.length < 5; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(seen, ['v3', 'v4', 'v5', 'v6', 'v7']);
    assert.equal((await repository(registry.url, 'durable').putManifest('bad', '{}', image.manifest.mediaType)).status, 400);
    await repository(registry.url, 'durable').manifest('v7', 'DELETE');
    for (let i = 0; i < 200 && seen.length < 6; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(seen.slice(5), ['v7'], 'a push that was refused is not told');
  } finally {
    await registry[Symbol.asyncDispose]();
    receiver.closeAllConnections(); receiver.close();
  }
});

test('a dead webhook holds nothing up and is counted', async () => {
  await using registry = await testRegistry({ webhooks: [{ url: 'http://127.0.0.1:1/', queue: 3, attempts: 2, backoff: 1 }] });
  const one = repository(registry.url, 'a');
  for (let i = 0; i < 6; i++) await one.put(`${i}`);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.match(await (await fetch(`${registry.url}/metrics`)).text(), /naru_registry_events_total\{outcome="dropped"\} 6/);
});

test('metrics and the access log', async () => {
  const log = join(directory, 'access.log');
  const registry = await testRegistry({ accessLog: log });
  await repository(registry.url, 'a/b').image('v1');
  await fetch(`${registry.url}/v2/a/b/manifests/none?x="\n`);
  const metrics = await (await fetch(`${registry.url}/metrics`)).text();
  assert.match(metrics, /naru_registry_requests_total\{method="PUT",target="manifest",status="201"\} 1/);
  assert.match(metrics, /^naru_registry_blobs 2$/m);
  assert.match(metrics, /_bucket\{method="PUT",le="\+Inf"\} 3/);
  await registry[Symbol.asyncDispose]();
  const lines = readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { method: string; status: number; path: string });
  assert.ok(lines.some((line) => line.method === 'GET' && line.status === 404 && line.path.startsWith('/v2/a/b/manifests/none')));
});

test('the page shows repositories, tags, layers and sizes, and runs nothing that was pushed', async () => {
  await using registry = await testRegistry();
  const one = repository(registry.url, 'page/app');
  const image = await one.image('v1', { extra: { annotations: { 'x': '<script>alert(1)</script>' } } });
  const evil = '<img/src=x onerror=alert(1)>';
  await one.putManifest('evil', JSON.stringify({ ...image.manifest, layers: [{ ...image.layers[0], mediaType: evil }] }), image.manifest.mediaType);
  const list = await fetch(registry.url);
  assert.match(list.headers.get('content-security-policy') as string, /default-src 'none'; style-src 'sha256-/);
  assert.match(await list.text(), /href="\/\?repository=page%2Fapp">page\/app<\/a>.*2 tags/);
  const page = await (await fetch(`${registry.url}/?repository=page/app`)).text();
  assert.ok(page.includes(image.digest) && page.includes(image.layers[0]?.digest as string));
  assert.ok(!page.includes('<img') && page.includes('&#60;img'));
  for (const query of ['?repository=../x', '?repository=%3Cscript%3E', '?repository=none']) {
    const answer = await fetch(`${registry.url}/${query}`);
    assert.equal(answer.status, 404);
    assert.match(answer.headers.get('content-type') as string, /json/);
    assert.equal(await codeOf(answer), 'NAME_UNKNOWN');
  }
});

test('a page in a browser on this machine cannot use it: names that are nobody\'s, and other sites, are refused', async () => {
  const ask = (url: string, headers: Record<string, string>, method = 'GET'): Promise<{ status: number; body: string }> => new Promise((resolve, reject) => {
    request(`${url}/v2/_catalog`, { method, headers, agent: false }, (answer) => {
      let body = '';
      answer.on('data', (part) => { body += String(part); }).on('end', () => resolve({ status: answer.statusCode as number, body }));
    }).on('error', reject).end();
  });
  await using registry = await testRegistry();
  const { port } = registry.server;
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example', 'evillocalhost']) {
    const answer = await ask(registry.url, { host });
    assert.equal(answer.status, 403, host);
    assert.match(answer.body, /"code":"DENIED","message":"host name .* is not accepted: use the address, or start the registry with --allow-host/);
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `registry.localhost.:${port}`, `[::1]:${port}`]) assert.equal((await ask(registry.url, { host })).status, 200, host);
  assert.equal((await ask(registry.url, { origin: 'https://evil.example' })).status, 403);
  assert.equal((await ask(registry.url, { origin: 'null' })).status, 403);
  assert.equal((await ask(registry.url, { host: `localhost:${port}`, origin: `http://localhost:${port}` })).status, 200);
  await using named = await testRegistry({ allowedHosts: ['Images.Test'] });
  assert.equal((await ask(named.url, { host: 'images.test' })).status, 200);
  assert.equal((await ask(named.url, { host: 'evil.example' })).status, 403);
  // Where the world may come, names are the administrator's.
  await using wide = await testRegistry({ host: '0.0.0.0' });
  assert.equal((await ask(wide.url.replace('0.0.0.0', '127.0.0.1'), { host: 'anything.example' })).status, 200);
});

test('TLS, and other methods and paths', async () => {
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']);
  assert.equal(made.status, 0);
  await using registry = await testRegistry({ tls: { certificate: cert, key } });
  const status = await new Promise<number>((resolve, reject) => {
    tlsRequest(`${registry.url}/v2/`, { ca: readFileSync(cert), agent: false }, (answer) => { answer.resume(); resolve(answer.statusCode as number); }).on('error', reject).end();
  });
  assert.equal(status, 200);
  await assert.rejects(testRegistry({ tls: { certificate: join(directory, 'absent'), key } }), /TLS files/);
  await using plain = await testRegistry();
  const allowed = await fetch(`${plain.url}/v2/a/manifests/x`, { method: 'PATCH' });
  assert.equal(allowed.status, 405);
  assert.equal(allowed.headers.get('allow'), 'GET, HEAD, PUT, DELETE');
  assert.equal((await fetch(`${plain.url}/healthz`)).status, 200);
  assert.equal((await fetch(`${plain.url}/elsewhere`)).status, 404);
});
