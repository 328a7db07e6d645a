import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeProto, encodeProto } from './protobuf.ts';

test('fields are written as the encoding says: varints, lengths, messages in messages', () => {
  assert.equal(encodeProto([[1, 150], [2, 'testing'], [3, [[1, 150]]], [4, true], [5, false]]).toString('hex'), '089601120774657374696e671a0308960120012800');
  assert.equal(encodeProto([[16, 1]]).toString('hex'), '800101');
});

test('what was written is read; the last of a field counts; fixed numbers are passed over', () => {
  const fields = decodeProto(Buffer.concat([encodeProto([[1, 7], [9, 'text'], [1, 8], [200, 1]]), Buffer.from('1d00000000', 'hex')]));
  assert.equal(fields.get(1), 8);
  assert.equal(String(fields.get(9)), 'text');
  assert.equal(fields.get(200), 1);
  assert.equal(fields.get(3), undefined);
});

test('bytes of any kind are refused or read', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    try {
      decodeProto(Buffer.from(bytes));
    } catch (error) {
      assert.equal((error as Error).name, 'NaruError');
    }
  }), { numRuns: 2000 });
});
