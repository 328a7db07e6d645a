import { NaruError } from '#spec/errors.ts';
import type { SyscallAbi } from './syscall-numbers.ts';

/** The kernel's words for filters: include/uapi/linux/seccomp.h, linux/audit.h; https://man7.org/linux/man-pages/man2/seccomp.2.html */
const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
export const ACTION_NAMES: readonly string[] = Object.keys(ACTIONS);

export const RET_KILL_PROCESS = 0x80000000;
export const RET_NOTIFY = 0x7fc00000;
const EPERM = 1;
const MAX_ERRNO = 4095;
const MAX_TRACE_DATA = 0xffff;

/** Where a profile stands in config.json; errors begin with the pointer of the field. */
export const SECCOMP_POINTER = '/linux/seccomp';

/** What the filter returns to the kernel for an action; `errnoRet` (default EPERM) counts for ERRNO and TRACE only. */
export function returnValue(action: string, errnoRet: number | undefined, at: { readonly action: string; readonly errno: string }): number {
  const value = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (value === undefined) {
    throw new NaruError('invalid', `${SECCOMP_POINTER}${at.action}: unknown action ${JSON.stringify(action)}`, { hint: `One of ${ACTION_NAMES.join(', ')}.` });
  }
  if (action !== 'SCMP_ACT_ERRNO' && action !== 'SCMP_ACT_TRACE') {
    // 0 is what some writers put where they mean nothing.
    if (errnoRet) throw new NaruError('invalid', `${SECCOMP_POINTER}${at.errno}: ${action} returns no errno`);
    return value;
  }
  const data = errnoRet ?? EPERM;
  const limit = action === 'SCMP_ACT_ERRNO' ? MAX_ERRNO : MAX_TRACE_DATA;
  if (!Number.isInteger(data) || data < 0 || data > limit) {
    throw new NaruError('invalid', `${SECCOMP_POINTER}${at.errno}: ${String(data)} is not between 0 and ${limit}`);
  }
  return value + data;
}

/** Default actions under which a call newer than the profile needs no ENOSYS: it runs, or a tracer decides. */
export const isPermissive = (action: string): boolean =>
  action === 'SCMP_ACT_ALLOW' || action === 'SCMP_ACT_LOG' || action === 'SCMP_ACT_TRACE';

/** `seccomp_data.arch` (AUDIT_ARCH_*) of each ABI; x32 is x86_64 with a bit in the call's number. */
export const AUDIT_ARCH: Readonly<Record<SyscallAbi, number>> = {
  x86_64: 0xc000003e, x32: 0xc000003e, x86: 0x40000003, aarch64: 0xc00000b7, arm: 0x40000028,
};

/** Architectures of the OCI specification: those with an ABI here, and those that no process on our machines can have. */
export const ARCHITECTURES: ReadonlyMap<string, SyscallAbi | undefined> = new Map<string, SyscallAbi | undefined>([
  ['SCMP_ARCH_X86_64', 'x86_64'], ['SCMP_ARCH_X86', 'x86'], ['SCMP_ARCH_X32', 'x32'],
  ['SCMP_ARCH_AARCH64', 'aarch64'], ['SCMP_ARCH_ARM', 'arm'],
  ...['MIPS', 'MIPS64', 'MIPS64N32', 'MIPSEL', 'MIPSEL64', 'MIPSEL64N32', 'PPC', 'PPC64', 'PPC64LE', 'S390', 'S390X', 'PARISC',
    'PARISC64', 'RISCV64', 'LOONGARCH64', 'M68K', 'SH', 'SHEB'].map((name): [string, undefined] => [`SCMP_ARCH_${name}`, undefined]),
]);

export const FLAG_NEW_LISTENER = 1 << 3;
/** Flags of seccomp(SECCOMP_SET_MODE_FILTER) by their OCI names. */
export const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1 << 0,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 1 << 2,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 1 << 5,
};

export const COMPARATORS = [
  'SCMP_CMP_NE', 'SCMP_CMP_LT', 'SCMP_CMP_LE', 'SCMP_CMP_EQ', 'SCMP_CMP_GE', 'SCMP_CMP_GT', 'SCMP_CMP_MASKED_EQ',
] as const;
export type Comparator = (typeof COMPARATORS)[number];
