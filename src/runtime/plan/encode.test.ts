import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePlan } from './encode.ts';
import { OPS, PLAN_MAGIC, SECTIONS, SLOTS, type ArgKind, type OpDefinition, type OpName } from './ops.ts';
import type { PlanOp } from './plan.ts';

const decoder = new TextDecoder();

/** What the helper would read. */
function decode(bytes: Uint8Array): { flags: number; ops: object[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.equal(view.getUint32(0, true), PLAN_MAGIC);
  assert.equal(view.getUint32(8, true), bytes.byteLength);
  const byCode = new Map(Object.entries<OpDefinition>(OPS).map(([name, d]) => [d.code, { name, ...d }]));
  const ops: object[] = [];
  let at = 16;
  for (let i = 0; i < view.getUint32(12, true); i++) {
    const start = at;
    const { name, args } = byCode.get(view.getUint16(at, true))!;
    const size = view.getUint32(at + 4, true);
    assert.equal(size % 8, 0);
    assert.equal(view.getUint8(at + 3), args.length);
    const values = args.map(([arg, kind], k) => [arg, decodeArg(view, start, view.getBigUint64(at + 16 + 8 * k, true), kind)]);
    ops.push({
      name, section: SECTIONS[view.getUint8(at + 2)], args: Object.fromEntries(values),
      tolerate: [view.getUint16(at + 8, true), view.getUint16(at + 10, true)], skip: view.getUint16(at + 12, true),
    });
    at += size;
  }
  assert.equal(at, bytes.byteLength);
  return { flags: view.getUint16(6, true), ops };
}

function decodeArg(view: DataView, start: number, raw: bigint, kind: ArgKind): unknown {
  if (kind === 'int' || kind === 'slot') return BigInt.asIntN(64, raw);
  const offset = view.byteOffset + start + Number(raw & 0xffffffffn), length = Number(raw >> 32n);
  const bytes = new Uint8Array(view.buffer, offset, length);
  if (kind === 'bytes') return bytes;
  if (kind === 'ints') return Array.from({ length: length / 4 }, (_, i) => new DataView(bytes.buffer, offset).getUint32(4 * i, true));
  if (kind === 'list') return length === 0 ? [] : decoder.decode(bytes.subarray(0, -1)).split('\0');
  assert.equal(new Uint8Array(view.buffer)[offset + length], 0);
  return decoder.decode(bytes);
}

const text = fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\0', ''));
const ARBITRARIES: Readonly<Record<ArgKind, fc.Arbitrary<unknown>>> = {
  int: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  slot: fc.integer({ min: -1, max: SLOTS - 1 }).map(BigInt),
  str: text, inroot: text, list: fc.array(text), bytes: fc.uint8Array(),
  ints: fc.array(fc.integer({ min: 0, max: 0xffffffff })),
};

const anyOp: fc.Arbitrary<PlanOp> = fc.constantFrom(...(Object.keys(OPS) as OpName[])).chain((name) =>
  fc.record({
    name: fc.constant(name), section: fc.constantFrom(...SECTIONS), why: fc.constant(''),
    args: fc.record(Object.fromEntries((OPS[name] as OpDefinition).args.map(([arg, kind]) => [arg, ARBITRARIES[kind]])), { noNullPrototype: true }),
    tolerate: fc.tuple(fc.integer({ min: 0, max: 133 }), fc.integer({ min: 0, max: 133 })), skip: fc.nat(9),
  }) as unknown as fc.Arbitrary<PlanOp>);

test('what is encoded is what is read back', () => {
  fc.assert(fc.property(fc.array(anyOp, { maxLength: 20 }), fc.boolean(), (ops, trace) => {
    const { flags, ops: back } = decode(encodePlan({ ops }, { trace }));
    assert.equal(flags, trace ? 1 : 0);
    assert.deepEqual(back, ops.map(({ why: _, ...op }) => op));
  }), { numRuns: 300 });
});

test('numbers may be negative, large or bigint', () => {
  const prctl = (option: number | bigint): PlanOp => ({ name: 'prctl', section: 'child', why: '', args: { option, a2: 0, a3: 0, a4: 0, a5: 0 } }) as unknown as PlanOp;
  for (const n of [0, 1, -1, 0xffffffff, 2 ** 40, -(2 ** 40), 2n ** 63n, 0xffffffffffffffffn]) {
    const { ops } = decode(encodePlan({ ops: [prctl(n)] }));
    assert.equal((ops[0] as { args: { option: bigint } }).args.option, BigInt.asIntN(64, BigInt(n)));
  }
});

test('a NUL in a string, a bad slot and a missing argument are refused', () => {
  const op = (name: string, args: object): PlanOp => ({ name, section: 'child', why: 'test', args }) as unknown as PlanOp;
  assert.throws(() => encodePlan({ ops: [op('sethostname', { name: 'a\0b' })] }), /NUL/);
  assert.throws(() => encodePlan({ ops: [op('exec', { candidates: ['x'], argv: ['a\0'], env: [] })] }), /NUL/);
  assert.throws(() => encodePlan({ ops: [op('pivot', { root: 64 })] }), /slot/);
  assert.throws(() => encodePlan({ ops: [op('pivot', {})] }), /missing/);
  assert.throws(() => encodePlan({ ops: [op('exec', { candidates: [], argv: [], env: Array(20).fill('x'.repeat(1 << 20)) })] }), /too large/);
});

test('100,000 variables are encoded in little time', () => {
  const env = Array.from({ length: 100_000 }, (_, i) => `VARIABLE_${i}=value`);
  const started = performance.now();
  const bytes = encodePlan({ ops: [{ name: 'exec', section: 'child', why: '', args: { candidates: ['/x'], argv: ['x'], env } } as unknown as PlanOp] });
  assert.ok(bytes.byteLength > 2_000_000);
  assert.ok(performance.now() - started < 1000);
});
