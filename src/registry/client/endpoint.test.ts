import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttps } from 'node:https';
import { connect, createServer as createTcp, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { answered, FakeRegistry, MANIFEST, refuse } from '#test/support/fake-registry.ts';
import { collect, hostFiles, openFake, options, QUICK } from '#test/support/open-fake.ts';
import { isKind } from '#spec/errors.ts';
import { checkLogin, domainOf } from './check-login.ts';
import { openRepository } from './repository.ts';
import { searchIndex } from './search-index.ts';

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'naru-tls.'));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2', '-subj', '/CN=registry.test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:registry.test'], { cwd: directory, stdio: 'ignore' });
});
after(() => rmSync(directory, { recursive: true }));

async function secure(): Promise<{ host: string; paths: string[]; [Symbol.dispose](): void }> {
  const paths: string[] = [];
  const server = createHttps({ key: readFileSync(join(directory, 'key.pem')), cert: readFileSync(join(directory, 'cert.pem')) }, (request, response) => {
    paths.push(request.url!);
    response.writeHead(200, { 'content-type': MANIFEST }).end(JSON.stringify({ schemaVersion: 2, config: { mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}`, size: 1 }, layers: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, paths, [Symbol.dispose]: () => void server.close() };
}

test('this machine\'s registries: https without a check, then http', async () => {
  using tls = await secure();
  const repository = openRepository({ domain: tls.host, path: 'a' }, {}, options());
  await repository.manifest('latest');
  repository.close();
  await using plain = await FakeRegistry.start();
  plain.addManifest('library/x', { schemaVersion: 2, config: plain.addBlob('{}', 'a/b'), layers: [] }, { tag: 'latest' });
  using other = openFake(plain);
  await other.manifest('latest');
});

test('elsewhere certificates are checked, by the CA of the host\'s file', async () => {
  using tls = await secure();
  const named = 'registry.test';
  const file = (extra: object): object => ({ [named]: { server: `https://${tls.host}`, ...extra } });
  // The server's address is on this machine, so the strictness of others is asked for by naming a CA.
  using good = hostFiles(file({ ca: join(directory, 'cert.pem') }) as Record<string, unknown>);
  const repository = openRepository({ domain: named, path: 'a' }, {}, options({ directories: good }));
  await repository.manifest('latest');
  repository.close();
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'other-key.pem', '-out', 'other.pem', '-days', '2', '-subj', '/CN=other'], { cwd: directory, stdio: 'ignore' });
  using bad = hostFiles(file({ ca: join(directory, 'other.pem') }) as Record<string, unknown>);
  const refused = openRepository({ domain: named, path: 'a' }, {}, options({ directories: bad }));
  await assert.rejects(refused.manifest('latest'), (error) => isKind(error, 'forbidden') && /certificate/.test((error as Error).message));
  refused.close();
});

test('plain HTTP where TLS is demanded', async () => {
  await using plain = await FakeRegistry.start();
  using directories = hostFiles({ 'registry.test': { server: `https://${plain.host}`, ca: join(directory, 'cert.pem') } });
  const repository = openRepository({ domain: 'registry.test', path: 'a' }, { username: 'u', password: 'p' }, options({ directories }));
  // Loopback is allowed to be insecure: it works, as Docker's 127.0.0.0/8 does.
  await assert.rejects(repository.manifest('latest'), (error) => isKind(error, 'not-found'));
  repository.close();
});

test('nobody there', async () => {
  const repository = openRepository({ domain: '127.0.0.1:1', path: 'a' }, {}, options());
  await assert.rejects(repository.manifest('latest'), /Get "http:\/\/127.0.0.1:1\/v2\/a\/manifests\/latest": connect: connection refused/);
  repository.close();
});

test('mirrors are asked first, with their own credentials; what they lack comes from the registry', async () => {
  await using registry = await FakeRegistry.start();
  await using mirror = await FakeRegistry.start();
  const config = registry.addBlob('{}', 'a/b');
  registry.addManifest('library/x', { schemaVersion: 2, config, layers: [] }, { tag: 'latest' });
  const both = registry.addBlob('both');
  mirror.addBlob('both');
  mirror.quirks.push((request) => {
    request.url = request.url!.replace('/prefix/', '/');
    return false;
  });
  using directories = hostFiles({ [registry.host]: { mirrors: ['http://127.0.0.1:1', { url: `http://${mirror.host}/prefix`, headers: { 'x-mirror': '1' } }] } });
  using repository = openFake(registry, { directories, credentials: { username: 'ann', password: 'sesame' } });
  await collect(repository.blob(both));
  assert.equal(registry.requests.length, 0);
  await repository.manifest('latest');
  assert.equal(registry.requests.length, 1);
  assert.ok(mirror.requests.every(({ headers, url }) => headers.authorization === undefined && headers['x-mirror'] === '1' && url.startsWith('/prefix/v2/library/x/')));
  // A blob that the mirror gives half of is finished by whoever has it.
  mirror.quirks.push((request, response) => {
    if (!request.url!.includes('/blobs/')) return false;
    response.writeHead(200, { 'content-length': 4 });
    response.write('bo');
    setTimeout(() => response.socket!.destroy(), 10);
    mirror.quirks.push((_again, gone) => answered(refuse(gone, 404, 'BLOB_UNKNOWN')));
    mirror.quirks.splice(1, 1);
    return true;
  });
  assert.equal((await collect(repository.blob(both))).toString(), 'both');
});

test('no fallback, when the file says so', async () => {
  await using registry = await FakeRegistry.start();
  await using mirror = await FakeRegistry.start();
  registry.addManifest('library/x', { schemaVersion: 2, config: registry.addBlob('{}', 'a/b'), layers: [] }, { tag: 'latest' });
  using directories = hostFiles({ [registry.host]: { mirrors: [`http://${mirror.host}`], fallback: false } });
  using repository = openFake(registry, { directories });
  await assert.rejects(repository.manifest('latest'), (error) => isKind(error, 'not-found'));
  assert.equal(registry.requests.length, 0);
});

test('what is wrong in a host file is told with its name and field', async () => {
  await using registry = await FakeRegistry.start();
  for (const [content, pattern] of [['{', /\.json: /], [{ mirrors: 'x' }, /mirrors: not a list/], [{ mirrors: [{}] }, /mirrors\[0\]: it has no url/], [{ server: 'ftp://x' }, /server: neither https nor http/], [{ ca: '/nonexistent.pem' }, /ca: cannot read \/nonexistent.pem/], [{ headers: { a: 'b\nc' } }, /is no header/], [{ compression: 'xz' }, /neither gzip nor zstd/], [{ proxy: 'socks5://p' }, /server proxy: "socks5:\/\/p" is no http URL/]] as const) {
    using directories = hostFiles({ [registry.host]: content });
    assert.throws(() => openFake(registry, { directories }), (error: Error) => isKind(error, 'invalid') && pattern.test(error.message), JSON.stringify(content));
  }
});

test('through proxies: CONNECT for https, the whole URL for http', async () => {
  using tls = await secure();
  const asked: string[] = [];
  const proxy = createTcp((socket) => {
    socket.once('data', (head) => {
      const [method, target] = head.toString('latin1').split(' ');
      asked.push(`${method} ${target} ${/proxy-authorization: (.*)\r/i.exec(head.toString('latin1'))?.[1] ?? ''}`);
      if (method !== 'CONNECT') return void socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}');
      const up = connect(Number(tls.host.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(up).pipe(socket);
      });
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = `http://u:p%40@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  using directories = hostFiles({ 'registry.test': { ca: join(directory, 'cert.pem') }, 'plain.test': { server: 'http://plain.test' } });
  const env = { HTTPS_PROXY: url, http_proxy: url, NO_PROXY: '.other.test' };
  const repository = openRepository({ domain: 'registry.test', path: 'a' }, {}, options({ directories, env }));
  await repository.manifest('latest');
  repository.close();
  const plain = openRepository({ domain: 'plain.test', path: 'a' }, {}, options({ directories, env }));
  await assert.rejects(plain.manifest('latest'), (error) => isKind(error, 'not-found'));
  plain.close();
  assert.deepEqual(asked.splice(0), ['CONNECT registry.test:443 Basic dTpwQA==', 'GET http://plain.test/v2/a/manifests/latest Basic dTpwQA==']);

  // A host's file has a proxy of its own, or none; mirrors have theirs; exceptions hold for all.
  using own = hostFiles({
    'own.test': { server: 'http://own.test', proxy: url }, 'none.test': { server: 'http://none.invalid', proxy: false }, 'x.other.test': { server: 'http://x.other.test', proxy: url },
    'mirrored.test': { server: 'http://mirrored.test', mirrors: [{ url: 'http://mirror.invalid', proxy: false }, 'http://second.test'] },
  });
  const through = async (domain: string, environment: Record<string, string>, expected: (error: unknown) => boolean): Promise<string[]> => {
    const one = openRepository({ domain, path: 'a' }, {}, options({ directories: own, env: environment, retry: { ...QUICK, attempts: 1 } }));
    await assert.rejects(one.manifest('latest'), expected);
    one.close();
    return asked.splice(0).map((line) => line.split(' ')[1]!);
  };
  const notFound = (error: unknown): boolean => isKind(error, 'not-found');
  const unreachable = (error: unknown): boolean => isKind(error, 'unavailable');
  assert.deepEqual(await through('own.test', {}, notFound), ['http://own.test/v2/a/manifests/latest']);
  assert.deepEqual(await through('none.test', env, unreachable), []);
  assert.deepEqual(await through('x.other.test', env, unreachable), []);
  assert.deepEqual(await through('mirrored.test', env, notFound), ['http://second.test/v2/a/manifests/latest', 'http://mirrored.test/v2/a/manifests/latest']);
  proxy.close();
});

test('login, and search', async () => {
  await using registry = await FakeRegistry.start();
  registry.quirks.push((request, response) => {
    if (request.url!.startsWith('/v1/search')) return answered(response.end(JSON.stringify({ results: [{ name: 'a/b', description: 'd', star_count: 3, is_official: true }, { name: 'c' }] })));
    if (request.headers.authorization === `Basic ${Buffer.from('ann:sesame').toString('base64')}`) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="x"' });
    return true;
  });
  await checkLogin({ username: 'ann', password: 'sesame', serverAddress: registry.host }, options());
  await assert.rejects(checkLogin({ username: 'ann', password: 'no', serverAddress: `http://${registry.host}` }, options()), /unauthorized: incorrect username or password/);
  const found = await searchIndex(`${registry.host}/word`, { limit: 5, credentials: {} }, options());
  assert.deepEqual(found[0], { name: 'a/b', description: 'd', star_count: 3, is_official: true, is_automated: false });
  assert.equal(found.length, 2);
  registry.quirks.length = 0;
  await assert.rejects(searchIndex(`${registry.host}/word`, { limit: 5, credentials: {} }, options()), (error) => isKind(error, 'unsupported'));
  assert.deepEqual(['', 'https://index.docker.io/v1/', 'docker.io', 'localhost:5000', 'https://r.test/v2/'].map(domainOf), ['docker.io', 'docker.io', 'docker.io', 'localhost:5000', 'r.test']);
  assert.throws(() => domainOf('a b'), (error) => isKind(error, 'invalid'));
});
