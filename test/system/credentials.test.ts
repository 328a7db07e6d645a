import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { NARU, run, TestDaemon, type Ran } from '../support/daemon.ts';
import { NaruRegistry } from '../support/naru-registry.ts';
import { FakeRegistry, refuse, sha256 } from '../support/fake-registry.ts';

/** Logins and where registries really are: Docker's CLI and ours, against a registry in this process that demands tokens and fails on purpose. */
let d: TestDaemon;
before(async () => {
  d = await TestDaemon.start({
    images: [],
    daemon(root) {
      mkdirSync(join(root, 'registries'));
      return ['--registries-dir', join(root, 'registries')];
    },
  });
});
after(() => d.destroy());

const at = (...names: string[]): string => join(d.root, ...names);

/** A tar with one file, as a layer of one image. */
function addImage(registry: FakeRegistry, name: string, size = 1000): string {
  mkdirSync(at('root'), { recursive: true });
  writeFileSync(at('root/data'), Buffer.alloc(size, name));
  assert.equal(run('tar', ['-C', at('root'), '-cf', at('root.tar'), '.']).code, 0);
  const tar = readFileSync(at('root.tar'));
  const layer = registry.addBlob(gzipSync(tar, { level: 0 }));
  const config = registry.addBlob(JSON.stringify({ os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', config: { Labels: { name } }, rootfs: { type: 'layers', diff_ids: [sha256(tar)] } }), 'application/vnd.docker.container.image.v1+json');
  return registry.addManifest(name, { schemaVersion: 2, mediaType: 'application/vnd.docker.distribution.manifest.v2+json', config, layers: [layer] }, { tag: 'v1' }).digest;
}

/** Tokens for ann with a password, or with the identity token that a login gets; access tokens hold for `uses` requests. */
function demandTokens(registry: FakeRegistry, { uses = 1000 } = {}): { issued: number } {
  const state = { issued: 0, left: 0 };
  registry.quirks.push((request: IncomingMessage, response: ServerResponse, { body }) => {
    const url = new URL(request.url!, 'http://x');
    if (url.pathname === '/token') {
      const form = new URLSearchParams(body.toString());
      const known = request.method === 'POST' ? form.get('grant_type') === 'refresh_token' && form.get('refresh_token') === 'ann-for-long' : request.headers.authorization === `Basic ${Buffer.from('ann:sesame').toString('base64')}`;
      if (!known) refuse(response, 401, 'UNAUTHORIZED');
      else {
        state.issued++;
        state.left = uses;
        response.end(JSON.stringify({ token: `token-${state.issued}`, expires_in: 300, ...(url.searchParams.get('offline_token') === 'true' ? { refresh_token: 'ann-for-long' } : {}) }));
      }
      return true;
    }
    if (request.headers.authorization === `Bearer token-${state.issued}` && state.left-- > 0) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': `Bearer realm="http://${registry.host}/token",service="reg"` });
    return true;
  });
  return state;
}

/** Beside this process, which serves the registry. */
function cli(program: 'docker' | 'naru', config: string, input: string, ...args: string[]): Promise<Ran> {
  const child = spawn(program === 'docker' ? 'docker' : NARU, ['--config', at(config), '-H', `unix://${d.socket}`, ...args], { env: { ...process.env, PATH: `${d.root}:${process.env['PATH']}` } });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? 128, out, err })));
}

test('a login gets an identity token, which is kept in place of the password and exchanged when it is needed', async () => {
  await using registry = await FakeRegistry.start();
  addImage(registry, 'app');
  demandTokens(registry);
  for (const program of ['docker', 'naru'] as const) {
    const config = `${program}-identity`;
    assert.match((await cli(program, config, 'wrong', 'login', '-u', 'ann', '--password-stdin', registry.host)).err, /unauthorized/);
    const login = await cli(program, config, 'sesame', 'login', '-u', 'ann', '--password-stdin', registry.host);
    assert.match(login.out, /Login Succeeded/, login.err);
    const kept = readFileSync(at(config, 'config.json'), 'utf8');
    assert.match(kept, /"identitytoken": "ann-for-long"/);
    assert.ok(!kept.includes(Buffer.from('ann:sesame').toString('base64')), 'the password is not kept');
    const pulled = await cli(program, config, '', 'pull', `${registry.host}/app:v1`);
    assert.match(pulled.out, /Status: (Downloaded|Image is up to date)/, pulled.err);
  }
  assert.ok(registry.seen('POST', '/token').some(({ body }) => body.toString().includes('refresh_token=ann-for-long')));
});

test('credsStore and credHelpers: the login lies with the helper, also as a token, and is forgotten there', async () => {
  await using registry = await FakeRegistry.start();
  addImage(registry, 'helped');
  demandTokens(registry);
  writeFileSync(at('docker-credential-test'), `#!/bin/sh\ncase "$1" in\nstore) cat > ${at('kept')} ;;\nget) read -r s; [ "$s" = "${registry.host}" ] && [ -f ${at('kept')} ] && cat ${at('kept')} || { echo "credentials not found in native keychain"; exit 1; } ;;\nerase) rm -f ${at('kept')} ;;\nlist) echo '{}' ;;\nesac\n`);
  chmodSync(at('docker-credential-test'), 0o755);
  for (const [name, setting] of [['store', { credsStore: 'test' }], ['helper', { credHelpers: { [registry.host]: 'test' } }]] as const) {
    mkdirSync(at(name));
    writeFileSync(at(name, 'config.json'), JSON.stringify(setting));
    const login = await cli('naru', name, 'sesame', 'login', '-u', 'ann', '--password-stdin', registry.host);
    assert.match(login.out, /Login Succeeded/, login.err);
    assert.match(readFileSync(at('kept'), 'utf8'), /"Username":"<token>","Secret":"ann-for-long"/);
    assert.ok(!/sesame|ann-for-long/.test(readFileSync(at(name, 'config.json'), 'utf8')));
    for (const program of ['naru', 'docker'] as const) assert.match((await cli(program, name, '', 'pull', `${registry.host}/helped:v1`)).out, /Status: /, program);
    assert.equal((await cli('naru', name, '', 'logout', registry.host)).code, 0);
    assert.ok(!existsSync(at('kept')));
  }
});

test('a token that is refused in the middle of a pull is renewed; 429 with Retry-After, 5xx and short bodies pass', async () => {
  await using registry = await FakeRegistry.start();
  const digest = addImage(registry, 'unsteady', 5_000_000);
  const tokens = demandTokens(registry, { uses: 1 });
  const faults = [
    (response: ServerResponse): void => refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '1' }),
    (response: ServerResponse): void => refuse(response, 503, 'UNAVAILABLE'),
    (response: ServerResponse): void => void response.writeHead(502).end(),
  ];
  let cuts = 3;
  registry.quirks.unshift((request, response) => {
    if (!request.url!.includes('/blobs/') || request.headers.authorization === undefined) return false;
    const fault = faults.shift();
    if (fault !== undefined) {
      fault(response);
      return true;
    }
    const blob = registry.blobs.get(request.url!.split('/').at(-1)!)!;
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (blob.byteLength < 1_000_000 || cuts-- <= 0) return false;
    // A body that ends too early, cleanly.
    response.writeHead(from === 0 ? 200 : 206, from === 0 ? {} : { 'content-range': `bytes ${from}-${blob.byteLength - 1}/${blob.byteLength}` });
    response.end(blob.subarray(from, from + 1_000_000));
    return true;
  });
  mkdirSync(at('unsteady'));
  writeFileSync(at('unsteady/config.json'), JSON.stringify({ auths: { [registry.host]: { auth: Buffer.from('ann:sesame').toString('base64') } } }));
  const began = Date.now();
  const pulled = await cli('docker', 'unsteady', '', 'pull', `${registry.host}/unsteady:v1`);
  assert.match(pulled.out, new RegExp(`Digest: ${digest}`), pulled.err);
  assert.ok(Date.now() - began >= 1000, 'Retry-After was waited for');
  assert.ok(cuts <= 0 && faults.length === 0, 'all faults were met');
  assert.ok(tokens.issued >= 3, `${tokens.issued} tokens`);
  assert.ok(registry.sent < 5_500_000, 'what had come was not sent again');
});

test('a file for a host: mirrors in their order, then the registry; its file alone may be for any registry', async () => {
  await using first = await FakeRegistry.start();
  await using second = await FakeRegistry.start();
  await using origin = await FakeRegistry.start();
  addImage(origin, 'team/only-origin');
  addImage(second, 'team/mirrored');
  addImage(origin, 'team/mirrored');
  first.quirks.push((_request, response) => {
    refuse(response, 503, 'UNAVAILABLE');
    return true;
  });
  writeFileSync(at('registries/registry.example.json'), JSON.stringify({ server: `http://${origin.host}`, mirrors: [`http://${first.host}`, `http://${second.host}`] }));
  const pull = (name: string): Promise<Ran> => cli('docker', 'mirrors', '', 'pull', name);
  assert.match((await pull('registry.example/team/mirrored:v1')).out, /Downloaded newer image for registry\.example\/team\/mirrored:v1/);
  assert.equal(origin.seen('GET', '/v2/team/mirrored/').length, 0, 'the mirror had it all');
  assert.ok(first.requests.length > 0 && first.requests.length < 20, 'the first was asked, and left');
  assert.match((await pull('registry.example/team/only-origin:v1')).out, /Downloaded newer image/);
  writeFileSync(at('registries/registry.example.json'), JSON.stringify({ server: `http://${origin.host}`, mirrors: [`http://${second.host}`], fallback: false }));
  assert.match((await pull('registry.example/team/only-origin:v2')).err, /not found/);
});

test('a registry that demands client certificates: the host\'s file names CA, certificate and key', async () => {
  const openssl = (...args: string[]): void => {
    const ran = run('openssl', args, { cwd: d.root });
    assert.equal(ran.code, 0, ran.err);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca-key.pem', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test-ca');
  writeFileSync(at('names'), 'subjectAltName=IP:127.0.0.1');
  for (const name of ['server', 'client']) {
    openssl('req', '-new', ...key, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-out', `${name}.pem`, '-days', '2', '-extfile', 'names');
  }
  await using registry = await NaruRegistry.start('--tls-cert', at('server.pem'), '--tls-key', at('server-key.pem'), '--tls-client-ca', at('ca.pem'));
  const file = (fields: object): void => writeFileSync(at('registries/secure.example.json'), JSON.stringify({ server: `https://${registry.host}`, ca: at('ca.pem'), ...fields }));
  mkdirSync(at('secure'));
  writeFileSync(at('secure/data'), 'x');
  assert.equal(run('tar', ['-C', at('secure'), '-cf', at('secure.tar'), '.']).code, 0);
  d.ok('import', at('secure.tar'), 'secure.example/app:v1');
  file({});
  const refused = await cli('docker', 'certificates', '', 'push', 'secure.example/app:v1');
  assert.notEqual(refused.code, 0, 'without a certificate of its own it is not let in');
  file({ cert: at('client.pem'), key: at('client-key.pem') });
  const pushed = await cli('docker', 'certificates', '', 'push', 'secure.example/app:v1');
  assert.equal(pushed.code, 0, pushed.err);
  d.ok('rmi', 'secure.example/app:v1');
  const pulled = await cli('docker', 'certificates', '', 'pull', 'secure.example/app:v1');
  assert.equal(pulled.code, 0, pulled.err);
});
