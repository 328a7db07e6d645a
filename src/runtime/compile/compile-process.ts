import type { OciProcess, OciSeccomp, OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { capabilityMask, isCapability } from '#runtime/capabilities/capabilities.ts';
import { compileSeccomp } from '#runtime/seccomp/compile-seccomp.ts';
import type { OpArgs } from '#runtime/plan/plan.ts';
import { HOOK_PID, hookState, type HookState } from './compile-hooks.ts';
import type { CompileHost } from './compile-host.ts';
import { execCandidates } from './exec-candidates.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { ioPriority, memoryPolicy, personalityNumber, RLIMITS, schedulerAttributes } from './process-attributes.ts';
import { SLOT } from './slots.ts';

const PR_SET_KEEPCAPS = 8;
const PR_SET_NO_NEW_PRIVS = 38;
const ENOSYS = 38;

export interface ProcessStep {
  readonly process: OciProcess;
  readonly spec: OciSpec;
  readonly host: CompileHost;
  /** A reaper of ours as PID 1. */
  readonly init: false | readonly string[];
  /** The capabilities that no program can regain have gone already (addBound). */
  readonly bounded?: boolean;
  /** setgroups(2) is denied in the user namespace. */
  readonly groupsDenied?: boolean;
  /** For a seccomp agent. */
  readonly state: HookState;
}

/** Everything a process is given that does not depend on who it is; while it still has every right. */
export function addAttributes(plan: PlanBuilder, { process, spec, host }: ProcessStep): void {
  // Limits late: a small RLIMIT_NOFILE or RLIMIT_FSIZE would break the set-up itself. Before the user changes: only root
  // may go up to the hard limit of others.
  process.rlimits?.forEach(({ type, soft, hard }, index) => {
    const most = host.hardLimits?.get(RLIMITS[type]!) ?? Infinity;
    const asked = unlimited(hard);
    const limit = Math.min(asked, most);
    plan.add('child', 'rlimit', { resource: RLIMITS[type]!, soft: limitValue(Math.min(unlimited(soft), limit)), hard: limitValue(limit) },
      { why: limit < asked ? `${type}, cut to what naru itself has` : type, pointer: `/process/rlimits/${index}` });
  });
  if (process.scheduler !== undefined) plan.add('child', 'sched_setattr', { attr: schedulerAttributes(process.scheduler) }, { why: `scheduler ${process.scheduler.policy}`, pointer: '/process/scheduler' });
  if (process.ioPriority !== undefined) plan.add('child', 'ioprio_set', { ioprio: ioPriority(process.ioPriority) }, { why: `I/O priority ${process.ioPriority.class}`, pointer: '/process/ioPriority' });
  if (spec.linux?.memoryPolicy !== undefined) plan.add('child', 'mempolicy', memoryPolicy(spec.linux.memoryPolicy), { why: `memory policy ${spec.linux.memoryPolicy.mode}`, pointer: '/linux/memoryPolicy' });
  if (spec.linux?.personality !== undefined) plan.add('child', 'personality', { persona: personalityNumber(spec.linux.personality) }, { why: `personality ${spec.linux.personality.domain}`, pointer: '/linux/personality' });
}

/** A session keyring of its own, so that the container cannot read the keys of whoever started it. */
export function addKeyring(plan: PlanBuilder, name: string): void {
  plan.add('child', 'keyring', { name }, { why: 'a session keyring of its own', tolerate: [ENOSYS] });
}

/** The capabilities that neither the process nor a program of its can regain. Takes nothing from what goes on with the plan. */
export function addBound(plan: PlanBuilder, { capabilities }: OciProcess): void {
  if (capabilities === undefined) return;
  plan.add('child', 'cap_bound', { keep: named(capabilities.bounding) }, { why: 'capabilities that no program can regain', pointer: '/process/capabilities/bounding' });
}

/** Names that this kernel does not know are no reason to fail (runtime-spec, "Linux Process"): spec-warnings.ts tells of them. */
const named = (names: string[] | undefined): bigint => capabilityMask((names ?? []).filter(isCapability));

/** The last steps, each of which takes rights away; ends with exec. */
export function addIdentity(plan: PlanBuilder, step: ProcessStep): void {
  const { process, spec, host } = step;
  const { uid, gid } = process.user;
  const strict = process.noNewPrivileges === true;
  // Nothing that naru or its caller holds open reaches the program (CVE-2024-21626). Before the filter, which need not allow it.
  plan.add('child', 'cloexec_from', { first: 3 }, { why: 'no descriptor but 0, 1 and 2' });
  if (strict) plan.add('child', 'prctl', { option: PR_SET_NO_NEW_PRIVS, a2: 1, a3: 0, a4: 0, a5: 0 }, { why: 'no new privileges', pointer: '/process/noNewPrivileges' });
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it comes before that goes; with it, last of all.
  if (!strict) addSeccomp(plan, step);
  const caps = process.capabilities;
  // Asking for what naru itself has not would fail; in a user namespace of its own the child has everything.
  const available = spec.linux?.namespaces?.some((n) => n.type === 'user') === true ? ~0n : host.capabilities;
  const mask = (names: string[] | undefined): bigint => named(names) & available;
  if (step.bounded !== true) addBound(plan, process);
  if (caps !== undefined) {
    if (uid !== 0) plan.add('child', 'prctl', { option: PR_SET_KEEPCAPS, a2: 1, a3: 0, a4: 0, a5: 0 }, { why: 'keep capabilities over the change of user', pointer: '/process/user' });
  }
  // One who mapped only himself may not change groups: he keeps those that he has.
  if (step.groupsDenied === true && (process.user.additionalGids?.length ?? 0) > 0) throw new NaruError('unsupported', '/process/user/additionalGids: cannot be set without rights on the machine');
  if (step.groupsDenied !== true) plan.add('child', 'setgroups', { gids: process.user.additionalGids ?? [] }, { why: 'supplementary groups', pointer: '/process/user/additionalGids' });
  plan.add('child', 'setresgid', { gid }, { why: `group ${gid}`, pointer: '/process/user/gid' });
  plan.add('child', 'setresuid', { uid }, { why: `user ${uid}`, pointer: '/process/user/uid' });
  if (caps !== undefined) {
    if (uid !== 0) plan.add('child', 'prctl', { option: PR_SET_KEEPCAPS, a2: 0, a3: 0, a4: 0, a5: 0 }, { why: 'as it was', pointer: '/process/user' });
    plan.add('child', 'capset', {
      effective: mask(caps.effective), permitted: mask(caps.permitted), inheritable: mask(caps.inheritable),
    }, { why: 'capabilities', pointer: '/process/capabilities' });
    // One that is not inheritable cannot be ambient; configurations that other runtimes take ask for such.
    plan.add('child', 'cap_ambient', { mask: mask(caps.ambient) & mask(caps.permitted) & mask(caps.inheritable) }, { why: 'ambient capabilities', pointer: '/process/capabilities/ambient' });
  }
  // The reaper is the user's process too: same rights, and only then the fork.
  if (step.init !== false) plan.add('child', 'init', { argv: [...step.init] }, { why: 'a reaper as PID 1', pointer: '/process/args/init' });
  if (strict) addSeccomp(plan, step);
  plan.add('child', 'exec', programOf(process), { why: 'the program', pointer: '/process/args' });
}

/** Of the operation `exec`, which ends every plan's child section. */
export const programOf = ({ args = [], env = [] }: OciProcess): OpArgs<'exec'> => ({ candidates: execCandidates(args[0] ?? '', env), argv: args, env });

const EMPTY = new Uint8Array(0);

/** Before clone, by the shim: the socket on which a seccomp agent waits for the filter's descriptor. */
export function addSeccompListener(plan: PlanBuilder, filter: OciSeccomp | undefined): void {
  if (filter === undefined || !compileSeccomp(filter).listener) return;
  if (!filter.listenerPath) throw new NaruError('invalid', '/linux/seccomp/listenerPath: missing, although a rule has the action SCMP_ACT_NOTIFY');
  plan.add('prepare', 'connect', { slot: SLOT.listener, path: filter.listenerPath }, { why: 'the seccomp agent', pointer: '/linux/seccomp/listenerPath' });
}

/** What the agent is told: runtime-spec, config-linux.md "The Container Process State". */
const processState = (spec: OciSpec, state: HookState): string =>
  `{"ociVersion":${JSON.stringify(spec.ociVersion)},"fds":["seccompFd"],"pid":${HOOK_PID},"metadata":${JSON.stringify(spec.linux?.seccomp?.listenerMetadata ?? '')},"state":${hookState(spec, state)}}`;

function addSeccomp(plan: PlanBuilder, { spec, host, state }: ProcessStep): void {
  const filter = spec.linux?.seccomp;
  if (filter === undefined) return;
  if (!host.seccomp) throw new NaruError('unsupported', '/linux/seccomp: the kernel has no seccomp filters', { hint: 'run with --security-opt seccomp=unconfined' });
  const { program, flags, listener } = compileSeccomp(filter); // keeps what it compiled
  plan.add('child', 'seccomp', { flags, program, listener: listener ? SLOT.listener : SLOT.none, state: listener ? processState(spec, state) : EMPTY },
    { why: `system call filter, ${program.byteLength / 8} instructions`, pointer: '/linux/seccomp' });
}

/** Standard streams that are pipes of ours become the user's (a pipe belongs to whoever made it: `> /dev/stderr` would be
 *  forbidden to another user). Before a user namespace or a procfs of the container is entered. */
export function addStreamOwner(plan: PlanBuilder, io: { mode: string; stdin: string }, user: OciProcess['user']): void {
  if (io.mode !== 'pipes' || user.uid === 0) return;
  for (const fd of io.stdin === 'none' ? [1, 2] : [0, 1, 2]) {
    plan.add('child', 'chown', { path: `/proc/self/fd/${fd}`, uid: user.uid, gid: -1 }, { why: 'the user may reopen the stream', pointer: '/process/user/uid', tolerate: [1, 22] });
  }
}

const RLIM_INFINITY = 0xffffffffffffffffn;
/** JSON numbers cannot say 2^64 - 1: what is beyond exact integers, or negative, means unlimited. */
const unlimited = (value: number): number => (value < 0 || value > Number.MAX_SAFE_INTEGER ? Infinity : value);
const limitValue = (value: number): number | bigint => (value === Infinity ? RLIM_INFINITY : value);
