import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NaruError } from '#spec/errors.ts';
import type { DeviceRule } from '#spec/oci-runtime.ts';
import { assembleDeviceProgram } from './assemble-device-program.ts';
import { DEFAULT_DEVICE_RULES, type DevicePolicy, devicePolicy, deviceWritesV1, normalizeDeviceRules } from './device-rules.ts';

interface Access { type: 'b' | 'c'; major: number; minor: number; access: number }

/** The meaning of a rule list: for each kind of access, the last rule that matches. */
const evaluate = (rules: readonly DeviceRule[], wanted: Access): boolean => [['m', 1], ['r', 2], ['w', 4]].every(([letter, bit]) => {
  if ((wanted.access & Number(bit)) === 0) return true;
  const rule = rules.findLast(({ type = 'a', major, minor, access = 'rwm' }) =>
    (type === 'a' || type === wanted.type) && (major === undefined || major === wanted.major) && (minor === undefined || minor === wanted.minor) && access.includes(String(letter)));
  return rule?.allow === true;
});

const policyAllows = ({ allowByDefault, exceptions }: DevicePolicy, wanted: Access): boolean => {
  const matching = exceptions.filter(({ type, major, minor }) => type === wanted.type && (major === undefined || major === wanted.major) && (minor === undefined || minor === wanted.minor));
  // v1: denied by default needs one exception for all of the access; allowed by default, none may touch it.
  return allowByDefault ? matching.every(({ access }) => (access & wanted.access) === 0) : matching.some(({ access }) => (wanted.access & ~access) === 0);
};

/** An eBPF interpreter for what the assembler emits. */
function runDeviceProgram(program: Uint8Array, wanted: Access): number {
  const view = new DataView(program.buffer);
  const context = [(wanted.access << 16) | (wanted.type === 'b' ? 1 : 2), wanted.major, wanted.minor];
  const r: bigint[] = Array.from({ length: 11 }, () => 0n);
  for (let at = 0; at * 8 < program.length; at++) {
    const code = view.getUint8(at * 8);
    const [dst, src] = [view.getUint8(at * 8 + 1) & 15, view.getUint8(at * 8 + 1) >> 4];
    const offset = view.getInt16(at * 8 + 2, true);
    const immediate = BigInt(view.getInt32(at * 8 + 4, true));
    const wide = BigInt.asUintN(64, immediate);
    if (code === 0x61) r[dst] = BigInt(context[offset / 4]! >>> 0);
    else if (code === 0xbf) r[dst] = r[src]!;
    else if (code === 0xbc) r[dst] = BigInt.asUintN(32, r[src]!);
    else if (code === 0xb7) r[dst] = wide;
    else if (code === 0x54) r[dst] = BigInt.asUintN(32, r[dst]! & wide);
    else if (code === 0x57) r[dst] = r[dst]! & wide;
    else if (code === 0x74) r[dst] = BigInt.asUintN(32, r[dst]!) >> immediate;
    else if (code === 0x55) at += r[dst] === wide ? 0 : offset;
    else if (code === 0x15) at += r[dst] === wide ? offset : 0;
    else if (code === 0x56) at += BigInt.asUintN(32, r[dst]!) === BigInt.asUintN(32, immediate) ? 0 : offset;
    else if (code === 0x95) return Number(r[0]);
    else throw new Error(`instruction 0x${code.toString(16)}`);
  }
  throw new Error('the program ran off its end');
}

const small = fc.constantFrom(undefined, 0, 1, 3, 0xffffffff);
const rules = fc.array(fc.record({
  allow: fc.boolean(), type: fc.constantFrom('a', 'b', 'c', undefined), major: small, minor: small, access: fc.constantFrom('r', 'w', 'm', 'rw', 'rwm', undefined),
}), { maxLength: 8 }) as unknown as fc.Arbitrary<DeviceRule[]>;
const accesses: Access[] = ['b', 'c'].flatMap((type) => [0, 1, 3, 7, 0xffffffff].flatMap((major) => [0, 3, 9].flatMap((minor) =>
  [1, 2, 3, 4, 5, 6, 7].map((access) => ({ type: type as 'b' | 'c', major, minor, access })))));

test('the eBPF program means what the list means', () => {
  fc.assert(fc.property(rules, (list) => {
    const program = assembleDeviceProgram(normalizeDeviceRules(list));
    for (const wanted of accesses) assert.equal(runDeviceProgram(program, wanted), evaluate(list, wanted) ? 1 : 0, JSON.stringify(wanted));
  }), { numRuns: 200 });
});

test("v1's policy never allows what the list denies, and is refused where it would differ", () => {
  fc.assert(fc.property(rules, (list) => {
    let policy: DevicePolicy;
    try {
      policy = devicePolicy(normalizeDeviceRules(list));
    } catch (error) {
      assert.ok(error instanceof NaruError && error.kind === 'invalid');
      return;
    }
    for (const wanted of accesses) {
      const list1 = evaluate(list, wanted);
      const ours = policyAllows(policy, wanted);
      // Several exceptions may allow together what the controller looks for in one: it is then stricter.
      assert.ok(ours === list1 || (list1 && !ours), JSON.stringify({ wanted, policy }));
    }
  }), { numRuns: 500 });
});

test("Docker's list as v1 writes", () => {
  const docker: DeviceRule[] = [
    { allow: false, access: 'rwm' }, ...[[1, 5], [1, 3], [1, 9], [1, 8], [5, 0], [5, 1]].map(([major, minor]) => ({ allow: true, type: 'c' as const, major: major!, minor: minor!, access: 'rwm' })),
    { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
  ];
  const writes = deviceWritesV1(devicePolicy(normalizeDeviceRules([...docker, ...DEFAULT_DEVICE_RULES])));
  assert.deepEqual(writes.map(([, value]) => value), [
    'a', 'c 1:5 rwm', 'c 1:3 rwm', 'c 1:9 rwm', 'c 1:8 rwm', 'c 5:0 rwm', 'c 5:1 rwm', 'c *:* m', 'b *:* m', 'c 1:7 rwm', 'c 5:2 rwm', 'c 136:* rwm',
  ]);
});

test('privileged needs no write', () => assert.deepEqual(deviceWritesV1(devicePolicy(normalizeDeviceRules([{ allow: false, access: 'rwm' }, { allow: true, access: 'rwm' }, ...DEFAULT_DEVICE_RULES]))), []));

test('a partial denial is refused on v1', () => {
  assert.throws(() => devicePolicy(normalizeDeviceRules([{ allow: true, type: 'c', major: 1 }, { allow: false, type: 'c', major: 1, minor: 1 }])), /cannot deny c 1:1 rwm after c 1:\* rwm/);
});

test('bad rules', () => {
  assert.throws(() => normalizeDeviceRules([{ allow: true, access: 'rx' }]), /resources\/devices\/0/);
  assert.throws(() => normalizeDeviceRules([{ allow: true, type: 'z' as 'a' }]), /unknown device type/);
  assert.throws(() => normalizeDeviceRules([{ allow: true, major: 2 ** 40 }]), /is not a device number/);
  assert.deepEqual(normalizeDeviceRules([{ allow: true, type: 'p' }]), []);
});
