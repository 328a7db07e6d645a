import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptKey, CLOSE_CODE, encodeFrame, FrameReader, OPCODE } from './web-socket-frames.ts';

/** A client's frame: masked. */
function masked(first: number, payload: Uint8Array): Buffer {
  const frame = encodeFrame(0, payload);
  const head = frame.subarray(0, frame.byteLength - payload.byteLength);
  head[0] = first;
  head[1]! |= 0x80;
  const mask = Buffer.from([1, 2, 3, 250]);
  return Buffer.concat([head, mask, Buffer.from(payload.map((byte, i) => byte ^ mask[i & 3]!))]);
}

function read(pieces: readonly Uint8Array[]): { data: Buffer; control: [number, string][]; failed: number | undefined } {
  const data: Buffer[] = [];
  const control: [number, string][] = [];
  const reader = new FrameReader({ data: (bytes) => void data.push(Buffer.from(bytes)), control: (kind, payload) => void control.push([kind, Buffer.from(payload).toString('latin1')]) });
  for (const piece of pieces) reader.push(piece);
  return { data: Buffer.concat(data), control, failed: reader.failed };
}

test('the accept key of RFC 6455, 1.3', () => assert.equal(acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='));

test('frames of every length, cut anywhere, give their payload', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 }), fc.array(fc.nat(400)), (payloads, cuts) => {
    const all = Buffer.concat(payloads.map((payload) => masked(0x82, payload)));
    const at = [...new Set([0, ...cuts.filter((cut) => cut < all.byteLength), all.byteLength])].sort((a, b) => a - b);
    const got = read(at.slice(1).map((to, i) => all.subarray(at[i], to)));
    assert.deepEqual([got.data.toString('hex'), got.failed], [Buffer.concat(payloads).toString('hex'), undefined]);
  }));
  const long = Buffer.alloc(70_000, 'x');
  assert.equal(read([masked(0x82, long)]).data.byteLength, 70_000);
});

test('a ping between two fragments', () => {
  const got = read([masked(0x01, Buffer.from('a')), masked(0x89, Buffer.from('p')), masked(0x80, Buffer.from('b'))]);
  assert.deepEqual([got.data.toString(), got.control], ['ab', [[OPCODE.ping, 'p']]]);
});

for (const [what, bytes] of [
  ['no mask', Buffer.from([0x82, 1, 65])], ['a reserved bit', masked(0xc2, Buffer.from('a'))], ['an unknown opcode', masked(0x83, Buffer.from('a'))],
  ['a continuation of nothing', masked(0x80, Buffer.from('a'))], ['a fragmented ping', masked(0x09, Buffer.from('a'))],
  ['a ping of 126 bytes', masked(0x89, Buffer.alloc(126))], ['a new message inside another', Buffer.concat([masked(0x02, Buffer.from('a')), masked(0x82, Buffer.from('b'))])],
] as const) test(`refused: ${what}`, () => assert.equal(read([bytes]).failed, CLOSE_CODE.protocol));
