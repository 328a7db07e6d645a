import { readFileSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';

/** Every capability by number, as in include/uapi/linux/capability.h (https://man7.org/linux/man-pages/man7/capabilities.7.html). */
export const CAPABILITIES = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_DAC_READ_SEARCH', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_SETGID', 'CAP_SETUID',
  'CAP_SETPCAP', 'CAP_LINUX_IMMUTABLE', 'CAP_NET_BIND_SERVICE', 'CAP_NET_BROADCAST', 'CAP_NET_ADMIN', 'CAP_NET_RAW',
  'CAP_IPC_LOCK', 'CAP_IPC_OWNER', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_CHROOT', 'CAP_SYS_PTRACE', 'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_NICE', 'CAP_SYS_RESOURCE', 'CAP_SYS_TIME', 'CAP_SYS_TTY_CONFIG', 'CAP_MKNOD',
  'CAP_LEASE', 'CAP_AUDIT_WRITE', 'CAP_AUDIT_CONTROL', 'CAP_SETFCAP', 'CAP_MAC_OVERRIDE', 'CAP_MAC_ADMIN', 'CAP_SYSLOG',
  'CAP_WAKE_ALARM', 'CAP_BLOCK_SUSPEND', 'CAP_AUDIT_READ', 'CAP_PERFMON', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE',
] as const;

export type CapabilityName = (typeof CAPABILITIES)[number];

/** What Docker gives a container that asks for nothing, in Docker's order. */
export const DEFAULT_CAPABILITIES: readonly CapabilityName[] = [
  'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FSETID', 'CAP_FOWNER', 'CAP_MKNOD', 'CAP_NET_RAW', 'CAP_SETGID', 'CAP_SETUID',
  'CAP_SETFCAP', 'CAP_SETPCAP', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT', 'CAP_KILL', 'CAP_AUDIT_WRITE',
];

const numbers = new Map<string, number>(CAPABILITIES.map((name, number) => [name, number]));

/** `sys_admin`, `SYS_ADMIN`, `cap_sys_admin` -> `CAP_SYS_ADMIN`; undefined when there is no such capability. */
export function capabilityName(name: string): CapabilityName | undefined {
  const upper = name.trim().toUpperCase();
  const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  return numbers.has(full) ? (full as CapabilityName) : undefined;
}

/** As configurations write it: the full name. */
export const isCapability = (name: string): boolean => numbers.has(name);

const known = (name: string, list: 'CapAdd' | 'CapDrop'): CapabilityName => {
  const found = capabilityName(name);
  if (found === undefined) {
    throw new NaruError('invalid', `invalid ${list}: unknown capability: "${fullName(name)}"`, {
      hint: 'capabilities(7) lists the names; ALL means every one of them.',
    });
  }
  return found;
};

const fullName = (name: string): string => {
  const upper = name.trim().toUpperCase();
  return upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
};

/** The 64-bit mask of these capabilities. Throws `invalid` in Docker's words for a name that does not exist. */
export const capabilityMask = (names: readonly string[]): bigint =>
  names.reduce((mask, name) => mask | (1n << BigInt(numbers.get(known(name, 'CapAdd'))!)), 0n);

/** The names in a mask, by number; bits without a name are left out. */
export const capabilityNames = (mask: bigint): CapabilityName[] =>
  CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);

export interface CapabilityRequest {
  /** `--cap-add`: names, or ALL. */
  readonly add?: readonly string[];
  /** `--cap-drop`: names, or ALL. */
  readonly drop?: readonly string[];
  /** `--privileged`: everything available, whatever add and drop say. */
  readonly privileged?: boolean;
  /** What this process may hand on (`availableCapabilities()`). */
  readonly available: readonly CapabilityName[];
}

/**
 * Docker's rules for `--cap-add` and `--cap-drop` over the defaults: unknown names are refused; ALL in add means everything
 * available but what drop names (ALL in drop is no name); otherwise defaults, without what drop names (ALL: nothing left), and with what add names: a
 * capability that is in both lists is added. Asking for one that is not available here is `invalid` too.
 */
export function adjustCapabilities(defaults: readonly CapabilityName[], request: CapabilityRequest): CapabilityName[] {
  const add = normalize(request.add ?? [], 'CapAdd');
  const drop = normalize(request.drop ?? [], 'CapDrop');
  if (request.privileged === true) return [...request.available];
  const available = new Set<string>(request.available);
  for (const name of add) {
    if (name !== 'ALL' && !available.has(name)) {
      throw new NaruError('invalid', `invalid CapAdd: capability not supported by your kernel or not available in the current environment: "${name}"`);
    }
  }
  if (add.has('ALL')) return request.available.filter((name) => !drop.has(name));
  const kept = drop.has('ALL') ? [] : defaults.filter((name) => !drop.has(name));
  const all = new Set<CapabilityName>(kept);
  for (const name of add) all.add(name as CapabilityName);
  return inAvailable(all, available);
}

const inAvailable = (names: Iterable<string>, available: ReadonlySet<string>): CapabilityName[] =>
  [...names].filter((name): name is CapabilityName => available.has(name));

const normalize = (names: readonly string[], list: 'CapAdd' | 'CapDrop'): Set<string> =>
  new Set(names.map((name) => (name.trim().toUpperCase() === 'ALL' ? 'ALL' : known(name, list))));

let bounding: readonly CapabilityName[] | undefined;

/** What this process can give to a child: its bounding set (CapBnd of /proc/self/status), read once. */
export function availableCapabilities(): readonly CapabilityName[] {
  bounding ??= parseBounding(readFileSync('/proc/self/status', 'latin1'));
  return bounding;
}

/** The bounding set in the text of a /proc/<pid>/status. */
export function parseBounding(status: string): CapabilityName[] {
  const match = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status);
  if (match === null) throw new NaruError('unsupported', '/proc/self/status has no CapBnd line');
  return capabilityNames(BigInt(`0x${match[1]}`));
}
