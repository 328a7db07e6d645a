import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { apiServer } from '#test/support/api-server.ts';
import { echoClient, fakeEngine } from '#test/support/fake-engine.ts';
import { RawClient } from '#test/support/raw-http.ts';
import { NaruError } from '#spec/errors.ts';
import { writeOnce } from '#sys/descriptors.ts';
import type { ClientDescriptor } from './engine-port.ts';

const UPGRADE = 'Host: localhost\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n';
const ATTACH = `POST /containers/a/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${UPGRADE}\r\n`;
const HEAD = /^HTTP\/1\.1 101 UPGRADED\r\nApi-Version: 1\.51\r\n[^]*Content-Type: application\/vnd\.docker\.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n/;

const attachTo = (attach: (client: ClientDescriptor) => Promise<void>, tty = true) =>
  fakeEngine({ containers: { attachPrepare: async (name) => { if (name === 'gone') throw new NaruError('not-found', 'No such container: gone'); return { tty, attach }; } } });
const afterHead = (client: RawClient): string => client.text.slice(client.text.indexOf('\r\n\r\n') + 4);

/** Sends `bytes` and half-closes; resolves with all that came back after the head. */
async function echoAll(client: RawClient, bytes: Buffer, skip = 0): Promise<void> {
  await client.until((text) => text.includes('\r\n\r\n'));
  client.send(bytes);
  client.socket.end();
  await client.whole(20_000);
  const back = client.bytes.subarray(client.bytes.indexOf('\r\n\r\n') + 4 + skip);
  assert.equal(back.byteLength, bytes.byteLength);
  assert.ok(back.equals(bytes));
}
const pattern = (length: number): Buffer => Buffer.alloc(length, Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * 7) & 255)));

describe('on a unix socket', () => {
  test('the client reaches the very socket, both directions and half-close', async () => {
    let link = '';
    await using api = await apiServer(attachTo(async (client) => { link = readlinkSync(`/proc/self/fd/${client.fd}`); await echoClient(client); }));
    const client = new RawClient(api.socket).send(ATTACH);
    assert.match(await client.until((text) => text.includes('\r\n\r\n')), HEAD);
    client.send('hello');
    await client.until((text) => text.endsWith('hello'));
    assert.match(link, /^socket:/);
    client.socket.end();
    await client.whole();
  });
  test('input sent before the answer is not lost', async () => {
    await using api = await apiServer(attachTo(async (client) => { await new Promise((resolve) => setTimeout(resolve, 30)); await echoClient(client); }));
    const together = new RawClient(api.socket).send(`${ATTACH}early`);
    await together.until((text) => text.endsWith('early'));
    const next = new RawClient(api.socket).send(ATTACH);
    await new Promise((resolve) => setTimeout(resolve, 10));
    next.send('later');
    await next.until((text) => text.endsWith('later'));
    for (const client of [together, next]) { client.socket.end(); await client.whole(); }
  });
  test('32 MiB come back unchanged', async () => {
    await using api = await apiServer(attachTo(echoClient));
    await echoAll(new RawClient(api.socket).send(ATTACH), pattern(32 << 20));
  });
  test('32 MiB through the pump, which early input needs', async () => {
    await using api = await apiServer(attachTo(echoClient));
    const client = new RawClient(api.socket).send(`${ATTACH}>`);
    await client.until((text) => text.endsWith('>'));
    await echoAll(client, pattern(32 << 20), 1);
  });
  test('a failure before the takeover is an ordinary answer on a living connection', async () => {
    await using api = await apiServer(attachTo(echoClient));
    const client = new RawClient(api.socket).send(ATTACH.replace('/a/', '/gone/'));
    await client.until((text) => /^HTTP\/1\.1 404[^]*No such container: gone"}\n$/.test(text));
    client.send('GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n');
    assert.match(await client.whole(), /OK$/);
  });
  test('content types: tty, frames, older versions; 200 without Upgrade', async () => {
    await using api = await apiServer(attachTo(echoClient, false));
    const type = async (path: string, fields: string): Promise<string> => {
      const client = new RawClient(api.socket).send(`POST ${path} HTTP/1.1\r\n${fields}\r\n`);
      const [, status, media] = /^HTTP\/1\.1 (\d+)[^]*Content-Type: (\S+)\r\n/.exec(await client.until((text) => text.includes('\r\n\r\n')))!;
      client.socket.end();
      await client.whole();
      return `${status} ${media}`;
    };
    assert.equal(await type('/containers/a/attach', UPGRADE), '101 application/vnd.docker.multiplexed-stream');
    assert.equal(await type('/v1.41/containers/a/attach', UPGRADE), '101 application/vnd.docker.raw-stream');
    assert.equal(await type('/containers/a/attach', 'Host: d\r\n'), '200 application/vnd.docker.multiplexed-stream');
  });
  test('input in a chunked body (no Upgrade) is decoded', async () => {
    await using api = await apiServer(attachTo(echoClient));
    const client = new RawClient(api.socket).send('POST /containers/a/attach HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await client.until((text) => text.endsWith('abc'));
    client.send('2\r\nde\r\n0\r\n\r\n');
    await client.whole();
    assert.equal(afterHead(client), 'abcde');
  });
  test('exec start: body first, then the stream; a failure is told in the stream', async () => {
    const start = (id: string) => async (client: ClientDescriptor | undefined): Promise<void> => {
      if (id === 'bad') throw new NaruError('invalid', 'exec failed: no such file');
      if (client !== undefined) await echoClient(client);
    };
    await using api = await apiServer(fakeEngine({ exec: { startPrepare: async (id, options) => ({ tty: options.Tty === true, start: start(id) }) } }));
    const request = (id: string, body: string) => `POST /exec/${id}/start HTTP/1.1\r\n${UPGRADE}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const good = new RawClient(api.socket).send(request('good', '{"Tty":true}'));
    await good.until((text) => HEAD.test(text));
    good.send('x');
    good.socket.end();
    assert.equal((await good.whole()).slice(-5), '\r\n\r\nx');
    const bad = new RawClient(api.socket).send(request('bad', '{"Detach":false,"Tty":false}'));
    await bad.whole();
    assert.equal(afterHead(bad), '\x01\0\0\0\0\0\0\x1bexec failed: no such file\r\n');
    assert.equal((await api.ask('POST', '/exec/good/start', { body: { Detach: true } })).status, 200);
    assert.deepEqual([(await api.ask('POST', '/exec/bad/start', { body: { Detach: true } })).status], [400]);
  });
  test('no descriptor stays open', async () => {
    await using api = await apiServer(attachTo(async (client) => { writeOnce(client.fd, Buffer.from('bye')); }));
    const count = (): number => execFileSync('ls', [`/proc/${process.pid}/fd`]).toString().split('\n').length;
    const once = async (early: string): Promise<void> => { await new RawClient(api.socket).send(ATTACH + early).whole(); };
    await once('');
    await once('early');
    const before = count();
    for (let i = 0; i < 20; i++) await once(i % 2 === 0 ? '' : 'early');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(count() <= before + 1, `${before} descriptors became ${count()}`);
  });
});

describe('on tcp', () => {
  test('32 MiB, and no reset at the end', async () => {
    await using api = await apiServer(attachTo(echoClient), { listeners: [{ address: 'tcp://127.0.0.1:0', insecureTcp: true }] });
    const port = Number(api.server.addresses[1]!.split(':').at(-1));
    await echoAll(new RawClient({ host: '127.0.0.1', port }).send(ATTACH), pattern(32 << 20));
  });
});

describe('on TLS', () => {
  let directory: string;
  const file = (name: string): string => join(directory, name);
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'naru-tls.'));
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
    for (const ca of ['ca', 'other']) openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`, '-days', '2');
    for (const [name, ca] of [['server', 'ca'], ['client', 'ca'], ['stranger', 'other']] as const) {
      openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=localhost');
      openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-out', `${name}.pem`, '-days', '2');
    }
  });
  after(() => rmSync(directory, { recursive: true, force: true }));
  const serve = (engine = attachTo(echoClient)) =>
    apiServer(engine, { listeners: [{ address: 'tcp://127.0.0.1:0', tls: { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key'), verify: true } }] });
  const dial = (address: string, who: string | undefined): RawClient => {
    const certificate = who === undefined ? {} : { cert: readFileSync(file(`${who}.pem`)), key: readFileSync(file(`${who}.key`)) };
    const socket = connectTls({ host: '127.0.0.1', port: Number(address.split(':').at(-1)), ca: readFileSync(file('ca.pem')), servername: 'localhost', checkServerIdentity: () => undefined, ...certificate });
    return new RawClient('', socket);
  };
  test('clients without a certificate of ours are not heard', async () => {
    const engine = attachTo(echoClient);
    await using api = await serve(engine);
    for (const who of [undefined, 'stranger']) {
      const client = dial(api.server.addresses[1]!, who).send('GET /containers/json HTTP/1.1\r\nHost: localhost\r\n\r\n');
      assert.equal(await client.whole(), '', String(who));
    }
    assert.equal(engine.calls.length, 0);
  });
  test('ordinary answers and an attach through the pump', async () => {
    await using api = await serve();
    const plain = dial(api.server.addresses[1]!, 'client').send('GET /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    assert.match(await plain.whole(), /^HTTP\/1\.1 200 OK[^]*OK$/);
    const client = dial(api.server.addresses[1]!, 'client').send(ATTACH);
    await client.until((text) => HEAD.test(text));
    const sent = pattern(2 << 20);
    client.send(sent);
    await client.until(() => client.bytes.byteLength >= sent.byteLength + client.bytes.indexOf('\r\n\r\n') + 4, 30_000);
    assert.ok(client.bytes.subarray(client.bytes.indexOf('\r\n\r\n') + 4).equals(sent));
    client.close();
  });
});
