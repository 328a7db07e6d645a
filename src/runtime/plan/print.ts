import { OPS, SLOT_CHILD_PIDFD, SLOT_TARGET_PIDFD, type ArgKind, type OpDefinition, type OpName } from './ops.ts';
import { ANY_ERRNO, type Plan, type PlanOp } from './plan.ts';

const ARCH_X64 = process.arch === 'x64';
type Names = readonly (readonly [value: number, name: string])[];

const OPEN_FLAGS: Names = [
  [0o3, 'O_ACCMODE'], [0o100, 'O_CREAT'], [0o200, 'O_EXCL'], [0o400, 'O_NOCTTY'], [0o1000, 'O_TRUNC'], [0o2000, 'O_APPEND'],
  [0o4000, 'O_NONBLOCK'], [ARCH_X64 ? 0o200000 : 0o40000, 'O_DIRECTORY'], [ARCH_X64 ? 0o400000 : 0o100000, 'O_NOFOLLOW'],
  [0o2000000, 'O_CLOEXEC'], [0o10000000, 'O_PATH'],
];
const CLONE_FLAGS: Names = [
  [0x80, 'CLONE_NEWTIME'], [0x20000, 'CLONE_NEWNS'], [0x2000000, 'CLONE_NEWCGROUP'], [0x4000000, 'CLONE_NEWUTS'],
  [0x8000000, 'CLONE_NEWIPC'], [0x10000000, 'CLONE_NEWUSER'], [0x20000000, 'CLONE_NEWPID'], [0x40000000, 'CLONE_NEWNET'],
  [0x200000000, 'CLONE_INTO_CGROUP'],
];
const MOUNT_FLAGS: Names = [
  [1, 'MS_RDONLY'], [2, 'MS_NOSUID'], [4, 'MS_NODEV'], [8, 'MS_NOEXEC'], [16, 'MS_SYNCHRONOUS'], [32, 'MS_REMOUNT'],
  [1024, 'MS_NOATIME'], [2048, 'MS_NODIRATIME'], [4096, 'MS_BIND'], [8192, 'MS_MOVE'], [16384, 'MS_REC'],
  [1 << 17, 'MS_UNBINDABLE'], [1 << 18, 'MS_PRIVATE'], [1 << 19, 'MS_SLAVE'], [1 << 20, 'MS_SHARED'],
  [1 << 21, 'MS_RELATIME'], [1 << 24, 'MS_STRICTATIME'],
];
const ATTRIBUTES: Names = [
  [1, 'RDONLY'], [2, 'NOSUID'], [4, 'NODEV'], [8, 'NOEXEC'], [0x10, 'NOATIME'], [0x20, 'STRICTATIME'], [0x80, 'NODIRATIME'],
  [0x100000, 'IDMAP'], [0x200000, 'NOSYMFOLLOW'],
];
const TREE_FLAGS: Names = [[1, 'OPEN_TREE_CLONE'], [0x100, 'AT_SYMLINK_NOFOLLOW'], [0x1000, 'AT_EMPTY_PATH'], [0x8000, 'AT_RECURSIVE']];
const RESOLVE: Names = [
  [1, 'RESOLVE_NO_XDEV'], [2, 'RESOLVE_NO_MAGICLINKS'], [4, 'RESOLVE_NO_SYMLINKS'], [8, 'RESOLVE_BENEATH'],
  [16, 'RESOLVE_IN_ROOT'],
];
const RLIMITS = [
  'CPU', 'FSIZE', 'DATA', 'STACK', 'CORE', 'RSS', 'NPROC', 'NOFILE', 'MEMLOCK', 'AS', 'LOCKS', 'SIGPENDING', 'MSGQUEUE', 'NICE',
  'RTPRIO', 'RTTIME',
];

const octal = (n: bigint): string => `0${n.toString(8)}`;
const hex = (n: bigint): string => `0x${BigInt.asUintN(64, n).toString(16)}`;
const flags = (names: Names) => (n: bigint): string => {
  const set: string[] = [];
  let rest = BigInt.asUintN(64, n);
  for (const [value, name] of names) {
    const bits = BigInt(value);
    if (bits === 0n || (rest & bits) !== bits) continue;
    set.push(name);
    rest &= ~bits;
  }
  if (rest !== 0n) set.push(hex(rest));
  return set.length === 0 ? '0' : set.join('|');
};
const openFlags = (n: bigint): string => {
  const access = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'][Number(n & 3n)]!;
  const others = flags(OPEN_FLAGS)(n & ~3n);
  return others === '0' ? access : n & 3n ? `${access}|${others}` : others;
};
const oneOf = (names: readonly string[]) => (n: bigint): string => names[Number(n)] ?? String(n);

type Format = (n: bigint) => string;
/** How an integer argument reads: by `operation.argument`, else by the argument's name. */
const FORMATS: Readonly<Record<string, Format>> = {
  mode: octal, mask: octal, 'target.kind': oneOf(['directory', 'file', 'like']), 'stdio.mode': oneOf(['null', 'pipes', 'pty', 'inherit']),
  'stdio.stdin': oneOf(['none', 'open', 'once']), 'open.flags': openFlags, 'write.flags': openFlags, resolve: flags(RESOLVE),
  'clone.flags': flags(CLONE_FLAGS), 'reclone.flags': flags(CLONE_FLAGS), 'unshare.flags': flags(CLONE_FLAGS), nstype: flags(CLONE_FLAGS),
  'mount.flags': flags(MOUNT_FLAGS), propagation: flags(MOUNT_FLAGS), 'open_tree.flags': flags(TREE_FLAGS), 'mount_setattr.flags': flags(TREE_FLAGS),
  attr: flags(ATTRIBUTES), set: flags(ATTRIBUTES), clear: flags(ATTRIBUTES), keep: hex, effective: hex, permitted: hex, inheritable: hex,
  'cap_ambient.mask': hex, resource: (n) => (RLIMITS[Number(n)] === undefined ? String(n) : `RLIMIT_${RLIMITS[Number(n)]}`),
  'await.kind': oneOf(['START', 'fifo']), soft: (n) => limit(n), hard: (n) => limit(n),
  'mknod.dev': (n) => `${(n >> 8n) & 0xfffn}:${(n & 0xffn) | ((n >> 12n) & 0xfff00n)}`,
};
const limit = (n: bigint): string => (BigInt.asUintN(64, n) === 0xffffffffffffffffn ? 'unlimited' : String(n));

const MAX_STRINGS = 12;
const MAX_BYTES = 24;

function bytesText(value: Uint8Array | string): string {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  const printable = bytes.every((b) => b === 9 || b === 10 || (b >= 32 && b < 127));
  if (printable && bytes.length <= 200) return JSON.stringify(new TextDecoder().decode(bytes));
  const head = Buffer.from(bytes.subarray(0, MAX_BYTES)).toString('hex');
  return `<${bytes.length} bytes ${head}${bytes.length > MAX_BYTES ? '...' : ''}>`;
}

function listText(values: readonly (string | number)[]): string {
  const shown = values.slice(0, MAX_STRINGS).map((v) => JSON.stringify(v));
  if (values.length > MAX_STRINGS) shown.push(`... ${values.length - MAX_STRINGS} more`);
  return `[${shown.join(', ')}]`;
}

function slotText(n: bigint): string {
  if (BigInt.asIntN(64, n) === -1n) return '-';
  if (n === BigInt(SLOT_TARGET_PIDFD)) return '@container';
  if (n === BigInt(SLOT_CHILD_PIDFD)) return '@child';
  return `@${n}`;
}

function argText(op: OpName, name: string, kind: ArgKind, value: unknown): string {
  switch (kind) {
    case 'slot':
      return slotText(BigInt(value as number | bigint));
    case 'int': {
      const n = BigInt(value as number | bigint);
      const format = FORMATS[`${op}.${name}`] ?? FORMATS[name];
      return format === undefined ? String(n) : format(n);
    }
    case 'str':
    case 'inroot':
      return JSON.stringify(value);
    case 'bytes':
      return bytesText(value as Uint8Array | string);
    default:
      return listText(value as readonly (string | number)[]);
  }
}

/** `fs_mount(@16, "overlay", [...], 0)`: like a system call; `@n` are descriptor slots, `-` is none. */
export function printOp(op: PlanOp): string {
  const definition = OPS[op.name] as OpDefinition;
  const values = op.args as Readonly<Record<string, unknown>>;
  return `${op.name}(${definition.args.map(([name, kind]) => argText(op.name, name, kind, values[name])).join(', ')})`;
}

/** What caused an operation: the user's flag; `default` where a field of config.json did that no flag stands behind; `always`. */
export function causeOf({ source, pointer }: PlanOp, flags: boolean): string {
  if (source === undefined) return 'always';
  return flags && source === pointer ? 'default' : source;
}

/** One line for each operation: index, section, call, then why it is there and what caused it. `flags`: causes are a user's flags, not
 *  fields of config.json. */
export function printPlan(plan: Plan, { flags = false }: { flags?: boolean } = {}): string {
  const width = String(Math.max(0, plan.ops.length - 1)).length;
  const lines = plan.ops.map((op, index) => {
    const tolerate = op.tolerate === undefined || op.tolerate.length === 0 ? ''
      : ` or ${op.tolerate[0] === ANY_ERRNO ? 'any errno' : `errno ${op.tolerate.join('|')}`}${op.skip ? `, then skip ${op.skip}` : ''}`;
    return `${String(index).padStart(width)} ${op.section.padEnd(7)} ${printOp(op)}${tolerate}  # ${op.why} (${causeOf(op, flags)})\n`;
  });
  return lines.join('');
}
