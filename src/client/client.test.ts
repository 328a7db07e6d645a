import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createClient, type Client } from './client.ts';
import { parseHostAddress } from './host-address.ts';

/** A server that answers each request with the next of `script`, raw bytes, and remembers the requests' heads. */
const directory = mkdtempSync(join(tmpdir(), 'naru-client-'));
const socket = join(directory, 's.sock');
let server: Server;
let script: (string | ((connection: Socket) => void))[] = [];
let heads: string[] = [];
let connections = 0;
let client: Client;

before(async () => {
  server = createServer({ allowHalfOpen: true }, (connection) => {
    connections++;
    connection.on('error', () => {});
    connection.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (!/^(GET|POST|PUT|HEAD|DELETE) /.test(text)) return;
      heads.push(text);
      const next = script.shift();
      if (typeof next === 'function') next(connection);
      else if (next !== undefined) connection.write(next);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
});
after(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

function fresh(answers: typeof script): Client {
  client?.close();
  script = answers;
  heads = [];
  connections = 0;
  return (client = createClient({ host: `unix://${socket}` }));
}
const json = (value: unknown, status = '200 OK'): string => {
  const body = JSON.stringify(value);
  return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};

describe('client', () => {
  test('requests in a row share one connection', async () => {
    const c = fresh([json([]), json([]), json({ Version: '1' })]);
    await c.containers.list();
    await c.images.list();
    await c.system.version();
    assert.equal(connections, 1);
    assert.match(heads[0] as string, /^GET \/v1\.51\/containers\/json HTTP\/1\.1\r\n/);
  });

  test('requests at once take a connection each', async () => {
    const c = fresh([json([]), json([]), json([])]);
    await Promise.all([c.containers.list(), c.containers.list(), c.containers.list()]);
    assert.equal(connections, 3);
  });

  test('an older daemon is spoken to in its version, from then on', async () => {
    const c = fresh([json({ message: 'client version 1.51 is too new. Maximum supported API version is 1.41' }, '400 Bad Request'), json([]), json([])]);
    await c.containers.list();
    await c.containers.list();
    assert.deepEqual(heads.map((head) => head.split(' ')[1]), ['/v1.51/containers/json', '/v1.41/containers/json', '/v1.41/containers/json']);
    assert.equal(c.apiVersion, '1.41');
  });

  test('a refusal is an error of its kind, with the daemon\'s words', async () => {
    for (const [status, kind] of [['404 X', 'not-found'], ['409 X', 'conflict'], ['500 X', 'internal'], ['400 X', 'invalid'], ['403 X', 'forbidden'], ['501 X', 'unsupported'], ['507 X', 'no-space']] as const) {
      const c = fresh([json({ message: 'so it is' }, status)]);
      await assert.rejects(c.containers.inspect('a'), { kind, message: 'Error response from daemon: so it is' });
    }
  });

  test('nobody there', async () => {
    const c = createClient({ host: 'unix:///nonexistent/x.sock' });
    await assert.rejects(c.containers.list(), { kind: 'unavailable', message: 'Cannot connect to the Docker daemon at unix:///nonexistent/x.sock. Is the docker daemon running?' });
  });

  test('somebody starts it', async () => {
    script = [json([])];
    let asked = 0;
    let path = '/nonexistent/x.sock';
    const late = createClient({
      host: `unix://${join(directory, 'late.sock')}`,
      onUnreachable: async () => {
        asked++;
        path = join(directory, 'late.sock');
        const second = createServer((connection) => connection.on('data', () => connection.end(json([]))));
        await new Promise<void>((resolve) => second.listen(path, resolve));
        second.unref();
        return true;
      },
    });
    assert.deepEqual(await late.containers.list(), []);
    assert.equal(asked, 1);
    late.close();
  });

  test('a hijacked connection carries both ways, and half-closes', async () => {
    const c = fresh([(connection) => {
      connection.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ');
      let got = '';
      connection.on('data', (chunk: Buffer) => (got += chunk.toString()));
      connection.on('end', () => connection.end(`you said ${got}`));
    }]);
    const stream = await c.containers.attach('a', { stream: true, stdin: true, stdout: true });
    await stream.write(new TextEncoder().encode('hello'));
    stream.closeWrite();
    assert.equal(await stream.output.text(), 'first you said hello');
    stream.destroy();
  });

  test('megabytes both ways, with back-pressure', async () => {
    const size = 48 << 20;
    const c = fresh([(connection) => {
      connection.write('HTTP/1.1 101 UPGRADED\r\n\r\n');
      connection.pipe(connection);
    }]);
    const stream = await c.containers.attach('a', { stream: true, stdin: true, stdout: true });
    const block = new Uint8Array(1 << 20).fill(7);
    const sending = (async () => {
      for (let sent = 0; sent < size; sent += block.length) await stream.write(block);
      stream.closeWrite();
    })();
    let received = 0;
    for await (const chunk of stream.output) received += chunk.length;
    await sending;
    assert.equal(received, size);
  });

  test('a stream of JSON, cut anywhere', async () => {
    const c = fresh([(connection) => {
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      connection.write('10\r\n{"status":"one"}\r\n');
      setTimeout(() => connection.write('5\r\n\r\n{"s\r\nd\r\ntatus":"two"}\r\n0\r\n\r\n'), 5);
    }]);
    const seen: unknown[] = [];
    for await (const message of c.images.pull('x', 'latest')) seen.push(message.status);
    assert.deepEqual(seen, ['one', 'two']);
  });

  test('an upload is chunked, and an early refusal stops it', async () => {
    const c = fresh([
      'HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\n\r\n'.replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n'),
      json({ message: 'no room' }, '507 X'),
    ]);
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 65536;
        yield new Uint8Array(65536);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    await assert.rejects(c.images.load(endless()), { kind: 'no-space' });
    const then = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(sent <= then + 2 * 65536, 'it goes on sending');
    assert.match(heads[1] as string, /Transfer-Encoding: chunked/);
  });

  test('a cut answer is an error, not half an answer', async () => {
    const c = fresh([(connection) => connection.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1')]);
    await assert.rejects(c.containers.list(), /closed the connection/);
  });

  test('an abort ends a wait', async () => {
    const c = fresh([() => {}]);
    const stop = new AbortController();
    const waiting = c.containers.wait('a', 'next-exit', stop.signal);
    setTimeout(() => stop.abort(), 10);
    await assert.rejects(waiting);
  });
});

test('addresses', () => {
  assert.deepEqual(parseHostAddress('unix:///a/b.sock'), { kind: 'unix', path: '/a/b.sock' });
  assert.deepEqual(parseHostAddress('tcp://h:1'), { kind: 'tcp', host: 'h', port: 1 });
  assert.deepEqual(parseHostAddress('tcp://h', true), { kind: 'tcp', host: 'h', port: 2376 });
  assert.deepEqual(parseHostAddress('tcp://[::1]:5'), { kind: 'tcp', host: '::1', port: 5 });
  assert.deepEqual(parseHostAddress('ssh://me@h:22/run/x.sock'), { kind: 'ssh', destination: 'me@h', port: '22', socket: '/run/x.sock' });
  for (const bad of ['unix://', 'foo://x', 'ssh://-oProxyCommand=x', 'ssh://a@-x', 'tcp://h:99999', 'ssh://']) assert.throws(() => parseHostAddress(bad), Error, bad);
});
