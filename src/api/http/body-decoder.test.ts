import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MAX_CHUNK_LINE_BYTES, createBodyDecoder } from './body-decoder.ts';

/** Feeds `bytes` in pieces of `size`; returns the payload, what followed it, and the decoder. */
function decode(bytes: Buffer, size: number, framing: Parameters<typeof createBodyDecoder>[0] = { kind: 'chunked' }) {
  const decoder = createBodyDecoder(framing);
  const parts: Buffer[] = [];
  let at = 0;
  while (at < bytes.byteLength && !decoder.done && decoder.failed === undefined) {
    const piece = bytes.subarray(at, at + size);
    at += decoder.push(piece, (payload) => parts.push(Buffer.from(payload)));
  }
  return { decoder, payload: Buffer.concat(parts), rest: bytes.subarray(at) };
}

const chunk = (bytes: Uint8Array, extension = ''): Buffer => Buffer.concat([Buffer.from(`${bytes.byteLength.toString(16)}${extension}\r\n`), bytes, Buffer.from('\r\n')]);

describe('chunked', () => {
  test('any cut of any chunks gives the payload and leaves the next request alone', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 8 }), fc.integer({ min: 1, max: 64 }), (chunks, size) => {
        const wire = Buffer.concat([...chunks.map((each) => chunk(each)), Buffer.from('0\r\nX-T: 1\r\n\r\nGET /next')]);
        const { decoder, payload, rest } = decode(wire, size);
        assert.ok(decoder.done);
        assert.deepEqual(payload, Buffer.concat(chunks));
        assert.equal(Buffer.concat([rest]).toString().slice(0), 'GET /next');
      }),
    );
  });
  test('random bytes never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (bytes, size) => void decode(Buffer.from(bytes), size)));
  });
  const broken: [string, string][] = [
    ['size with sign', '+5\r\nhello\r\n0\r\n\r\n'],
    ['size with prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['empty size', '\r\nhello\r\n'],
    ['leading space', ' 5\r\nhello\r\n'],
    ['size beyond 2^48', 'fffffffffffff\r\n'],
    ['bare LF after the size', '5\nhello\r\n0\r\n\r\n'],
    ['data longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
    ['bare LF after data', '5\r\nhello\n0\r\n\r\n'],
    ['CR within the extension', '5;a\rb\r\nhello\r\n'],
    ['endless chunk line', `5;${'a'.repeat(MAX_CHUNK_LINE_BYTES)}`],
    ['malformed trailer', '0\r\nno colon\r\n\r\n'],
    ['endless trailers', `0\r\n${`X: ${'y'.repeat(900)}\r\n`.repeat(12)}\r\n`],
    ['endless extensions', `1;${'e'.repeat(900)}\r\nx\r\n`.repeat(30)],
  ];
  for (const [name, wire] of broken) {
    test(`refuses: ${name}`, () => {
      for (const size of [1, 7, 10_000]) assert.notEqual(decode(Buffer.from(wire, 'latin1'), size).decoder.failed, undefined, `in pieces of ${size}`);
    });
  }
});

test('content-length takes exactly its bytes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 1, max: 20 }), (length, size) => {
      const { decoder, payload, rest } = decode(Buffer.alloc(60, 'a'), size, length === 0 ? { kind: 'none' } : { kind: 'length', bytes: length });
      return decoder.done && payload.byteLength === length && rest.byteLength === 60 - length;
    }),
  );
});
