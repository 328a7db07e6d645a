import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { FakeRegistry, refuse, sha256 } from '#test/support/fake-registry.ts';
import { hostFiles, openFake, options } from '#test/support/open-fake.ts';
import { isKind } from '#spec/errors.ts';
import { openRepository } from './repository.ts';
import type { AnswerElsewhere, ExchangeElsewhere } from './dispatch.ts';
import { exchangeHere } from './exchange-here.ts';
import type { BlobSource } from './upload-blob.ts';

const DATA = randomBytes(250_000);
const DIGEST = sha256(DATA);

/** The same bytes each time, in pieces whose memory is used again. */
function source(bytes = DATA): BlobSource & { opened: number } {
  return {
    opened: 0,
    async *open() {
      this.opened++;
      const piece = Buffer.alloc(10_000);
      for (let at = 0; at < bytes.byteLength; at += piece.byteLength) {
        const length = bytes.copy(piece, 0, at);
        yield piece.subarray(0, length);
        piece.fill(0);
      }
    },
    finish: async () => ({ digest: sha256(bytes), size: bytes.byteLength }),
  };
}

test('one streamed request, closed with the digest', async () => {
  await using registry = await FakeRegistry.start();
  using repository = openFake(registry);
  assert.deepEqual(await repository.upload(source()), { digest: DIGEST, size: DATA.byteLength });
  assert.ok(registry.blobs.get(DIGEST)!.equals(DATA));
  assert.deepEqual(registry.requests.map(({ method }) => method).filter((method) => method !== 'GET'), ['POST', 'PATCH', 'PUT']);
  assert.equal(await repository.blobSize(DIGEST), DATA.byteLength);
  assert.equal(await repository.blobSize(sha256('nothing')), undefined);
});

test('a failure on the way starts again', async () => {
  await using registry = await FakeRegistry.start();
  let failures = 2;
  registry.quirks.push((request, response) => {
    if (request.method !== 'PATCH' || failures-- <= 0) return false;
    if (failures === 1) response.socket!.destroy();
    else refuse(response, 503, 'UNAVAILABLE');
    return true;
  });
  using repository = openFake(registry);
  const blob = source();
  await repository.upload(blob);
  assert.equal(blob.opened, 3);
  assert.ok(registry.blobs.get(DIGEST)!.equals(DATA));
});

test('bytes that another process has are sent by it: one exchange, told as JSON, with this one\'s credentials; failures count as one\'s own', async () => {
  await using registry = await FakeRegistry.start();
  let failures = 1;
  registry.quirks.push((request, response) => {
    if (request.method !== 'PATCH' || failures-- <= 0) return false;
    response.socket!.destroy();
    return true;
  });
  registry.quirks.push((_request, response, seen) => {
    if (seen.headers['authorization'] !== undefined) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="r"' });
    return true;
  });
  using repository = openFake(registry, { credentials: { username: 'ann', password: 'secret' } });
  const blob = source();
  const told: string[] = [];
  await repository.upload({
    open: () => { throw new Error('the bytes are elsewhere'); },
    finish: blob.finish,
    async elsewhere(exchange) {
      told.push(JSON.stringify(exchange));
      return JSON.parse(JSON.stringify(await exchangeHere(JSON.parse(told.at(-1)!) as ExchangeElsewhere, blob.open()))) as AnswerElsewhere;
    },
  });
  assert.ok(registry.blobs.get(DIGEST)!.equals(DATA));
  assert.equal(told.length, 2);
  assert.deepEqual([...new Set(registry.seen('PATCH').map(({ headers }) => headers['authorization']))], [`Basic ${Buffer.from('ann:secret').toString('base64')}`]);
});

test('in chunks by the host\'s file; a lost answer is no lost chunk', async () => {
  await using registry = await FakeRegistry.start();
  using directories = hostFiles({ [registry.host]: { chunkBytes: 64_000 } });
  using repository = openFake(registry, { directories });
  let lost = false;
  registry.quirks.push((request, response, seen) => {
    if (request.method !== 'PATCH' || lost || !seen.headers['content-range']!.startsWith('64000-')) return false;
    lost = true;
    // It arrives, but the answer does not.
    void fetch(`http://${registry.host}${request.url}`, { method: 'PATCH', headers: { 'content-range': seen.headers['content-range']! }, body: new Uint8Array(seen.body) }).then(() => response.socket!.destroy());
    return true;
  });
  await repository.upload(source());
  assert.ok(registry.blobs.get(DIGEST)!.equals(DATA));
  assert.deepEqual([...new Set(registry.seen('PATCH').map(({ headers }) => headers['content-range']))], ['0-63999', '64000-127999', '128000-191999', '192000-249999']);
});

test('a refused digest is told, not tried again', async () => {
  await using registry = await FakeRegistry.start();
  using repository = openFake(registry);
  await assert.rejects(repository.upload({ ...source(), finish: async () => ({ digest: sha256('lie'), size: 3 }) }), (error) => isKind(error, 'invalid'));
  assert.equal(registry.seen('PUT').length, 1);
});

test('mounts: taken over, or a session that is given back', async () => {
  await using registry = await FakeRegistry.start();
  using repository = openFake(registry);
  const { digest } = registry.addBlob('here');
  assert.equal(await repository.mount(digest, 'library/y'), true);
  assert.equal(new URL(registry.seen('POST')[0]!.url, 'http://x').searchParams.get('from'), 'library/y');
  assert.equal(await repository.mount(sha256('elsewhere'), 'library/y'), false);
  for (let i = 0; i < 100 && registry.seen('DELETE').length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(registry.seen('DELETE').length, 1);
});

test('back-pressure: a registry that reads slowly slows the source', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', (head) => {
      if (head.toString('latin1').startsWith('POST')) socket.end('HTTP/1.1 202 Accepted\r\nlocation: /v2/x/blobs/uploads/1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      else socket.pause(); // and never reads on
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  using directories = hostFiles({ 'registry.test': { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
  const repository = openRepository({ domain: 'registry.test', path: 'x' }, {}, options({ directories, patience: 300, retry: { attempts: 1 } }));
  const block = Buffer.alloc(1 << 20);
  let produced = 0;
  await assert.rejects(repository.upload({
    async *open() {
      for (; produced < 200; produced++) yield block;
    },
    finish: async () => ({ digest: DIGEST, size: 0 }),
  }), (error) => isKind(error, 'unavailable'));
  assert.ok(produced < 60, `${produced} MiB were taken from the source`);
  repository.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});
