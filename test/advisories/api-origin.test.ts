import assert from 'node:assert/strict';
import { chmodSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isKind } from '#spec/errors.ts';
import { serveApi } from '#api/serve-api.ts';
import { apiServer } from '../support/api-server.ts';
import { fakeEngine } from '../support/fake-engine.ts';
import { rawExchange, statusOf } from '../support/raw-http.ts';

/** Who can reach the API at all: unauthenticated TCP, web pages (CSRF, DNS rebinding: CVE-2025-9074), the socket's mode. */
const engine = fakeEngine();
const listen = (address: string) => serveApi({ engine, version: '0', listeners: [{ address }] });

describe('tcp', () => {
  test('without client certificates it must be asked for', async () => {
    await assert.rejects(listen('tcp://127.0.0.1:0'), (error: Error) => isKind(error, 'invalid') && /without client certificates/.test(error.message));
  });
  test('malformed addresses', async () => {
    for (const address of ['tcp://', 'tcp://h', 'tcp://h:x', 'http://h:1', '/path', 'tcp://a/b:1']) await assert.rejects(listen(address), (error) => isKind(error, 'invalid'), address);
  });
  describe('from a browser', () => {
    let api: Awaited<ReturnType<typeof apiServer>>;
    let where: { host: string; port: number };
    before(async () => {
      api = await apiServer(engine, { listeners: [{ address: 'tcp://127.0.0.1:0', insecureTcp: true, allowedHosts: ['build.example'] }] });
      where = { host: '127.0.0.1', port: Number(api.server.addresses[1]!.split(':').at(-1)) };
    });
    after(() => api[Symbol.asyncDispose]());
    const ask = async (fields: string, target = '/containers/json'): Promise<number> => statusOf(await rawExchange(where, `GET ${target} HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`));
    test('a rebound domain name is refused', async () => {
      engine.calls.length = 0;
      for (const host of ['evil.example', 'evil.example:2375', 'localhost.evil.example', '127.0.0.1.evil.example', 'LOCALHOST.x', '[evil]']) assert.ok((await ask(`Host: ${host}\r\n`)) >= 400, host);
      assert.equal(await ask('Host: localhost\r\n', 'http://evil.example/containers/json'), 403);
      assert.deepEqual(engine.calls, []);
    });
    test('any Origin is refused, on every path', async () => {
      for (const origin of ['http://evil.example', 'null', 'http://localhost']) for (const path of ['/containers/json', '/_ping', '/nothing']) assert.equal(await ask(`Host: localhost\r\nOrigin: ${origin}\r\n`, path), 403);
      assert.deepEqual(engine.calls, []);
    });
    test('addresses, localhost and listed names pass', async () => {
      for (const host of ['127.0.0.1', '127.0.0.1:2375', 'localhost:1', 'LocalHost', '[::1]:2375', 'build.example', '']) assert.equal(await ask(`Host: ${host}\r\n`), 200, host);
    });
  });
});

describe('unix socket', () => {
  let directory: string;
  before(() => { directory = mkdtempSync(join(tmpdir(), 'naru-sock.')); });
  after(() => rmSync(directory, { recursive: true, force: true }));
  test('nobody else may connect: mode 0660', async () => {
    const path = join(directory, 'mode');
    const old = process.umask(0);
    const server = await listen(`unix://${path}`);
    process.umask(old);
    assert.equal(lstatSync(path).mode & 0o777, 0o660);
    await server.close();
    assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined);
  });
  test('a dead daemon\'s socket is replaced, a living one\'s is not', async () => {
    const path = join(directory, 'stale');
    const first = await listen(`unix://${path}`);
    await assert.rejects(listen(`unix://${path}`), (error: Error) => isKind(error, 'conflict') && /another daemon/.test(error.message));
    await first.close();
    // A socket file that nobody listens on: bound by a process that was killed.
    const { spawnSync } = await import('node:child_process');
    spawnSync('python3', ['-c', 'import socket,sys; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])', path]);
    assert.ok(lstatSync(path).isSocket());
    const second = await listen(`unix://${path}`);
    await second.close();
  });
  test('a file is never removed', async () => {
    const path = join(directory, 'file');
    writeFileSync(path, 'precious');
    await assert.rejects(listen(`unix://${path}`), (error: Error) => isKind(error, 'conflict') && /not a socket/.test(error.message));
    assert.ok(lstatSync(path).isFile());
  });
  test('close() leaves a successor\'s socket alone', async () => {
    const path = join(directory, 'successor');
    const first = await listen(`unix://${path}`);
    rmSync(path);
    const successor = createServer().listen(path);
    await new Promise((resolve) => successor.once('listening', resolve));
    await first.close();
    assert.ok(lstatSync(path).isSocket());
    successor.close();
  });
  test('a path that is too long, or cannot be written', async () => {
    await assert.rejects(listen(`unix:///${'x'.repeat(108)}`), (error) => isKind(error, 'invalid'));
    await assert.rejects(listen('unix:///proc/no/such'), (error: Error) => /cannot listen on unix:\/\/\/proc\/no\/such/.test(error.message));
    chmodSync(directory, 0o755);
  });
});
