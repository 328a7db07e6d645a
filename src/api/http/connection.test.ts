import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { RawClient, bodyOf, rawExchange, statusOf } from '#test/support/raw-http.ts';
import { type StreamListener, listenStream } from '#sys/stream-listener.ts';
import type { HttpHandler } from './connection.ts';
import { HttpServer } from './http-server.ts';
import { MAX_HEAD_BYTES } from './parse-head.ts';
import type { Reply } from './reply.ts';

const say = (body: string, status = 200): Reply => ({ kind: 'full', status, headers: [['Content-Type', 'text/plain']], body });

let directory: string;
let path: string;
let listener: StreamListener;
let server: HttpServer;
let served: string[];
let handler: HttpHandler;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'naru-http.'));
  path = join(directory, 's');
  served = [];
  handler = async (request) => {
    served.push(`${request.head.method} ${request.head.path}`);
    const body = await request.readAll(1 << 20);
    return say(`${request.head.path}:${body.toString()}`);
  };
  server = new HttpServer(4);
  listener = listenStream({ path }, (socket) => server.accept(socket, (request) => handler(request)));
});
afterEach(async () => {
  listener.stop();
  await server.close(100);
  rmSync(directory, { recursive: true, force: true });
});

const GET = (target: string, ...fields: string[]): string => [`GET ${target} HTTP/1.1`, 'Host: d', ...fields, '', ''].join('\r\n');

describe('a body that is written past the server', () => {
  const written = (script: string, size: number): Reply => ({
    kind: 'written', status: 200, headers: [], body: {
      size, stream: () => Readable.from([]),
      writeTo: (fd) => new Promise((resolve, reject) => void spawn('sh', ['-c', script], { stdio: ['ignore', fd, 'ignore'] })
        .on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))))),
    },
  });
  test('it arrives whole, more of it than the socket holds, and the connection serves on', async () => {
    handler = (request) => (request.head.path === '/big' ? written('head -c 3000000 /dev/zero; printf end', 3_000_003) : say('next'));
    const text = await rawExchange(path, GET('/big') + GET('/', 'Connection: close'));
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*?Content-Length: 3000003\r\n\r\n/);
    assert.match(text.slice(-300), /\0endHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nnext$/);
    assert.equal(text.indexOf('end') - text.indexOf('\0'), 3_000_000);
  });
  test('it fails: the connection is cut', async () => {
    handler = () => written('printf part; exit 1', 100);
    assert.match(await rawExchange(path, GET('/')), /Content-Length: 100\r\n\r\npart$/);
  });
});

describe('framing', () => {
  test('keep-alive, then close', async () => {
    const client = new RawClient(path).send(GET('/a'));
    await client.until((text) => text.endsWith('/a:'));
    client.send(GET('/b', 'Connection: close'));
    assert.match(await client.whole(), /\/a:HTTP\/1\.1 200 OK[^]*Connection: close[^]*\/b:$/);
  });
  test('pipelined requests are answered in order, one at a time', async () => {
    handler = async (request) => {
      served.push(request.head.path);
      await new Promise((resolve) => setTimeout(resolve, request.head.path === '/1' ? 20 : 0));
      return say(`<${request.head.path}${(await request.readAll(100)).toString()}>`);
    };
    const client = new RawClient(path).send(`${GET('/1')}POST /2 HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc${GET('/3', 'Connection: close')}`);
    const text = await client.whole();
    assert.deepEqual(text.match(/<[^>]*>/g), ['</1>', '</2abc>', '</3>']);
  });
  test('thousands of pipelined requests that are answered at once', async () => {
    handler = () => say('x');
    const client = new RawClient(path).send(GET('/').repeat(5_000) + GET('/', 'Connection: close'));
    assert.equal((await client.whole(10_000)).match(/HTTP\/1\.1 200/g)?.length, 5_001);
  });
  test('a request byte by byte', async () => {
    const client = new RawClient(path);
    for (const byte of 'POST /slow HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n') {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(bodyOf(await client.whole()), '/slow:abc');
  });
  test('HEAD has the length and no body', async () => {
    const text = await rawExchange(path, 'HEAD /x HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n');
    assert.match(text, /Content-Length: 3\r\n/);
    assert.equal(bodyOf(text), '');
  });
  test('204 and 304 have neither body nor length', async () => {
    for (const status of [204, 304]) {
      handler = () => say('never', status);
      const text = await rawExchange(path, GET('/', 'Connection: close'));
      assert.doesNotMatch(text, /Content-Length|never/);
    }
  });
  test('HTTP/1.0 gets an unchunked stream and a closed connection', async () => {
    handler = () => ({ kind: 'stream', status: 200, headers: [], chunks: (async function* () { yield 'one'; yield 'two'; })() });
    const text = await rawExchange(path, 'GET / HTTP/1.0\r\n\r\n');
    assert.doesNotMatch(text, /Transfer-Encoding/);
    assert.equal(bodyOf(text), 'onetwo');
  });
  test('Expect: 100-continue is answered when the handler reads', async () => {
    const client = new RawClient(path).send('POST /e HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n');
    await client.until((text) => text === 'HTTP/1.1 100 Continue\r\n\r\n');
    client.send('hi');
    assert.match(await client.whole(), /\/e:hi$/);
  });
  test('an early answer to an unread body closes the connection, and arrives', async () => {
    handler = () => say('no', 400);
    const client = new RawClient(path).send(`POST / HTTP/1.1\r\nHost: d\r\nContent-Length: ${64 << 20}\r\n\r\n`);
    const block = Buffer.alloc(1 << 20);
    for (let i = 0; i < 8; i++) client.send(block);
    const text = await client.whole();
    assert.equal(statusOf(text), 400);
    assert.match(text, /Connection: close/);
    client.close();
  });
  test('a body larger than the handler takes: 413 comes from its error, nothing is buffered', async () => {
    handler = (request) => request.readAll(10).then(() => say('read'), () => say('too large', 413));
    assert.equal(statusOf(await rawExchange(path, `POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000000000\r\n\r\n`)), 413);
    assert.equal(statusOf(await rawExchange(path, `POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n${'x'.repeat(32)}\r\n`)), 413);
  });
  test('a handler that throws or rejects is a bare 500', async () => {
    handler = () => { throw new Error('bug'); };
    assert.equal(statusOf(await rawExchange(path, GET('/', 'Connection: close'))), 500);
    handler = () => Promise.reject(new Error('bug'));
    assert.equal(statusOf(await rawExchange(path, GET('/', 'Connection: close'))), 500);
  });
  test('a header value with a line break is not sent', async () => {
    handler = () => ({ kind: 'full', status: 200, headers: [['X-A', 'a\r\nX-Evil: 1'], ['X-B', 'b']], body: '' });
    const text = await rawExchange(path, GET('/', 'Connection: close'));
    assert.doesNotMatch(text, /Evil/);
    assert.match(text, /X-B: b/);
  });
});

describe('limits', () => {
  test('head too large', async () => {
    assert.equal(statusOf(await rawExchange(path, GET('/', `X: ${'a'.repeat(MAX_HEAD_BYTES)}`))), 431);
    assert.equal(statusOf(await rawExchange(path, `GET /${'a'.repeat(MAX_HEAD_BYTES)}`)), 414);
    assert.deepEqual(served, []);
  });
  test('a bad request closes the connection: what follows is not read as a request', async () => {
    const text = await rawExchange(path, `POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nContent-Length: 40\r\n\r\n${GET('/smuggled')}`);
    assert.equal(statusOf(text), 400);
    assert.deepEqual(served, []);
  });
  test('a broken chunk ends the connection after its request', async () => {
    handler = (request) => request.readAll(100).then(() => say('read'), (error: Error) => say(error.message, 400));
    const text = await rawExchange(path, `POST /a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${GET('/smuggled')}`);
    assert.equal(statusOf(text), 400);
    assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1);
  });
  test('at the bound an idle connection gives way', async () => {
    const idle = Array.from({ length: 4 }, () => new RawClient(path));
    for (const client of idle) await client.send(GET('/')).until((text) => text.endsWith('/:'));
    assert.equal(bodyOf(await rawExchange(path, GET('/new', 'Connection: close'))), '/new:');
    await idle[0]!.whole();
    assert.ok(server.size <= 4);
    for (const client of idle) client.close();
  });
});

test('nonsense in any cut: an answer or a closed connection, and the next client is served', async () => {
  const piece = fc.oneof(
    fc.constantFrom('GET / HTTP/1.1\r\n', 'POST /x HTTP/1.1\r\n', 'Host: d\r\n', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n', '\r\n', 'abc', '3\r\nabc\r\n', '0\r\n\r\n', '\r', '\n'),
    fc.string({ maxLength: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const client = new RawClient(path);
      for (const each of pieces) {
        client.send(each);
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.socket.end();
      await client.whole();
      client.close();
      assert.equal(bodyOf(await rawExchange(path, GET('/alive', 'Connection: close'))), '/alive:');
    }),
    { numRuns: 60 },
  );
  assert.equal(server.size, 0);
});

describe('streams', () => {
  test('the head is sent before the first chunk', async () => {
    const gate = Promise.withResolvers<void>();
    handler = () => ({ kind: 'stream', status: 200, headers: [], chunks: (async function* () { await gate.promise; yield 'late'; })() });
    const client = new RawClient(path).send(GET('/', 'Connection: close'));
    await client.until((text) => text.endsWith('\r\n\r\n'));
    gate.resolve();
    assert.match(await client.whole(), /\r\n\r\n4\r\nlate\r\n0\r\n\r\n$/);
  });
  test('a failing source leaves the answer incomplete', async () => {
    handler = () => ({ kind: 'stream', status: 200, headers: [], chunks: (async function* () { yield 'part'; throw new Error('broken'); })() });
    assert.match(await rawExchange(path, GET('/')), /part\r\n$/);
  });
  test('back-pressure: a client that does not read stops the source', async () => {
    let produced = 0;
    handler = () => ({ kind: 'stream', status: 200, headers: [], chunks: (async function* () { for (; produced < 1_000; produced++) yield Buffer.alloc(65_536, 'z'); })() });
    const client = new RawClient(path);
    client.socket.pause();
    client.send(GET('/', 'Connection: close'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(produced > 0 && produced < 200, `${produced} chunks were produced for a client that does not read`);
    client.socket.resume();
    const text = await client.whole(10_000);
    assert.equal(text.match(/z/g)?.length, 65_536_000);
  });
  test('back-pressure: a handler that does not read stops the client', async () => {
    const gate = Promise.withResolvers<void>();
    let got = 0;
    handler = async (request) => {
      const stream = request.stream()!;
      stream.read(0);
      await gate.promise;
      for await (const part of stream) got += (part as Buffer).byteLength;
      return say(String(got));
    };
    const client = new RawClient(path).send(`POST / HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: ${32 << 20}\r\n\r\n`);
    for (let i = 0; i < 32; i++) client.send(Buffer.alloc(1 << 20));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(client.socket.writableLength > (24 << 20), `only ${client.socket.writableLength} bytes were held back`);
    gate.resolve();
    assert.equal(bodyOf(await client.whole(10_000)), String(32 << 20));
  });
  test('the source is told when the client goes', async () => {
    const gone = Promise.withResolvers<string>();
    handler = (request) => {
      request.signal.addEventListener('abort', () => gone.resolve('aborted'));
      return { kind: 'stream', status: 200, headers: [], chunks: (async function* () { yield 'x'; await new Promise(() => undefined); })() };
    };
    const client = new RawClient(path).send(GET('/'));
    await client.until((text) => text.includes('x\r\n'));
    client.close();
    assert.equal(await gone.promise, 'aborted');
  });
  test('a body that breaks off fails its stream', async () => {
    const failed = Promise.withResolvers<string>();
    handler = async (request) => {
      try {
        for await (const _ of request.stream()!);
      } catch (error) {
        failed.resolve((error as Error).message);
      }
      return say('');
    };
    const client = new RawClient(path).send('POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nabc');
    client.socket.end();
    assert.match(await failed.promise, /broke off/);
    client.close();
  });
  test('close(): idle connections and streams end at once, a running request may finish', async () => {
    const idle = new RawClient(path).send(GET('/'));
    await idle.until((text) => text.endsWith('/:'));
    handler = () => ({ kind: 'stream', status: 200, headers: [], chunks: (async function* () { yield 'x'; await new Promise(() => undefined); })() });
    const stream = new RawClient(path).send(GET('/'));
    await stream.until((text) => text.includes('x\r\n'));
    handler = () => new Promise((resolve) => setTimeout(() => resolve(say('finished')), 100));
    const busy = new RawClient(path).send(GET('/'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await server.close(2_000);
    assert.match(await busy.whole(), /Connection: close[^]*finished$/);
    await idle.whole();
    await stream.whole();
    assert.equal(server.size, 0);
  });
});
