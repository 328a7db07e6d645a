import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { apiServer } from '../support/api-server.ts';
import { fakeEngine } from '../support/fake-engine.ts';
import { RawClient, rawExchange, statusOf } from '../support/raw-http.ts';

/** JSON bombs, prototype pollution, slow and silent clients, floods. */
const engine = fakeEngine();
let api: Awaited<ReturnType<typeof apiServer>>;
before(async () => { api = await apiServer(engine, { maxConnections: 16 }); });
after(() => api[Symbol.asyncDispose]());
beforeEach(() => { engine.calls.length = 0; });

const rawCreate = (body: string): Promise<string> =>
  rawExchange(api.socket, `POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

describe('JSON', () => {
  test('100 MB are refused by their length, at once', async () => {
    const start = performance.now();
    const answer = await rawExchange(api.socket, `POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: ${100 << 20}\r\n\r\n`);
    assert.equal(statusOf(answer), 413);
    assert.ok(performance.now() - start < 3_000);
  });
  test('100 MB in chunks are refused after 4, and not kept', async () => {
    const client = new RawClient(api.socket).send('POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n');
    const memory = process.memoryUsage().rss;
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1 << 20, 32), Buffer.from('\r\n')]);
    for (let i = 0; i < 100 && !client.closed; i++) await new Promise((resolve) => client.socket.write(chunk, resolve));
    assert.equal(statusOf(client.text), 413);
    assert.ok(process.memoryUsage().rss - memory < 150 << 20);
    client.close();
  });
  test('3 MiB in chunks of one byte cost no gigabyte', async () => {
    const body = `{"Image":"x"${' '.repeat(3 << 20)}}`;
    // Made before the measuring: the attacker lives in this process too.
    const chunks = Buffer.concat(Array.from({ length: body.length }, (_, i) => Buffer.from(`1\r\n${body[i]}\r\n`)));
    const memory = process.memoryUsage().rss;
    const client = new RawClient(api.socket).send('POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n');
    client.send(chunks).send('0\r\n\r\n');
    assert.equal(statusOf(await client.whole(15_000)), 201);
    const grown = process.memoryUsage().rss - memory;
    assert.ok(grown < 700 << 20, `${grown >> 20} MiB more`);
  });
  test('deep nesting', async () => {
    const depth = 1_000_000;
    for (const body of ['['.repeat(depth) + ']'.repeat(depth), '{"a":'.repeat(depth / 2) + '1' + '}'.repeat(depth / 2), '['.repeat(depth)]) {
      const answer = await rawCreate(body);
      assert.equal(statusOf(answer), 400);
      assert.match(answer, /nested deeper than 64 levels/);
    }
  });
  test('brackets within strings do not count', async () => assert.equal(statusOf(await rawCreate(`{"Image":"x","Labels":{"a":"${'[{'.repeat(500)}\\"["}}`)), 201));
  for (const key of ['__proto__', '\\u005f_proto__', '_\\u005Fproto\\u005f_', '\\u005f\\u005f\\u0070roto\\u005f\\u005f']) {
    test(`the key ${key}`, async () => {
      for (const body of [`{"${key}":{"polluted":1}}`, `{"Labels":{"${key}":"x"}}`, `{"HostConfig":{"${key}":{"Privileged":true}}}`]) {
        const answer = await rawCreate(body);
        assert.equal(statusOf(answer), 400);
        assert.match(answer, /__proto__/);
      }
      assert.equal(({} as { polluted?: number }).polluted, undefined);
      assert.deepEqual(engine.calls, []);
    });
  }
  test('constructor and prototype are ordinary label names', async () => {
    assert.equal(statusOf(await rawCreate('{"Image":"x","constructor":{"prototype":{"polluted":1}},"Labels":{"constructor":"a","toString":"b"},"toString":1,"hasOwnProperty":1}')), 201);
    assert.deepEqual(engine.calls[0]?.args[1], { Image: 'x', Labels: { constructor: 'a', toString: 'b' } });
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });
  test('polluting filters', async () => {
    await api.ask('GET', `/containers/json?filters=${encodeURIComponent('{"__proto__":{"polluted":true},"label":{"__proto__":true}}')}`);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
    assert.equal(({} as { label?: number }).label, undefined);
  });
  test('malformed', async () => {
    for (const body of ['{', '{"a":1}}', '{"a":01}', 'nul', '\ufeff{}', '{"a":"\\x"}', '\0']) assert.equal(statusOf(await rawCreate(body)), 400, body);
  });
  test('only application/json: what a web page can post is not heard', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx', '']) {
      const answer = await api.ask('POST', '/containers/create', { body: { Image: 'x' }, headers: { 'Content-Type': type } });
      assert.equal(answer.status, 400);
      assert.match(answer.text, /must be 'application\/json'/);
    }
    assert.deepEqual(engine.calls, []);
  });
});

describe('slow clients', () => {
  test('a head that dribbles is cut off after its deadline, others are served meanwhile', { timeout: 20_000 }, async () => {
    const slow = new RawClient(api.socket).send('GET /_ping HTTP/1.1\r\n');
    const dribble = setInterval(() => slow.send('X: 1\r\n'), 500);
    try {
      assert.equal((await api.ask('GET', '/_ping')).status, 200);
      assert.equal(statusOf(await slow.whole(14_000)), 408);
    } finally {
      clearInterval(dribble);
      slow.close();
    }
  });
  test('a flood of idle connections does not keep new clients out', async () => {
    const flood = Array.from({ length: 200 }, () => new RawClient(api.socket));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await api.ask('GET', '/_ping')).status, 200);
    for (const client of flood) client.close();
  });
});
