import type { OciSpec } from '#spec/oci-runtime.ts';
import { type ErrorKind, NaruError } from '#spec/errors.ts';
import type { OpName } from '#runtime/plan/ops.ts';
import type { Plan, PlanOp } from '#runtime/plan/plan.ts';
import { ERRNO, errnoName, errnoText } from '#sys/errno.ts';

/** Exit statuses of Docker's command line for a program that did not start. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const FAILED = 125;

const MOUNT_TYPE_HINT = 'Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';

const KEYS_HINT = 'the kernel gives this user no more keys (/proc/key-users): stop what holds them, or raise kernel.keys.maxkeys (root: root_maxkeys) and maxbytes';

const REALTIME_HINT = 'a group can have no more real time than the one above it: see `naru daemon --cpu-rt-runtime`';

export interface StartFailure {
  readonly op: number;
  readonly errno: number;
  /** hook: its wait status; netlink: the index of the message. */
  readonly extra: number;
}

interface Explained {
  readonly text: string;
  readonly kind: ErrorKind;
  readonly exitCode: number;
  /** What only Docker says behind it. */
  readonly dockerTail?: string;
  readonly tail?: string;
  /** Another field than the operation's. */
  readonly pointer?: string;
}

/**
 * What failed, in the words that Docker's users (and programs that match on them) know; the hint names the operation and
 * the flag that caused it. `verb` exec: inside a running container.
 */
export function startError(plan: Plan, failure: StartFailure, context: { spec: OciSpec; verb: StartVerb }): NaruError {
  const op = plan.ops[failure.op];
  const starved = killedForMemory(failure, context.spec);
  const explained = starved ? STARVED : op === undefined
    ? { text: `the shim failed before the first operation: ${errnoText(failure.errno)}`, kind: 'internal' as const, exitCode: FAILED }
    : explain(op, failure, context);
  const { before, after } = FRAMES[context.verb];
  const said = explained.tail ?? (after === '' ? undefined : explained.dockerTail);
  const tail = said === undefined ? '' : `: ${said}`;
  // A bundle's author looks for the field, an engine's user for the flag (in the hint).
  const field = explained.pointer ?? op?.pointer ?? op?.source ?? '';
  const pointer = context.verb.startsWith('runtime') && field.startsWith('/') ? `${field}: ` : '';
  return new NaruError(explained.kind, `${before}${pointer}unable to start container process: ${explained.text}${after}${tail}`, {
    errno: failure.errno, exitCode: explained.exitCode, ...(op !== undefined && { hint: hintOf(op, failure) }),
  });
}

const STARVED: Explained = { text: 'container init was OOM-killed (memory limit too low?)', kind: 'invalid', exitCode: FAILED, pointer: '/linux/resources/memory/limit' };

/** The kernel takes any limit, and then kills what needs more to begin with. */
const killedForMemory = ({ errno, extra }: StartFailure, spec: OciSpec): boolean =>
  errno === ERRNO['ECHILD'] && (extra & 0x7f) === 9 && (spec.linux?.resources?.memory?.limit ?? 0) > 0;

/** What is being started, and by whom: an engine, or the command line of an OCI runtime. */
export type StartVerb = 'create' | 'exec' | 'runtime create' | 'runtime exec';

/** As Docker, containerd and runc put their names around it. */
const FRAMES: Readonly<Record<StartVerb, { readonly before: string; readonly after: string }>> = {
  create: { before: 'failed to create task for container: failed to create shim task: OCI runtime create failed: ', after: ': unknown' },
  exec: { before: 'OCI runtime exec failed: exec failed: ', after: ': unknown' },
  'runtime create': { before: '', after: '' },
  'runtime exec': { before: '', after: '' },
};

const hintOf = (op: PlanOp, { op: index, errno }: StartFailure): string =>
  `operation ${index} of the plan (${op.section}: ${op.name}, "${op.why}")${op.source === undefined ? '' : `, from ${op.source}`} failed with ${errnoName(errno)}`;

/** The call behind an operation, with the kernel that brought it: said when it is not there. */
const NEEDED: Readonly<Partial<Record<OpName, string>>> = {
  clone: 'clone3 (Linux 5.3)', mount_setattr: 'mount_setattr (Linux 5.12)', userns: 'mount_setattr (Linux 5.12)', fs_mount: 'fsopen (Linux 5.2)', open_tree: 'open_tree (Linux 5.2)',
  ...Object.fromEntries(['open', 'write_at', 'attach', 'target', 'mask', 'readonly', 'mknod', 'symlink', 'copy_up', 'copy_mode', 'pty'].map((name) => [name, 'openat2 (Linux 5.6)'])),
};

/** One entry for each operation whose failure has words of its own. */
function explain(op: PlanOp, failure: StartFailure, { spec, verb }: { spec: OciSpec; verb: StartVerb }): Explained {
  const { errno } = failure;
  const needed = errno === ERRNO.ENOSYS ? NEEDED[op.name] : undefined;
  if (needed !== undefined) return { text: `${op.why}: the kernel, or a filter of system calls around naru, has no ${needed}`, kind: 'unsupported', exitCode: FAILED };
  const reason = errnoText(errno);
  switch (op.name) {
    case 'exec':
    case 'find':
      return explainExec(op.name === 'exec' ? (op as PlanOp<'exec'>).args : { ...(op as PlanOp<'find'>).args, argv: spec.process?.args ?? [] }, errno);
    case 'chdir': {
      const { path } = (op as PlanOp<'chdir'>).args;
      return errno === ERRNO.ENOTDIR && (op as PlanOp<'chdir'>).args.create
        ? { text: `error during container init: mkdir ${path}: not a directory`, kind: 'invalid', exitCode: NOT_FOUND }
        : { text: `${verb.endsWith('create') ? 'error during container init: ' : ''}chdir to cwd (${JSON.stringify(path)}) set in config.json failed: ${reason}`, kind: 'invalid', exitCode: errno === ERRNO.EACCES ? NOT_EXECUTABLE : NOT_FOUND };
    }
    case 'clone':
      // https://docs.kernel.org/admin-guide/cgroup-v2.html#delegation-containment
      if (errno !== ERRNO.EACCES) break;
      return { text: 'its cgroup cannot be entered from the caller\'s own: no group above both is the caller\'s (call it from a group that is his: systemd-run --user --scope)', kind: 'invalid', exitCode: FAILED, pointer: '/linux/cgroupsPath' };
    case 'rlimit':
      return { text: `error setting rlimits for ready process: error setting rlimit type ${(op as PlanOp<'rlimit'>).args.resource}: ${reason}`, kind: 'internal', exitCode: FAILED };
    case 'keyring':
      return { text: `error during container init: unable to join session keyring: unable to create session key: ${reason}`, kind: 'internal', exitCode: FAILED, ...(errno === ERRNO['EDQUOT'] && { tail: KEYS_HINT }) };
    case 'hook':
      return { text: `error running ${op.why}: ${hookResult(failure)}`, kind: 'internal', exitCode: FAILED };
    case 'netlink':
      return { text: `error setting up the network: ${op.why}: ${reason}`, kind: 'internal', exitCode: FAILED };
    case 'write_at':
      return { text: `error during container init: open /proc/${(op as PlanOp<'write_at'>).args.path}: ${reason}`, kind: errno === ERRNO.ENOENT || errno === ERRNO.EINVAL ? 'invalid' : 'internal', exitCode: FAILED };
    case 'write': {
      const { path } = (op as PlanOp<'write'>).args;
      return { text: `${op.why}: write ${path}: ${reason}`, kind: errno === ERRNO.EINVAL || errno === ERRNO.EBUSY ? 'invalid' : 'internal', exitCode: FAILED, ...(/\/cpu\.rt_\w+$/.test(path) && { tail: REALTIME_HINT }) };
    }
  }
  return explainMount(op, errno, spec) ?? { text: `error during container init: ${op.why}: ${op.name}: ${reason}`, kind: 'internal', exitCode: FAILED };
}

function explainMount(failed: PlanOp, errno: number, { mounts }: OciSpec): Explained | undefined {
  const index = /^\/mounts\/(\d+)/.exec(failed.pointer ?? '')?.[1];
  const mount = index === undefined ? undefined : mounts?.[Number(index)];
  if (mount === undefined) return undefined;
  const wrongType = errno === ERRNO.ENOTDIR || errno === ERRNO.EISDIR;
  // A missing source is the user's; everything else about a mount may be either's.
  return {
    text: `error during container init: error mounting ${JSON.stringify(mount.source ?? mount.type ?? '')} to rootfs at ${JSON.stringify(mount.destination)}: ${failed.name}: ${wrongType ? 'not a directory' : errnoText(errno)}`,
    kind: 'invalid', exitCode: wrongType || errno === ERRNO.ENOENT ? NOT_FOUND : FAILED, ...(wrongType && { tail: MOUNT_TYPE_HINT }),
  };
}

function explainExec({ argv, candidates }: { readonly argv: readonly string[]; readonly candidates: readonly string[] }, errno: number): Explained {
  const name = argv[0] ?? '';
  const quoted = JSON.stringify(name);
  if (errno === ERRNO.ENOENT || errno === ERRNO.ENOTDIR || candidates.length === 0 || (errno === ERRNO.EISDIR && !name.includes('/'))) {
    const text = name.includes('/') ? `exec: ${quoted}: stat ${name}: no such file or directory` : `exec: ${quoted}: executable file not found in $PATH`;
    return { text, kind: 'invalid', exitCode: NOT_FOUND };
  }
  if (errno === ERRNO.EISDIR) return { text: `exec: ${quoted}: is a directory`, kind: 'invalid', exitCode: NOT_EXECUTABLE, dockerTail: 'permission denied' };
  if (errno === ERRNO.EACCES || errno === ERRNO.EPERM) return { text: `exec: ${quoted}: permission denied`, kind: 'invalid', exitCode: NOT_EXECUTABLE };
  return { text: `exec ${name}: ${errnoText(errno)}`, kind: 'invalid', exitCode: NOT_EXECUTABLE };
}

/** extra of a hook: its wait status. */
const hookResult = ({ errno, extra }: StartFailure): string =>
  errno === ERRNO.ETIME || errno === ERRNO.ETIMEDOUT ? 'timed out'
    : extra === 0 ? errnoText(errno)
      : (extra & 0x7f) === 0 ? `exit status ${extra >> 8}` : `killed by signal ${extra & 0x7f}`;
