import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { apiServer } from '../support/api-server.ts';
import { fakeEngine } from '../support/fake-engine.ts';
import { rawExchange, statusOf } from '../support/raw-http.ts';

/**
 * Requests that an authorisation layer in front could read differently from us: CVE-2024-41110 (zero Content-Length with a
 * body), CVE-2026-34040 (oversized body), duplicate lengths, path tricks, version prefixes. Nothing ambiguous may reach the
 * engine.
 */
const engine = fakeEngine();
let api: Awaited<ReturnType<typeof apiServer>>;
before(async () => { api = await apiServer(engine); });
after(() => api[Symbol.asyncDispose]());

const create = '{"Image":"busybox","HostConfig":{"Privileged":true}}';
const smuggled = 'POST /containers/x/start HTTP/1.1\r\nHost: d\r\n\r\n';
const post = (fields: string, body: string): string => `POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n${fields}\r\n${body}`;

describe('body framing', () => {
  const cases: [name: string, request: string][] = [
    ['zero Content-Length with a body', post('Content-Length: 0\r\nConnection: close\r\n', create)],
    ['no Content-Length with a body', post('Connection: close\r\n', create)],
    ['two lengths', post(`Content-Length: 0\r\nContent-Length: ${create.length}\r\n`, create)],
    ['length and chunked', post(`Content-Length: 4\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${smuggled}`)],
    ['obfuscated chunked', post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${smuggled}`)],
    ['chunked hidden behind a tab', post(`Content-Length: 4\r\nTransfer-Encoding\t: chunked\r\n`, `0\r\n\r\n${smuggled}`)],
    ['LF-only line ends', `POST /containers/create HTTP/1.1\nHost: d\nContent-Length: 2\n\n{}\r\n\r\n`],
    ['more body than announced', post(`Content-Length: 4\r\n`, `{}  ${create}${smuggled}`)],
    ['a lying chunk size', post('Transfer-Encoding: chunked\r\n', `2\r\n${create}\r\n0\r\n\r\n`)],
  ];
  for (const [name, request] of cases) {
    test(name, async () => {
      engine.calls.length = 0;
      const answer = await rawExchange(api.socket, request);
      const seen = engine.calls.filter((call) => call.method.includes('start') || JSON.stringify(call.args).includes('Privileged'));
      assert.deepEqual(seen, []);
      assert.match(answer, /HTTP\/1\.1 (4|501)/);
    });
  }
  test('an oversized body is refused as a whole, not passed on cut', async () => {
    engine.calls.length = 0;
    const padding = ' '.repeat(5 << 20);
    assert.equal(statusOf(await rawExchange(api.socket, post(`Content-Length: ${padding.length + create.length}\r\n`, padding + create))), 413);
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    assert.equal(statusOf(await rawExchange(api.socket, post('Transfer-Encoding: chunked\r\n', `${chunk(padding)}${chunk(create)}0\r\n\r\n`))), 413);
    assert.deepEqual(engine.calls, []);
  });
});

describe('paths mean one thing only', () => {
  const paths = [
    '//containers/json', '/containers//json', '/containers/json/', '/Containers/json', '/CONTAINERS/JSON', '/v1.51//containers/json', '/V1.51/containers/json',
    '/./containers/json', '/x/../containers/json', '/containers/./json', '/containers/../containers/json', '/%63ontainers/json', '/containers%2Fjson', '/containers/json%00',
    '/containers/json;x=1', '/v1.51/v1.24/containers/json', '/v/containers/json', '/v1.51containers/json', '/containers/a%2Fb/json', '/containers/..%2Fx/json', '/containers/%2e%2e/json',
    '/images/../x/json', '/images/a//b/json', '/images/a%2F..%2Fb/json', '/images/%00/json', '/images/%zz/json', '/images/%ff/json', '/volumes/%2e', '/volumes/a%0ab',
  ];
  for (const path of paths) {
    test(path, async () => {
      engine.calls.length = 0;
      const status = statusOf(await rawExchange(api.socket, `GET ${path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n`));
      assert.ok(status === 404 || status === 400, String(status));
      assert.deepEqual(engine.calls, []);
    });
  }
});
