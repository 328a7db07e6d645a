import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { codeOf, digestOf, randomBlob, repository, testRegistry, type TestRegistry } from './harness.ts';

let registry: TestRegistry;
const repo = (name = 'up/loads'): ReturnType<typeof repository> => repository(registry.url, name);
before(async () => { registry = await testRegistry({ uploadIdle: 1_000 }); });
after(() => registry[Symbol.asyncDispose]());

/** A request head and part of its body over a bare socket. */
function raw(head: string, body: Uint8Array = Buffer.alloc(0)): { socket: Socket; text: Promise<string> } {
  const socket = connect(Number(new URL(registry.url).port), '127.0.0.1');
  const pieces: Buffer[] = [];
  const text = new Promise<string>((resolve) => socket.on('data', (d) => pieces.push(Buffer.from(d as Uint8Array))).on('error', () => undefined).on('close', () => resolve(Buffer.concat(pieces).toString('latin1'))));
  socket.write(`${head}\r\nHost: localhost\r\nConnection: close\r\n`);
  socket.write('\r\n');
  socket.write(body);
  return { socket, text };
}
const until = async (check: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 100; i++) { if (await check()) return; await new Promise((resolve) => setTimeout(resolve, 50)); }
  assert.fail('it did not come to that');
};

test('a broken request leaves what it brought; the upload goes on after a restart of the server', async () => {
  const bytes = randomBlob(2_000_000);
  const location = await repo().start();
  const { socket } = raw(`PATCH ${location} HTTP/1.1\r\nContent-Length: ${bytes.length}`, bytes.subarray(0, 900_000));
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.destroy();
  await until(async () => (await repo().send('GET', location)).headers.get('range') === '0-899999');
  await registry.restart();
  const status = await repo().send('GET', location);
  assert.equal(status.headers.get('range'), '0-899999');
  const rest = await repo().send('PATCH', location, { body: bytes.subarray(900_000), headers: { 'content-range': `900000-${bytes.length - 1}` } });
  assert.equal(rest.status, 202);
  assert.equal((await repo().send('PUT', repo().withQuery(location, `digest=${digestOf(bytes)}`))).status, 201);
  assert.equal(digestOf(Buffer.from(await (await repo().blob(digestOf(bytes))).arrayBuffer())), digestOf(bytes));
  assert.deepEqual(readdirSync(join(registry.data, 'uploads')), []);
});

test('a client that stalls is cut off, and its bytes stay', async () => {
  const location = await repo().start();
  const { text } = raw(`PATCH ${location} HTTP/1.1\r\nContent-Length: 1000`, randomBlob(10));
  const started = Date.now();
  await text;
  assert.ok(Date.now() - started < 5_000);
  await until(async () => (await repo().send('GET', location)).headers.get('range') === '0-9');
});

test('two requests at once on one upload: the second one is refused', async () => {
  const location = await repo().start();
  const { socket } = raw(`PATCH ${location} HTTP/1.1\r\nContent-Length: 1000`, randomBlob(10));
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (const method of ['PATCH', 'DELETE']) {
    const answer = await repo().send(method, location, method === 'PATCH' ? { body: 'xyz' } : {});
    assert.equal(answer.status, 409);
    assert.equal(await codeOf(answer), 'BLOB_UPLOAD_INVALID');
  }
  socket.destroy();
  await until(async () => (await repo().send('PATCH', location, { body: 'xyz' })).status === 202);
});

test('lengths that lie', async () => {
  const location = await repo().start();
  const answer = await repo().send('PATCH', location, { body: 'abc', headers: { 'content-range': '0-9' } });
  assert.equal(answer.status, 400);
  assert.equal(await codeOf(answer), 'SIZE_INVALID');
  const long = raw(`PATCH ${location} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Range: 0-1`, Buffer.from('5\r\nabcde\r\n0\r\n\r\n'));
  assert.match(await long.text, /^HTTP\/1\.1 400 [\s\S]*SIZE_INVALID/);
  assert.equal((await repo().send('GET', location)).headers.get('range'), '0-0');
  for (const range of ['9-1', 'x', '-5', '0-', 'bytes 0-99999999999999999999/5']) assert.equal((await repo().send('PATCH', location, { body: 'abc', headers: { 'content-range': range } })).status, 416, range);
});

test('limits: blob size, quota, both before and while the bytes come', async () => {
  await using small = await testRegistry({ maxBlobBytes: 5_000, quotas: [{ repositories: 'tight/*', bytes: 3_000 }] });
  const one = repository(small.url, 'tight/one');
  const refused = await one.put(randomBlob(4_000));
  assert.equal(refused.status, 403);
  assert.equal(await codeOf(refused), 'DENIED');
  const streamed = await fetch(one.at(await one.start()), { method: 'PATCH', duplex: 'half', body: new ReadableStream({ start(c) { for (let i = 0; i < 8; i++) c.enqueue(randomBlob(500)); c.close(); } }) } as RequestInit);
  assert.equal(streamed.status, 403);
  const fits = randomBlob(2_000);
  assert.equal((await one.put(fits)).status, 201);
  assert.equal((await one.put(fits)).status, 403, 'there is no room to send it again');
  assert.equal((await one.put(randomBlob(1_500))).status, 403);
  const other = repository(small.url, 'loose');
  assert.equal((await other.put(randomBlob(5_001))).status, 413);
  const large = randomBlob(2_500);
  assert.equal((await other.put(large)).status, 201);
  assert.equal((await one.send('POST', `/v2/tight/one/blobs/uploads/?mount=${digestOf(large)}&from=loose`)).status, 403, 'a mount counts as well');
  assert.equal((await one.blob(digestOf(large), {}, 'HEAD')).status, 404);
});

test('uploads that nobody goes on with are swept', async () => {
  await using short = await testRegistry({ uploadExpiry: 0 });
  const one = repository(short.url, 'a');
  const location = await one.start();
  await one.send('PATCH', location, { body: 'abc' });
  await new Promise((resolve) => setTimeout(resolve, 20));
  await short.server.clean();
  assert.equal((await one.send('GET', location)).status, 404);
  assert.deepEqual(readdirSync(join(short.data, 'uploads')), []);
});

describe('a full disk', () => {
  const mount = mkdtempSync(join(tmpdir(), 'naru-full-'));
  before(() => { assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', mount]).status, 0, 'this test mounts a small tmpfs'); });
  after(() => { spawnSync('umount', [mount]); rmSync(mount, { recursive: true, force: true }); });
  test('is told with 507, keeps everything whole, and the upload goes on when there is room', async () => {
    mkdirSync(join(mount, 'data'));
    await using full = await testRegistry({ data: join(mount, 'data') });
    const one = repository(full.url, 'full');
    const before = await one.image('ok');
    const bytes = randomBlob(3_500_000);
    const location = await one.start();
    const answer = await one.send('PATCH', location, { body: bytes });
    assert.equal(answer.status, 507, await answer.clone().text());
    assert.equal(await codeOf(answer), 'BLOB_UPLOAD_INVALID');
    const status = await one.send('GET', location);
    assert.equal(status.status, 204);
    const received = Number((status.headers.get('range') as string).slice(2)) + 1;
    assert.ok(received > 0 && received < bytes.length);
    assert.equal(spawnSync('mount', ['-o', 'remount,size=12m', mount]).status, 0);
    assert.equal((await one.send('PATCH', location, { body: bytes.subarray(received), headers: { 'content-range': `${received}-${bytes.length - 1}` } })).status, 202);
    assert.equal((await one.send('PUT', one.withQuery(location, `digest=${digestOf(bytes)}`))).status, 201);
    assert.equal(await (await one.manifest('ok')).text(), before.text);
  });
});

test('clients that do not read hold little memory', async () => {
  const bytes = randomBlob(40 << 20);
  await repo().put(bytes);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const memory = process.memoryUsage().rss;
  const clients = [...Array(20).keys()].map(() => { const c = raw(`GET /v2/up/loads/blobs/${digestOf(bytes)} HTTP/1.1`); c.socket.pause(); return c; });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const grown = process.memoryUsage().rss - memory;
  for (const { socket } of clients) socket.destroy();
  assert.ok(grown < 150 << 20, `${grown >> 20} MiB for ${20 * 40} MiB of bodies`);
  assert.ok(existsSync(registry.data));
});
