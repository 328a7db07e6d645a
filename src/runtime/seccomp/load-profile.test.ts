import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NaruError } from '#spec/errors.ts';
import { compileSeccomp } from './compile-seccomp.ts';
import { loadProfile } from './load-profile.ts';

const conditions = { capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN'], architecture: 'amd64', kernel: '5.10.3-rc1' } as const;
const load = (profile: unknown) => loadProfile(JSON.stringify(profile), conditions);

test("Docker's form becomes OCI's", () => {
  const profile = load({
    defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1,
    archMap: [{ architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] }, { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
    syscalls: [
      { names: ['read', 'write'], action: 'SCMP_ACT_ALLOW', args: [], comment: '', includes: {}, excludes: {} },
      { name: 'getcwd', action: 'SCMP_ACT_ALLOW', args: null },
      { names: ['a'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN', 'CAP_BPF'] } },
      { names: ['b'], action: 'SCMP_ACT_ALLOW', excludes: { caps: ['CAP_BPF', 'CAP_SYS_ADMIN'] } },
      { names: ['c'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['arm64'] } },
      { names: ['d'], action: 'SCMP_ACT_ALLOW', excludes: { arches: ['amd64'] } },
      { names: ['e'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '5.11' } },
      { names: ['f'], action: 'SCMP_ACT_ALLOW', excludes: { minKernel: '5.10' } },
      { names: ['g'], action: 'SCMP_ACT_ERRNO', errnoRet: 38, includes: { minKernel: '5.10', arches: ['amd64'], caps: ['CAP_CHOWN'] } },
    ],
  });
  assert.deepEqual(profile, {
    defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1, architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    syscalls: [
      { names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' },
      { names: ['getcwd'], action: 'SCMP_ACT_ALLOW' },
      { names: ['g'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
    ],
  });
  compileSeccomp(profile!);
});

test('numbers beyond 2^53 keep every digit', () => {
  const json = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone"],"action":"SCMP_ACT_KILL","args":[{"index":0,"value":18446744073709551615,"valueTwo":9007199254740993,"op":"SCMP_CMP_MASKED_EQ"}]}]}';
  const arg = loadProfile(json, conditions)!.syscalls![0]!.args![0]!;
  assert.deepEqual([arg.value, arg.valueTwo], ['18446744073709551615', '9007199254740993']);
  assert.equal(loadProfile('{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"12345678901234567890 \\" 12345678901234567890"}', conditions)!.listenerMetadata, '12345678901234567890 " 12345678901234567890');
});

test('a profile that says nothing is no filter', () => assert.equal(load({}), undefined));

test('errors', () => {
  const cases: [string, RegExp][] = [
    ['{', /^Decoding seccomp profile failed: /],
    ['[]', /the profile is not an object/],
    ['{"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}', /defaultAction is missing/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}', /use either 'architectures' or 'archMap'/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_KILL"}]}', /use either 'name' or 'names'/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"includes":{"minKernel":"4"}}]}', /invalid kernel version: "4"/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[7]}]}', /syscalls\[0\]\.names\[0\] is not a string/],
    ['{"defaultAction":7}', /defaultAction is not a string/],
    ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[null]}', /syscalls\[0\] is not an object/],
  ];
  for (const [json, message] of cases) assert.throws(() => loadProfile(json, conditions), (error) => error instanceof NaruError && error.kind === 'invalid' && message.test(error.message), String(message));
  assert.throws(() => loadProfile(' '.repeat(2 ** 20 + 1), conditions), (error) => error instanceof NaruError && error.kind === 'too-large');
});

test('any JSON is a profile, nothing, or a NaruError', () => {
  const json = fc.letrec((tie) => ({
    value: fc.oneof({ depthSize: 'small' }, fc.constantFrom<unknown>(null, true, 'SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO', 'read', 1, -1, 1e300), fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('defaultAction', 'syscalls', 'names', 'name', 'action', 'args', 'index', 'value', 'op', 'includes', 'excludes', 'caps', 'archMap', 'architectures', 'flags', '__proto__'), tie('value'), { maxKeys: 5 })),
  })).value;
  fc.assert(fc.property(json, (value) => {
    try {
      const profile = load(value);
      if (profile !== undefined) compileSeccomp(profile);
    } catch (error) {
      assert.ok(error instanceof NaruError, String(error));
    }
  }), { numRuns: 500 });
});
