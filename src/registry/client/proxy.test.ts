import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkForeignAddress } from './address-guard.ts';
import { credentialsOf, parseRegistryAuth } from './credentials.ts';
import { fitness, formatPlatform, parsePlatform } from './platform.ts';
import { proxyFor } from './proxy.ts';
import { retryAfter } from './retry.ts';

test('which proxy', () => {
  const of = (url: string, env: Record<string, string>): string | undefined => proxyFor(new URL(url), env)?.host;
  const env = { HTTPS_PROXY: 'p:3128', HTTP_PROXY: 'http://q:8080', NO_PROXY: 'direct.test, .inner.test,10.0.0.0/8,ported.test:444,[fd00::1]' };
  assert.equal(of('https://a.test/', env), 'p:3128');
  assert.equal(of('http://a.test/', env), 'q:8080');
  for (const url of ['https://direct.test', 'https://sub.direct.test', 'https://x.inner.test', 'https://10.9.8.7', 'https://ported.test:444', 'https://[fd00::1]', 'https://localhost:5000', 'http://127.1.2.3']) assert.equal(of(url, env), undefined, url);
  for (const url of ['https://inner.test.org', 'https://11.0.0.1', 'https://ported.test', 'https://notdirect.test']) assert.equal(of(url, env), 'p:3128', url);
  assert.equal(of('https://a.test', { HTTPS_PROXY: 'p', NO_PROXY: '*' }), undefined);
});

test('addresses that answers may not lead to', () => {
  for (const address of ['169.254.169.254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', 'fe80::1', 'fd00:ec2::254', '100.100.100.200', '0.0.0.0', '::', '127.0.0.1', '::1']) {
    assert.throws(() => checkForeignAddress(address, { host: 'x', loopback: false }), address);
  }
  for (const address of ['127.0.0.1', '::1', '10.0.0.1', '192.168.1.1', '8.8.8.8', 'fd00::1']) checkForeignAddress(address, { host: 'x', loopback: true });
});

test('credentials as clients send them', () => {
  const header = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  assert.deepEqual(parseRegistryAuth(''), {});
  assert.deepEqual(parseRegistryAuth(header({})), {});
  assert.deepEqual(parseRegistryAuth(header({ username: 'a', password: 'b', serveraddress: 'x' })), { username: 'a', password: 'b', serverAddress: 'x' });
  assert.deepEqual(parseRegistryAuth(Buffer.from('{"identitytoken":"t~?"}').toString('base64')), { identityToken: 't~?' });
  assert.deepEqual(credentialsOf({ auth: Buffer.from('a:b:c').toString('base64') }), { username: 'a', password: 'b:c' });
  assert.throws(() => parseRegistryAuth('!!'));
  assert.throws(() => parseRegistryAuth(header([])));
});

test('platforms', () => {
  assert.deepEqual(parsePlatform('linux/aarch64'), { os: 'linux', architecture: 'arm64', variant: 'v8' });
  assert.equal(formatPlatform(parsePlatform('x86_64')), 'linux/amd64');
  assert.throws(() => parsePlatform('a/b/c/d'));
  assert.throws(() => parsePlatform('linux/;rm'));
  assert.equal(fitness({ os: 'linux', architecture: 'arm64' }, parsePlatform('linux/arm64/v8')), 100);
  assert.equal(fitness({ os: 'windows', architecture: 'amd64' }, parsePlatform('linux/amd64')), 0);
});

test('Retry-After', () => {
  assert.equal(retryAfter({ headers: { 'retry-after': '3' } }), 3000);
  assert.equal(retryAfter({ headers: { 'retry-after': new Date(5000).toUTCString() } }, 1000), 4000);
  assert.equal(retryAfter({ headers: { 'retry-after': 'soon' } }), undefined);
  assert.equal(retryAfter({ headers: {} }), undefined);
});
