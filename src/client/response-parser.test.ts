import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ResponseParser, type ResponseHead } from './response-parser.ts';

interface Seen { heads: ResponseHead[]; body: string; ends: number; raw: string }

function parse(chunks: readonly Uint8Array[], options: { body?: boolean; hijack?: boolean } = {}): Seen {
  const seen: Seen = { heads: [], body: '', ends: 0, raw: '' };
  const parser = new ResponseParser({
    head: (head) => (seen.heads.push(head), options.hijack === true),
    body: (chunk) => void (seen.body += Buffer.from(chunk).toString('latin1')),
    end: () => void seen.ends++,
    raw: (chunk) => void (seen.raw += Buffer.from(chunk).toString('latin1')),
  });
  parser.reset(options.body !== false);
  for (const chunk of chunks) parser.push(chunk);
  parser.close();
  return seen;
}
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

test('length, chunks, until-close, none', () => {
  assert.equal(parse([bytes('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')]).body, 'hello');
  assert.equal(parse([bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n')]).body, 'hello');
  const close = parse([bytes('HTTP/1.0 200 OK\r\n\r\nhel'), bytes('lo')]);
  assert.deepEqual([close.body, close.ends], ['hello', 1]);
  assert.equal(parse([bytes('HTTP/1.1 204 No Content\r\n\r\n')]).ends, 1);
  assert.equal(parse([bytes('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')], { body: false }).ends, 1);
  assert.equal(parse([bytes('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')]).heads[0]?.status, 200);
});

test('after a hijack every byte is raw, those that came with the head too', () => {
  assert.equal(parse([bytes('HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nabc'), bytes('def')], { hijack: true }).raw, 'abcdef');
});

test('however it is cut, the same comes out', () => {
  const whole = bytes('HTTP/1.1 200 OK\r\nX: a\r\nX: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n');
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: whole.length }), { maxLength: 12 }), (cuts) => {
    const at = [0, ...cuts.sort((a, b) => a - b), whole.length];
    const seen = parse(at.slice(1).map((end, i) => whole.subarray(at[i], end)));
    assert.deepEqual([seen.body, seen.ends, seen.heads[0]?.headers.get('x')], ['hello world', 1, 'a, b']);
  }));
});

test('what is no answer is refused, never a hang or a wild read', () => {
  const broken = ['garbage\r\n\r\n', 'HTTP/2 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n', 'HTTP/1.1 200 OK\r\nNo colon\r\n\r\n', 'HTTP/1.1 200 OK\r\nName : x\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}`];
  for (const text of broken) assert.throws(() => parse([bytes(text)]), Error, text.slice(0, 60));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
    try {
      parse([input]);
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  }));
});
