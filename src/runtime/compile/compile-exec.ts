import type { ExecRequest } from '#core/tasks/port.ts';
import { cgroupJoin } from '#runtime/cgroups/cgroup-plan.ts';
import { SLOT_TARGET_PIDFD } from '#runtime/plan/ops.ts';
import type { OpArgs, Plan, PlanOp } from '#runtime/plan/plan.ts';
import { NaruError } from '#spec/errors.ts';
import type { OciProcess, OciSpec } from '#spec/oci-runtime.ts';
import { CLONE_NEWCGROUP } from '#sys/numbers.ts';
import { HOOK_PID } from './compile-hooks.ts';
import type { CompileHost } from './compile-host.ts';
import { addChroot, addOpenHostTree, hasMountNamespace } from './compile-host-tree.ts';
import { NAMESPACE_FLAGS } from './compile-namespaces.ts';
import { labelsOf } from './compile-proc.ts';
import { addAttributes, addBound, addIdentity, addKeyring, addSeccompListener, addStreamOwner } from './compile-process.ts';
import {
  addCloneTarget, addConsoleSocket, addOomScore, addPreserved, addReopenNull, cgroupPathOf, DEFAULT_UMASK, INHERIT_STREAMS, type RuntimeOptions, STDIN_MODES, STDIO_MODES,
} from './compile-task.ts';
import { type PlanBuilder, planBuilder } from './plan-builder.ts';
import { affinityMask } from './process-attributes.ts';
import { JOIN_SLOTS, SLOT } from './slots.ts';
import { validateProcess } from './validate-spec.ts';

export interface ExecContext extends Pick<RuntimeOptions, 'leave' | 'inheritStreams' | 'preserve' | 'pidFile' | 'consoleSlot' | 'noNewKeyring'> {
  /** The container was made without rights on the machine. */
  readonly rootless?: boolean;
  /** Names the cgroup when the configuration does not. */
  readonly containerId: string;
  /** The container's state directory: needed when it has no mount namespace. */
  readonly stateDir?: string;
  /** The slot with the pidfd of the container's first process. Default: SLOT_TARGET_PIDFD, which the container's shim fills. */
  readonly targetSlot?: number;
  /** Groups below the container's that are joined in its place, by the name of their hierarchy. */
  readonly subCgroups?: ReadonlyMap<string, string>;
}

/** `open` for writing. */
const O_WRONLY = 1;
/** The kind of `await` of what is made ahead. */
const AWAIT_AHEAD = 3;

/**
 * An exec can be made before it is asked for when nobody can see that: without a pid namespace what waits would be in sight of the
 * container's processes.
 */
export function canBeMadeAhead({ linux, process }: OciSpec, { execCPUAffinity }: OciProcess): boolean {
  const types = new Set((linux?.namespaces ?? []).map((n) => n.type));
  return types.has('pid') && types.has('mount') && execCPUAffinity === undefined && process?.execCPUAffinity === undefined && !linux?.seccomp?.listenerPath;
}

/**
 * Another process inside a running container: the plan is executed by the container's shim (or, for the OCI command line, by
 * one of its own), and enters through the pidfd of the container's first process.
 *
 * `ahead` (see canBeMadeAhead): it waits for START where all is done that nobody can see: it is in the container's namespaces, but in
 * none of its groups and not in its pid namespace. What must be opened on the host was; what is left is to join, to be born, to become
 * who it is to be, and to execute.
 */
export function compileExec(request: ExecRequest, context: ExecContext, host: CompileHost, { ahead = false }: { ahead?: boolean } = {}): Plan {
  const { containerId } = context;
  const targetSlot = context.targetSlot ?? SLOT_TARGET_PIDFD;
  const inherited = context.inheritStreams === true;
  const { process, spec, io } = request;
  validateProcess(process);
  const plan = planBuilder(undefined);
  const types = new Set((spec.linux?.namespaces ?? []).map((n) => n.type));
  const flags = [...types].reduce((sum, type) => sum | NAMESPACE_FLAGS[type], 0);
  const ids = spec.linux?.uidMappings?.find((m) => m.containerID <= process.user.uid && process.user.uid < m.containerID + m.size);

  const cgroups = cgroupJoin(host.cgroups, cgroupPathOf(containerId, spec.linux?.cgroupsPath), context.subCgroups);

  // ── prepare ──────────────────────────────────────────────────────────────────────────────────────────────────────
  plan.add('prepare', 'stdio', { mode: inherited ? INHERIT_STREAMS : STDIO_MODES[io.mode], stdin: STDIN_MODES[io.stdin] }, { why: `standard streams: ${inherited ? 'the caller\'s' : io.mode}`, pointer: '/process/terminal' });
  if (request.exitFile !== undefined) plan.add('prepare', 'exit_file', { path: request.exitFile, sync: 0 }, { why: 'where the exit status is kept' });
  if (context.pidFile !== undefined) plan.add('prepare', 'pid_file', { path: context.pidFile }, { why: '--pid-file' });
  if (context.leave !== undefined) plan.add('prepare', 'leave', { when: context.leave === 'created' ? 1 : 2 }, { why: `the shim leaves once the process is ${context.leave}` });
  addSeccompListener(plan, spec.linux?.seccomp);
  const { initial, final } = process.execCPUAffinity ?? spec.process?.execCPUAffinity ?? {};
  // Inherited by the child, which so begins there.
  if (initial) plan.add('prepare', 'sched_setaffinity', { mask: affinityMask(initial, '/process/execCPUAffinity/initial') }, { why: `CPUs ${initial}, until it is in its cgroup`, pointer: '/process/execCPUAffinity/initial' });
  const target = addCloneTarget(plan, cgroups.cloneInto);
  const joins = ahead ? openJoins(plan, cgroups.ops) : cgroups.ops;
  plan.add('prepare', 'clone', { flags: 0, cgroup: ahead ? SLOT.none : target }, { why: 'the child', pointer: '/process' });

  // ── parent ───────────────────────────────────────────────────────────────────────────────────────────────────────
  addOomScore(plan, host, process.oomScoreAdj ?? spec.process?.oomScoreAdj);

  // ── child: first what is said through the host's /proc, then in ──────────────────────────────────────────────────
  if (!ahead) plan.splice(joins);
  if (final) plan.add('child', 'sched_setaffinity', { mask: affinityMask(final, '/process/execCPUAffinity/final') }, { why: `CPUs ${final}`, pointer: '/process/execCPUAffinity/final' });
  if (!inherited) addStreamOwner(plan, io, ids === undefined ? process.user : { ...process.user, uid: ids.hostID + process.user.uid - ids.containerID });
  for (const { path, label, pointer } of labelsOf(process, host)) plan.add('child', 'label', { path: `/proc/self/${path}`, label }, { why: 'label of the program', pointer });
  const ownMounts = hasMountNamespace(spec);
  if (!ownMounts) addOpenHostTree(plan, context.stateDir ?? '');
  const first = ahead ? flags & ~CLONE_NEWCGROUP : flags;
  if (first !== 0) plan.add('child', 'setns', { slot: targetSlot, nstype: first }, { why: `the container's namespaces: ${[...types].join(', ')}`, pointer: '/linux/namespaces' });
  const keyring = (): void => {
    if (context.noNewKeyring !== true) addKeyring(plan, `_ses.${containerId}`);
  };
  if (ahead) {
    if (!types.has('user')) keyring();
    addBound(plan, process);
    plan.add('child', 'await', { kind: AWAIT_AHEAD, path: '', slot: SLOT.none }, { why: 'made ahead; waits for start' });
    plan.splice(joins);
  }
  // One is born into a pid namespace. Last, so that whoever may trace processes in there only ever sees one that has left
  // the host's files behind (CVE-2016-9962).
  if (ahead) {
    plan.add('child', 'reclone_into', { flags: 0, cgroup: target }, { why: 'pid namespace: born in it', pointer: '/linux/namespaces' });
    // From inside of one the kernel lets nobody be cloned into a group where cgroup2 is mounted with nsdelegate.
    if (types.has('cgroup')) plan.add('child', 'setns', { slot: targetSlot, nstype: CLONE_NEWCGROUP }, { why: 'the container\'s cgroup namespace', pointer: '/linux/namespaces' });
  } else if (types.has('pid')) plan.add('child', 'reclone', { flags: 0 }, { why: 'pid namespace: born in it', pointer: '/linux/namespaces' });
  if (!ownMounts) addChroot(plan);
  plan.add('child', 'setsid', {}, { why: 'a session of its own' });
  if (types.has('user')) {
    plan.add('child', 'setresgid', { gid: 0 }, { why: 'root of the user namespace', pointer: '/linux/gidMappings' });
    plan.add('child', 'setresuid', { uid: 0 }, { why: 'root of the user namespace', pointer: '/linux/uidMappings' });
  }
  if (!ahead || types.has('user')) keyring();
  if (io.mode === 'pty') {
    plan.add('child', 'pty', { devpts: SLOT.none, slave: SLOT.slave, rows: io.rows ?? 0, cols: io.columns ?? 0, uid: process.user.uid, gid: -1 }, { why: 'a pseudo terminal of the container\'s', pointer: '/process/terminal' });
    if (context.consoleSlot !== undefined) addConsoleSocket(plan, context.consoleSlot);
    plan.add('child', 'tty', { slave: SLOT.slave, ctty: 1 }, { why: 'the terminal is stdin, stdout and stderr', pointer: '/process/terminal' });
  }
  plan.add('child', 'chdir', { path: process.cwd, create: 0 }, { why: 'working directory', pointer: '/process/cwd' });
  plan.add('child', 'umask', { mask: process.user.umask ?? DEFAULT_UMASK }, { why: 'umask', pointer: '/process/user/umask' });
  const step = { process, spec, host, init: false as const, bounded: ahead, groupsDenied: context.rootless === true, state: { id: containerId, bundle: '', status: 'running' as const, pid: HOOK_PID } };
  addAttributes(plan, step);
  addReopenNull(plan, inherited);
  addPreserved(plan, context.preserve);
  addIdentity(plan, step);
  return { ops: plan.build() };
}

/** Opens what each of `joins` writes to; returns the same joins by descriptor, each of which is closed with its use: a process that the
 *  container can see never holds one. */
function openJoins(plan: PlanBuilder, joins: readonly PlanOp[]): PlanOp[] {
  return joins.map((join, i) => {
    const slot = JOIN_SLOTS.first + i;
    if (slot > JOIN_SLOTS.last) throw new NaruError('internal', `more cgroup hierarchies than an exec has slots for: ${joins.length}`);
    const { path } = join.args as OpArgs<'write_pid'>;
    plan.add('prepare', 'open', { slot, at: SLOT.none, path, flags: O_WRONLY, mode: 0, resolve: 0 }, { why: join.why, pointer: '/linux/cgroupsPath' });
    return { name: 'write_slot', section: 'child', args: { slot, data: '0' }, why: join.why, source: '/linux/cgroupsPath' } as PlanOp<'write_slot'> as unknown as PlanOp;
  });
}
