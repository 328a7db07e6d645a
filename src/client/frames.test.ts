import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteStream } from './byte-stream.ts';
import { demultiplex } from './frames.ts';

function frame(stream: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + payload.length);
  out[0] = stream;
  new DataView(out.buffer).setUint32(4, payload.length);
  out.set(payload, 8);
  return out;
}

const join = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

async function split(whole: Uint8Array, cuts: readonly number[]): Promise<{ out: string; err: string; pieces: number }> {
  const source = new ByteStream();
  const at = [0, ...[...cuts].sort((a, b) => a - b), whole.length];
  for (let i = 1; i < at.length; i++) source.push(whole.slice(at[i - 1], at[i]));
  source.finish();
  const seen = { out: '', err: '', pieces: 0 };
  await demultiplex(source, async (stream, bytes) => {
    seen.pieces++;
    await Promise.resolve(); // the bytes are ours until we are done
    seen[stream === 1 ? 'out' : 'err'] += Buffer.from(bytes).toString('latin1');
  });
  return seen;
}

test('frames cut anywhere come out whole and in order', async () => {
  const parts = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.uint8Array({ maxLength: 40 })), { maxLength: 20 });
  await fc.assert(fc.asyncProperty(parts, fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 10 }), async (frames, cuts) => {
    const whole = join(frames.map(([stream, payload]) => frame(stream, payload)));
    const seen = await split(whole, cuts.filter((cut) => cut <= whole.length));
    const text = (wanted: boolean): string => frames.filter(([stream]) => (stream === 2) === wanted).map(([, payload]) => Buffer.from(payload).toString('latin1')).join('');
    assert.deepEqual([seen.out, seen.err], [text(false), text(true)]);
  }));
});

test('neighbours of one stream are one write', async () => {
  const whole = join(Array.from({ length: 100 }, (_, i) => frame(1, Buffer.from(`line ${i}\n`))));
  assert.equal((await split(whole, [])).pieces, 1);
});

test('a malformed frame and the daemon\'s own error are thrown', async () => {
  await assert.rejects(split(frame(9, Buffer.from('x')), []), /Unrecognized input header: 9/);
  await assert.rejects(split(frame(3, Buffer.from('it broke')), [10]), /error from daemon in stream: it broke/);
});
