import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONTROL_VERSION, type ToResolver, decodeControl, encodeControl } from './control-messages.ts';

test('a message between daemon and resolver is read as it was written; of any other bytes none is read, nor one of another version', () => {
  const message = fc.record({ kind: fc.constant('set' as const), id: fc.string(), configuration: fc.record({ name: fc.string(), networks: fc.constant([]), upstreams: fc.constant([]) }), pid: fc.nat() });
  fc.assert(fc.property(message, fc.nat(20), (wanted, at) => {
    const bytes = encodeControl(wanted);
    const within = new Uint8Array(at + bytes.byteLength + 20).fill(0x7d);
    within.set(bytes, at);
    assert.deepEqual(decodeControl<ToResolver>(within.subarray(at, at + bytes.byteLength)), JSON.parse(JSON.stringify({ version: CONTROL_VERSION, ...wanted })));
    assert.equal(decodeControl(Buffer.from(JSON.stringify({ ...wanted, version: CONTROL_VERSION + 1 }))), undefined);
  }));
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json({ maxDepth: 2 }).map((text) => Buffer.from(text))), (bytes) => {
    const read = decodeControl<ToResolver>(bytes);
    assert.ok(read === undefined || (read as { version?: number }).version === CONTROL_VERSION);
  }), { numRuns: 300, examples: [[Buffer.from('null')], [Buffer.from('7')], [Buffer.from('[]')], [new Uint8Array(0)]] });
});
