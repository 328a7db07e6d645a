import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NaruError } from '#spec/errors.ts';
import type { OciSeccomp } from '#spec/oci-runtime.ts';
import { compileSeccomp } from './compile-seccomp.ts';
import { type SeccompData, runFilter } from './filter-interpreter.ts';
import { type SyscallAbi, X32_BIT, syscallNumbers } from './syscall-numbers.ts';

const ALLOW = 0x7fff0000, KILL_PROCESS = 0x80000000, ERRNO = 0x50000, TRACE = 0x7ff00000;
const X86_64 = 0xc000003e, I386 = 0x40000003;
const ARCHES: Record<string, SyscallAbi> = { SCMP_ARCH_X86_64: 'x86_64', SCMP_ARCH_X86: 'x86', SCMP_ARCH_X32: 'x32', SCMP_ARCH_AARCH64: 'aarch64', SCMP_ARCH_ARM: 'arm' };
const TOKENS: Record<SyscallAbi, number> = { x86_64: X86_64, x32: X86_64, x86: I386, aarch64: 0xc00000b7, arm: 0x40000028 };
const RESULTS: Record<string, number> = {
  SCMP_ACT_KILL: 0, SCMP_ACT_KILL_THREAD: 0, SCMP_ACT_KILL_PROCESS: KILL_PROCESS, SCMP_ACT_TRAP: 0x30000, SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: ALLOW, SCMP_ACT_NOTIFY: 0x7fc00000,
};
type OciRule = NonNullable<OciSeccomp['syscalls']>[number];
type OciArg = NonNullable<OciRule['args']>[number];

const resultOf = (action: string, errnoRet: number | undefined): number =>
  action === 'SCMP_ACT_ERRNO' ? ERRNO + (errnoRet ?? 1) : action === 'SCMP_ACT_TRACE' ? TRACE + (errnoRet ?? 1) : RESULTS[action]!;

function holds(arg: OciArg, args: readonly bigint[], wide: boolean): boolean {
  const cut = (value: bigint): bigint => (wide ? value : value & 0xffffffffn);
  const actual = cut(args[arg.index]!);
  const wanted = cut(BigInt(arg.value));
  switch (arg.op) {
    case 'SCMP_CMP_EQ': return actual === wanted;
    case 'SCMP_CMP_NE': return actual !== wanted;
    case 'SCMP_CMP_LT': return actual < wanted;
    case 'SCMP_CMP_LE': return actual <= wanted;
    case 'SCMP_CMP_GT': return actual > wanted;
    case 'SCMP_CMP_GE': return actual >= wanted;
    default: return (actual & wanted) === cut(BigInt(arg.valueTwo ?? 0));
  }
}

/** The meaning of a profile, straight from its text (without i386's multiplexed calls, which have a test of their own). */
function evaluate(profile: OciSeccomp, native: SyscallAbi, data: SeccompData): number {
  const listed = new Set<SyscallAbi>([native, ...(profile.architectures ?? []).map((name) => ARCHES[name]!)]);
  const fallback = resultOf(profile.defaultAction, profile.defaultErrnoRet);
  if (![...listed].some((abi) => TOKENS[abi] === data.arch)) return KILL_PROCESS;
  if (data.nr === 0xffffffff) return fallback;
  const abi = data.arch === X86_64 ? (data.nr >= X32_BIT ? 'x32' : 'x86_64') : [...listed].find((one) => TOKENS[one] === data.arch)!;
  if (!listed.has(abi)) return KILL_PROCESS;
  const numbers = syscallNumbers(abi);
  const rules = (profile.syscalls ?? []).filter((rule) => rule.names.some((name) => numbers.get(name) === data.nr) && resultOf(rule.action, rule.errnoRet) !== fallback);
  const always = rules.find((rule) => (rule.args ?? []).length === 0);
  if (always !== undefined) return resultOf(always.action, always.errnoRet);
  const wide = abi !== 'x86' && abi !== 'arm';
  const matching = rules.find((rule) => {
    const args = rule.args!;
    const repeated = new Set(args.map((arg) => arg.index)).size < args.length;
    return repeated ? args.some((arg) => holds(arg, data.args, wide)) : args.every((arg) => holds(arg, data.args, wide));
  });
  if (matching !== undefined) return resultOf(matching.action, matching.errnoRet);
  const last = Math.max(-1, ...(profile.syscalls ?? []).flatMap((rule) => rule.names.map((name) => numbers.get(name) ?? -1)));
  const permissive = ['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG', 'SCMP_ACT_TRACE'].includes(profile.defaultAction);
  return !permissive && profile.defaultErrnoRet !== 38 && last >= 0 && data.nr > last ? ERRNO + 38 : fallback;
}

const NAMES = ['read', 'write', 'open', 'close', 'stat', 'mmap', 'clone', 'personality', 'ioctl', 'futex', 'openat', 'mseal', 'chown32', 'set_tls', 'no_such_call', 'readv', 'preadv', 'ptrace'];
const interesting = fc.oneof(fc.constantFrom(0n, 1n, 8n, 38n, 0xffffffffn, 0x100000000n, 0x100000026n, 2n ** 63n, 2n ** 64n - 1n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const argument = fc.record({
  index: fc.integer({ min: 0, max: 5 }), value: interesting.map(String), valueTwo: interesting.map(String),
  op: fc.constantFrom('SCMP_CMP_NE', 'SCMP_CMP_LT', 'SCMP_CMP_LE', 'SCMP_CMP_EQ', 'SCMP_CMP_GE', 'SCMP_CMP_GT', 'SCMP_CMP_MASKED_EQ'),
});
const action = fc.constantFrom('SCMP_ACT_KILL', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_TRAP', 'SCMP_ACT_ERRNO', 'SCMP_ACT_TRACE', 'SCMP_ACT_ALLOW', 'SCMP_ACT_LOG');
/** Only where the action has one. */
const hasErrno = (name: string): boolean => name === 'SCMP_ACT_ERRNO' || name === 'SCMP_ACT_TRACE';
const profiles: fc.Arbitrary<OciSeccomp> = fc.record({
  defaultAction: action,
  defaultErrnoRet: fc.constantFrom(1, 38),
  architectures: fc.uniqueArray(fc.constantFrom(...Object.keys(ARCHES))),
  syscalls: fc.array(fc.record({
    names: fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 8 }), action,
    errnoRet: fc.integer({ min: 0, max: 4095 }), args: fc.array(argument, { maxLength: 3 }),
  }), { maxLength: 12 }),
}).map(({ defaultErrnoRet, syscalls, ...rest }) => ({
  ...rest, ...(hasErrno(rest.defaultAction) && { defaultErrnoRet }),
  syscalls: syscalls.map(({ errnoRet, ...rule }) => ({ ...rule, ...(hasErrno(rule.action) && { errnoRet }) })),
}));

test('a compiled filter decides every call as the profile says', () => {
  const calls = fc.array(fc.record({
    name: fc.constantFrom(...NAMES), random: fc.oneof(fc.constantFrom(0xffffffff, X32_BIT, X32_BIT - 1, 463, 512, X32_BIT + 547), fc.integer({ min: 0, max: 500 })),
    byName: fc.boolean(), abi: fc.constantFrom<SyscallAbi>('x86_64', 'x86', 'x32', 'aarch64', 'arm'), args: fc.array(interesting, { minLength: 6, maxLength: 6 }),
  }), { minLength: 20, maxLength: 20 });
  fc.assert(fc.property(profiles, fc.constantFrom('amd64' as const, 'arm64' as const), calls, (profile, architecture, list) => {
    const { program } = compileSeccomp(profile, { architecture });
    for (const { name, random, byName, abi, args } of list) {
      const data = { nr: (byName ? syscallNumbers(abi).get(name) : undefined) ?? random, arch: TOKENS[abi], args };
      assert.equal(runFilter(program, data).result, evaluate(profile, architecture === 'amd64' ? 'x86_64' : 'aarch64', data), JSON.stringify(data, (_, v) => (typeof v === 'bigint' ? String(v) : v)));
    }
  }), { numRuns: 400 });
});

const call = (nr: number, args: bigint[] = [], arch = X86_64): SeccompData => ({ nr, arch, args: [...args, 0n, 0n, 0n, 0n, 0n, 0n].slice(0, 6) });
const native = { architecture: 'amd64' } as const;

test('far jumps are bridged', () => {
  const all = [...syscallNumbers('x86_64').entries()].filter((_, index) => index % 3 !== 0);
  // A distinct outcome for each call, so that nothing can be shared and the tree is as large as it gets.
  const profile: OciSeccomp = {
    defaultAction: 'SCMP_ACT_KILL',
    syscalls: all.map(([name], index) => ({ names: [name], action: 'SCMP_ACT_ERRNO', errnoRet: 2, args: [{ index: 0, value: index, op: 'SCMP_CMP_GT' }, { index: 1, value: String(2n ** 40n + BigInt(index)), op: 'SCMP_CMP_LE' }] })),
  };
  const { program } = compileSeccomp(profile, native);
  assert.ok(program.length / 8 > 2000 && program.length / 8 <= 4096, `${program.length / 8} instructions`);
  all.forEach(([name, nr], index) => {
    assert.equal(runFilter(program, call(nr, [BigInt(index + 1), 2n ** 40n])).result, ERRNO + 2, name);
    assert.equal(runFilter(program, call(nr, [BigInt(index), 0n])).result, 0, name);
    assert.equal(runFilter(program, call(nr, [BigInt(index + 1), 2n ** 41n])).result, 0, name);
  });
});

test('a program that the kernel would refuse is an error', () => {
  const syscalls = Array.from({ length: 1500 }, (_, index) => ({ names: ['ioctl'], action: 'SCMP_ACT_ALLOW', args: [{ index: 1, value: index * 3, op: 'SCMP_CMP_EQ' }] }));
  assert.throws(() => compileSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', syscalls }, native), (error) => error instanceof NaruError && error.kind === 'too-large');
});

test('i386 socketcall and ipc follow the rules of the calls they stand for', () => {
  const i386 = syscallNumbers('x86');
  const architectures = ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'];
  const allow = compileSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', architectures, syscalls: [{ names: ['connect', 'accept', 'shmat'], action: 'SCMP_ACT_ALLOW' }, { names: ['socket'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }] }] }, native).program;
  const socketcall = (number: bigint): number => runFilter(allow, call(i386.get('socketcall')!, [number], I386)).result;
  assert.deepEqual([3n, 5n, 1n, 2n].map(socketcall), [ALLOW, ALLOW, ERRNO + 1, ERRNO + 1]);
  assert.equal(runFilter(allow, call(i386.get('ipc')!, [21n], I386)).result, ALLOW);
  assert.equal(runFilter(allow, call(i386.get('socket')!, [1n], I386)).result, ALLOW);
  const deny = compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW', architectures, syscalls: [{ names: ['socket'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 38, op: 'SCMP_CMP_EQ' }] }] }, native).program;
  assert.equal(runFilter(deny, call(i386.get('socketcall')!, [1n], I386)).result, ERRNO + 1);
});

test('a 32-bit ABI ignores what lies in the upper half of an argument', () => {
  const profile: OciSeccomp = { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86'], syscalls: [{ names: ['personality'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }] }] };
  const { program } = compileSeccomp(profile, native);
  assert.equal(runFilter(program, call(syscallNumbers('x86').get('personality')!, [0x500000008n], I386)).result, ERRNO + 1);
  assert.equal(runFilter(program, call(syscallNumbers('x86_64').get('personality')!, [0x500000008n])).result, ALLOW);
});

test('flags and the listener', () => {
  const base = { defaultAction: 'SCMP_ACT_ALLOW' };
  assert.deepEqual([compileSeccomp(base).flags, compileSeccomp(base).listener], [4, false]);
  assert.equal(compileSeccomp({ ...base, flags: [] }).flags, 0);
  assert.equal(compileSeccomp({ ...base, flags: ['SECCOMP_FILTER_FLAG_LOG', 'SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'] }).flags, 3);
  const notify = compileSeccomp({ ...base, flags: ['SECCOMP_FILTER_FLAG_TSYNC', 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'], syscalls: [{ names: ['mount'], action: 'SCMP_ACT_NOTIFY' }] });
  assert.deepEqual([notify.flags, notify.listener], [8 + 32, true]);
});

test('work is not done twice', () => {
  const profile = (): OciSeccomp => ({ defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] });
  const one = profile();
  assert.equal(compileSeccomp(one), compileSeccomp(one));
  assert.equal(compileSeccomp(one), compileSeccomp(profile()));
});

test('errors name the field', () => {
  const cases: [OciSeccomp, RegExp][] = [
    [{ defaultAction: 'ALLOW' }, /defaultAction: unknown action "ALLOW"/],
    [{ defaultAction: 'constructor' }, /unknown action/],
    [{ defaultAction: 'SCMP_ACT_NOTIFY' }, /cannot be the default action/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_VAX'] }, /^\/linux\/seccomp\/architectures\/0: unknown architecture "SCMP_ARCH_VAX"/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 3 }, /defaultErrnoRet: SCMP_ACT_ALLOW returns no errno/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', flags: ['X'] }, /unknown flag "X"/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: [], action: 'SCMP_ACT_KILL' }] }, /syscalls\/0\/names: /],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['write'], action: 'SCMP_ACT_NOTIFY' }] }, /cannot be used for the write system call/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', errnoRet: 5000 }] }, /errnoRet: 5000/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action: 'SCMP_ACT_KILL', args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }] }] }, /args\/0\/index: 6/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action: 'SCMP_ACT_KILL', args: [{ index: 0, value: -1, op: 'SCMP_CMP_EQ' }] }] }, /value: -1 is not an unsigned/],
    [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action: 'SCMP_ACT_KILL', args: [{ index: 0, value: 0, op: 'EQ' }] }] }, /unknown comparator "EQ"/],
  ];
  for (const [profile, message] of cases) assert.throws(() => compileSeccomp(profile), (error) => error instanceof NaruError && error.kind === 'invalid' && message.test(error.message), String(message));
});
