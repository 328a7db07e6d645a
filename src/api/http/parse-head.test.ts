import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_HEADER_FIELDS, MAX_REQUEST_LINE_BYTES, type RequestHead, parseHead } from './parse-head.ts';

const parsed = (text: string): RequestHead => {
  const head = parseHead(text);
  assert.ok(!('refused' in head), JSON.stringify(head));
  return head;
};
const refused = (text: string): number => {
  const head = parseHead(text);
  return 'refused' in head ? head.refused : 200;
};
const get = (...fields: string[]): string => ['GET /x HTTP/1.1', 'Host: d', ...fields].join('\r\n');

describe('a good head', () => {
  test('request line, headers, query', () => {
    const head = parsed('POST /v1.51/a%20b?x=1&y=%7B HTTP/1.1\r\nHost: docker\r\nUser-Agent:  x/1 \t\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5');
    assert.deepEqual(
      { ...head, headers: Object.fromEntries(head.headers) },
      {
        method: 'POST', path: '/v1.51/a%20b', query: 'x=1&y=%7B', minorVersion: 1, framing: { kind: 'length', bytes: 5 }, keepAlive: true,
        expectsContinue: false, headers: { host: 'docker', 'user-agent': 'x/1', 'x-a': '1, 2', 'content-length': '5' },
      },
    );
  });
  test('absolute form names the host', () => assert.equal(parsed('GET http://here:1/p?q HTTP/1.1\r\nHost: there').headers.get('host'), 'here:1'));
  test('keep-alive by version and Connection', () => {
    assert.equal(parsed(get('Connection: close')).keepAlive, false);
    assert.equal(parsed('GET / HTTP/1.0').keepAlive, false);
    assert.equal(parsed('GET / HTTP/1.0\r\nConnection: Keep-Alive').keepAlive, true);
    assert.equal(parsed(get('Connection: Upgrade')).keepAlive, true);
  });
  test('an empty Host, as some unix clients send', () => assert.equal(parsed('GET / HTTP/1.1\r\nHost:').headers.get('host'), ''));
  test('Expect: 100-continue only with a body', () => {
    assert.equal(parsed(get('Expect: 100-continue')).expectsContinue, false);
    assert.equal(parsed(get('Expect: 100-Continue', 'Transfer-Encoding: chunked')).expectsContinue, true);
  });
});

describe('request smuggling and malformed heads', () => {
  const cases: [name: string, text: string, status: number][] = [
    ['two Content-Lengths', get('Content-Length: 1', 'Content-Length: 1'), 400],
    ['list of Content-Lengths', get('Content-Length: 1, 1'), 400],
    ['signed Content-Length', get('Content-Length: +1'), 400],
    ['hexadecimal Content-Length', get('Content-Length: 0x1'), 400],
    ['huge Content-Length', get('Content-Length: 99999999999999999999'), 400],
    ['empty Content-Length', get('Content-Length:'), 400],
    ['Content-Length with Transfer-Encoding', get('Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
    ['two Transfer-Encodings', get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400],
    ['identity before chunked', get('Transfer-Encoding: identity, chunked'), 501],
    ['another coding', get('Transfer-Encoding: gzip'), 501],
    ['vertical tab before chunked', get('Transfer-Encoding: \x0bchunked'), 400],
    ['Transfer-Encoding in 1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked', 400],
    ['space before the colon', get('Content-Length : 1'), 400],
    ['obs-fold', get('X: a', ' b'), 400],
    ['tab obs-fold', get('X: a', '\tb'), 400],
    ['bare LF between fields', get('X: a\nContent-Length: 3'), 400],
    ['bare CR in a value', get('X: a\rContent-Length: 3'), 400],
    ['NUL in a value', get('X: a\0b'), 400],
    ['no colon', get('nonsense'), 400],
    ['empty name', get(': x'), 400],
    ['8-bit name', get('Hö: x'), 400],
    ['no Host', 'GET / HTTP/1.1', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b', 400],
    ['user info in Host', 'GET / HTTP/1.1\r\nHost: a@b', 400],
    ['path in Host', 'GET / HTTP/1.1\r\nHost: a/b', 400],
    ['tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: d', 400],
    ['two spaces in the request line', 'GET  / HTTP/1.1\r\nHost: d', 400],
    ['space in the target', 'GET /a b HTTP/1.1\r\nHost: d', 400],
    ['fragment', 'GET /a#b HTTP/1.1\r\nHost: d', 400],
    ['8-bit target', 'GET /ä HTTP/1.1\r\nHost: d', 400],
    ['lower-case version', 'GET / http/1.1\r\nHost: d', 400],
    ['HTTP/0.9', 'GET /', 400],
    ['HTTP/2 preface', 'PRI * HTTP/2.0', 505],
    ['asterisk form', 'OPTIONS * HTTP/1.1\r\nHost: d', 400],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: d', 501],
    ['lower-case method', 'get / HTTP/1.1\r\nHost: d', 501],
    ['malformed method', 'G(T / HTTP/1.1\r\nHost: d', 400],
    ['unknown expectation', get('Expect: miracles'), 417],
    ['long request line', `GET /${'a'.repeat(MAX_REQUEST_LINE_BYTES)} HTTP/1.1\r\nHost: d`, 414],
    ['too many fields', get(...Array.from({ length: MAX_HEADER_FIELDS }, (_, i) => `X-${i}: 1`)), 431],
  ];
  for (const [name, text, status] of cases) test(name, () => assert.equal(refused(text), status));
});

describe('properties', () => {
  test('never throws, and what it accepts is unambiguous', () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom('GET / HTTP/1.1', '\r\n', 'Host: d', 'Content-Length: 1', 'Transfer-Encoding: chunked', ':', '\n', ' '));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const head = parseHead(pieces.join(''));
        if ('refused' in head) return head.refused >= 400;
        return head.path.startsWith('/') && !/[\x00-\x20\x7f]/.test(head.path + head.query) && (head.minorVersion === 0 || head.headers.has('host'))
          && !(head.headers.has('content-length') && head.headers.has('transfer-encoding'));
      }),
    );
  });
  test('fields survive a round trip', () => {
    const name = fc.stringMatching(/^x-[a-z0-9]{1,8}$/);
    const value = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]{0,20}[\x21-\x7e])?$/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([n]) => n, maxLength: 20 }), (fields) => {
        const head = parsed(get(...fields.map(([n, v]) => `${n}:\t${v}  `)));
        for (const [n, v] of fields) assert.equal(head.headers.get(n), v);
      }),
    );
  });
});
