import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAPABILITIES, DEFAULT_CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import { compileSeccomp } from './compile-seccomp.ts';
import { defaultSeccompProfile } from './default-profile.ts';
import { runFilter } from './filter-interpreter.ts';
import { type SyscallAbi, syscallNumbers } from './syscall-numbers.ts';

const ALLOW = 0x7fff0000, EPERM = 0x50001, ENOSYS = 0x50000 + 38;
const TOKENS: Record<SyscallAbi, number> = { x86_64: 0xc000003e, x32: 0xc000003e, x86: 0x40000003, aarch64: 0xc00000b7, arm: 0x40000028 };

function decide(name: string, options: { args?: bigint[]; abi?: SyscallAbi; capabilities?: readonly string[]; kernel?: string } = {}): number {
  const { args = [], abi = 'x86_64', capabilities = DEFAULT_CAPABILITIES, kernel = '6.1.0-1-amd64' } = options;
  const architecture = abi === 'aarch64' || abi === 'arm' ? 'arm64' : 'amd64';
  const { program } = compileSeccomp(defaultSeccompProfile({ capabilities, architecture, kernel }), { architecture });
  const nr = syscallNumbers(abi).get(name);
  assert.ok(nr !== undefined, `${abi} has no ${name}`);
  return runFilter(program, { nr, arch: TOKENS[abi], args: [...args, 0n, 0n, 0n, 0n, 0n, 0n].slice(0, 6) }).result;
}

test('361 names are always allowed, three more since 4.8', () => {
  const names = (kernel: string, architecture: 'amd64' | 'arm64' = 'amd64'): Set<string> =>
    new Set(defaultSeccompProfile({ capabilities: [], architecture, kernel }).syscalls![0]!.names);
  assert.equal(names('4.7.9').size, 361 + 2);
  assert.equal(names('6.1.0').size, 361 + 2 + 3);
  assert.equal(names('6.1.0', 'arm64').size, 361 + 6 + 3);
});

test('what a container may not do', () => {
  for (const name of ['mount', 'umount2', 'unshare', 'setns', 'bpf', 'perf_event_open', 'keyctl', 'add_key', 'request_key', 'userfaultfd',
    'io_uring_setup', 'io_uring_enter', 'io_uring_register', 'kexec_load', 'init_module', 'finit_module', 'delete_module', 'open_by_handle_at', 'pivot_root',
    'fsopen', 'move_mount', 'open_tree', 'mount_setattr', 'reboot', 'settimeofday', 'swapon', 'acct', 'quotactl', 'syslog', 'vhangup', 'iopl', 'pidfd_getfd', 'process_madvise']) {
    for (const abi of ['x86_64', 'x86', 'x32', 'aarch64', 'arm'] as const) if (syscallNumbers(abi).has(name)) assert.equal(decide(name, { abi }), EPERM, `${name} on ${abi}`);
  }
});

test('what it may', () => {
  for (const name of ['read', 'openat', 'openat2', 'execve', 'futex_waitv', 'landlock_create_ruleset', 'ptrace', 'process_vm_readv', 'mseal', 'setxattrat', 'seccomp']) {
    for (const abi of ['x86_64', 'x86', 'aarch64', 'arm'] as const) assert.equal(decide(name, { abi }), ALLOW, `${name} on ${abi}`);
  }
  assert.equal(decide('arch_prctl'), ALLOW);
  assert.equal(decide('cacheflush', { abi: 'arm' }), ALLOW);
  assert.equal(decide('chroot'), ALLOW);
});

test('address families: neither AF_ALG nor AF_VSOCK, not even behind the upper half', () => {
  const socket = (family: bigint, abi?: SyscallAbi): number => decide('socket', { args: [family], ...(abi && { abi }) });
  for (const family of [0n, 1n, 2n, 10n, 16n, 17n, 37n, 39n, 41n, 42n, 43n, 44n, 45n, 46n, 63n]) {
    assert.equal(socket(family), ALLOW, String(family));
    assert.equal(socket(family, 'x86'), ALLOW, String(family));
  }
  for (const family of [38n, 40n, 2n ** 32n + 38n, 2n ** 63n + 40n, 2n ** 32n + 2n]) assert.equal(socket(family), EPERM, String(family));
  assert.equal(socket(2n ** 32n + 38n, 'x86'), EPERM);
  assert.equal(socket(2n ** 32n + 38n, 'x32'), EPERM);
});

test('personalities', () => {
  for (const persona of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn]) assert.equal(decide('personality', { args: [persona] }), ALLOW);
  for (const persona of [0x40000n, 1n, 0x100000000n]) assert.equal(decide('personality', { args: [persona] }), EPERM);
});

test('clone without namespaces; clone3 does not exist', () => {
  assert.equal(decide('clone', { args: [0x01200011n] }), ALLOW);
  for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) assert.equal(decide('clone', { args: [flag | 17n] }), EPERM);
  assert.equal(decide('clone3'), ENOSYS);
  const capabilities = [...DEFAULT_CAPABILITIES, 'CAP_SYS_ADMIN'];
  assert.equal(decide('clone', { args: [0x10000000n], capabilities }), ALLOW);
  assert.equal(decide('clone3', { capabilities }), ALLOW);
  assert.equal(decide('mount', { capabilities }), ALLOW);
});

test('capabilities open what is theirs alone', () => {
  const only = (capability: string, name: string): void => {
    assert.equal(decide(name), EPERM, name);
    assert.equal(decide(name, { capabilities: [capability] }), ALLOW, name);
  };
  only('CAP_BPF', 'bpf');
  only('CAP_PERFMON', 'perf_event_open');
  only('CAP_SYSLOG', 'syslog');
  only('CAP_SYS_TIME', 'clock_settime');
  only('CAP_SYS_NICE', 'mbind');
  only('CAP_DAC_READ_SEARCH', 'open_by_handle_at');
  assert.equal(decide('chroot', { capabilities: [] }), EPERM);
  assert.equal(decide('ptrace', { kernel: '4.7.0' }), EPERM);
  assert.equal(decide('ptrace', { kernel: '4.7.0', capabilities: ['CAP_SYS_PTRACE'] }), ALLOW);
});

test('calls newer than the profile fail with ENOSYS', () => {
  assert.equal(decide('file_getattr'), ENOSYS);
  assert.equal(decide('file_getattr', { abi: 'x86' }), ENOSYS);
});

test('the filter stays small, and quick where the kernel cannot answer from its bitmap', () => {
  const { program } = compileSeccomp(defaultSeccompProfile({ capabilities: DEFAULT_CAPABILITIES, architecture: 'amd64', kernel: '6.1.0' }), { architecture: 'amd64' });
  assert.ok(program.length / 8 <= 320, `${program.length / 8} instructions`);
  for (const nr of syscallNumbers('x86_64').values()) {
    const run = runFilter(program, { nr, arch: TOKENS.x86_64, args: [0n, 0n, 0n, 0n, 0n, 0n] });
    assert.ok(run.steps <= 24, `${nr}: ${run.steps}`);
    if (run.result === ALLOW && ![56, 41, 135].includes(nr)) assert.ok(run.constant, `${nr} is not constant`);
  }
});

test('equal conditions, the same object', () => {
  const of = (capabilities: readonly string[]) => defaultSeccompProfile({ capabilities, architecture: 'amd64', kernel: '6.1.0' });
  assert.equal(of(DEFAULT_CAPABILITIES), of([...DEFAULT_CAPABILITIES].reverse()));
  assert.notEqual(of(DEFAULT_CAPABILITIES), of(CAPABILITIES));
});
