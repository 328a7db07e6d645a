import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatUploadRange, parseChunkRange, parseRequestRange } from './byte-range.ts';

test('chunks, as both specifications write them', () => {
  for (const text of ['0-99', 'bytes 0-99/100', 'bytes=0-99', ' 0-99 ', 'bytes 0-99/*']) assert.deepEqual(parseChunkRange(text), { start: 0, end: 99 });
  for (const text of ['', '-', '5-', '-5', '9-1', 'a-b', '0-99x', '0-9999999999999999', '1,2-3']) assert.throws(() => parseChunkRange(text), /Content-Range/, text);
});
test('a request range is within the size, or refused, or ignored', () => {
  fc.assert(fc.property(fc.nat(5_000), fc.nat(5_000), fc.nat(3_000), (a, b, size) => {
    for (const text of [`bytes=${a}-${b}`, `bytes=${a}-`, `bytes=-${b}`]) {
      try {
        const range = parseRequestRange(text, size);
        assert.ok(range !== undefined && range.start >= 0 && range.start <= range.end && range.end < size, text);
      } catch (error) {
        assert.match((error as Error).message, /outside/);
      }
    }
  }));
  for (const text of [undefined, 'bytes=-', 'bytes=1-2,4-5', 'items=0-1', 'nonsense']) assert.equal(parseRequestRange(text, 10), undefined);
});
test('what an upload has', () => assert.deepEqual([0, 1, 100].map(formatUploadRange), ['0-0', '0-0', '0-99']));
