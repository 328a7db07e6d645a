import type { TaskRequest } from '#core/tasks/port.ts';
import { cgroupPlan } from '#runtime/cgroups/cgroup-plan.ts';
import { shimSocketName } from '#runtime/plan/language.ts';
import type { Plan } from '#runtime/plan/plan.ts';
import type { OciProcess } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { O_DIRECTORY, O_PATH } from '#sys/numbers.ts';
import { addConsole, addDevices } from './compile-devices.ts';
import { addHooks, HOOK_PID, type HookPoint, type HookState } from './compile-hooks.ts';
import type { CompileHost } from './compile-host.ts';
import { addChroot, addHostTree, hasMountNamespace } from './compile-host-tree.ts';
import { addLockedMounts, addMounts, addPreparedMounts, readMounts } from './compile-mounts.ts';
import { addCgroupNamespace, addEnterNamespaces, addNamespaces, addOwnUserNamespace } from './compile-namespaces.ts';
import { addContainerNetwork, addHostNetwork } from './compile-network.ts';
import { addProcWrites, addProtectedPaths } from './compile-proc.ts';
import { addAttributes, addIdentity, addKeyring, addSeccompListener, addStreamOwner } from './compile-process.ts';
import { addPivot, addReadonlyRoot, addRootAttach, addRootfs } from './compile-rootfs.ts';
import { execCandidates } from './exec-candidates.ts';
import { type PlanBuilder, planBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';
import { validateSpec } from './validate-spec.ts';

export interface NetworkPlaces { parent: readonly [number, number]; child: readonly [number, number] }

/** What the driver, or the command line of an OCI runtime, adds to a request. */
export interface RuntimeOptions {
  /** The groups above the task's cgroup exist. */
  readonly cgroupParentsReady?: boolean;
  /** The task's own group may be there already (the caller made it). */
  readonly cgroupMayExist?: boolean;
  /** No daemon will look for the task: nothing listens, no exit is recorded, no memory is watched. */
  readonly standalone?: boolean;
  readonly bundle?: string;
  /** OCI create: say CREATED, then wait for START before the program. A number: the slot of the listening socket where
   *  `start` will come, when the shim does not stay. */
  readonly await?: boolean | number;
  /** The shim ends at this point and leaves the task to whoever reaps orphans. */
  readonly leave?: 'created' | 'started';
  /** The program's streams are the descriptors in slots 0, 1 and 2 (a foreground `runtime run`). */
  readonly inheritStreams?: boolean;
  /** Descriptors that become the program's 3.. (--preserve-fds): the first slot, and their number. */
  readonly preserve?: { readonly slot: number; readonly count: number };
  readonly noPivot?: boolean;
  /** Without rights on the machine: the new user namespace is the shim's already, and these ids of the caller's are its only ones. */
  readonly rootless?: { readonly uid: number; readonly gid: number };
  readonly noNewKeyring?: boolean;
  readonly pidFile?: string;
  /** Filled in: where the operations of `request.network` stand in their sections, from and to. */
  readonly networkAt?: NetworkPlaces;
  /** An existing file into which the child's pid is written before it does anything. */
  readonly childFile?: string;
  /** Send the pty's master over the connected unix socket in this slot instead of keeping it. */
  readonly consoleSlot?: number;
}

export const STDIO_MODES = { null: 0, pipes: 1, pty: 2 } as const;
export const INHERIT_STREAMS = 3;
/** Slots 3..13 are the request's: two at most for sockets, the rest for --preserve-fds. */
export const MAX_PRESERVED = 9;
export const STDIN_MODES = { none: 0, open: 1, once: 2 } as const;
export const DEFAULT_UMASK = 0o022;
/** The shim is the last to be killed for memory: with it an exit status would be lost. */
const SHIM_OOM_SCORE = -998;

/** A bundle need not have a process before it is started (runtime-spec, "Process"): then there is nothing to execute. */
const NO_PROCESS: OciProcess = { user: { uid: 0, gid: 0 }, cwd: '/' };

/** The cgroup of a task. */
export const cgroupPathOf = (id: string, cgroupsPath: string | undefined): string =>
  cgroupsPath === undefined || cgroupsPath === '' ? `/naru/${id}` : cgroupsPath;

/**
 * config.json in, plan out. A function of its arguments: it asks the kernel nothing. Throws NaruError `invalid` that names
 * the JSON pointer of the offending field.
 *
 * Within each section, the order of the calls below is the order of execution; each says why it stands where it does.
 */
export function compileTask(request: TaskRequest, host: CompileHost, options: RuntimeOptions = {}): Plan {
  const { spec, io } = request;
  validateSpec(spec);
  const awaits = options.await !== undefined && options.await !== false;
  // What has no mount namespace leaves mounts behind that only the command line's `delete` knows of.
  if (!hasMountNamespace(spec) && options.standalone !== true) throw new NaruError('unsupported', '/linux/namespaces: a mount namespace is needed');
  if (spec.process === undefined && !awaits) throw new NaruError('invalid', '/process: missing');
  const linux = { ...spec.linux, ...(options.rootless !== undefined && { namespaces: spec.linux?.namespaces?.filter((n) => n.type !== 'user') ?? [] }) };
  const process = spec.process ?? NO_PROCESS;
  const plan = planBuilder(request.sources);
  const cgroupPath = cgroupPathOf(request.id, linux.cgroupsPath);
  const mounts = readMounts(spec);
  const stateOf = (status: HookState['status']): HookState =>
    ({ id: request.id, bundle: options.bundle ?? request.stateDir, status, pid: status === 'stopped' ? undefined : HOOK_PID });
  const hooks = (point: HookPoint, section: 'parent' | 'child' | 'cleanup', status: HookState['status']): void =>
    addHooks(plan, spec, { point, section, state: stateOf(status) });

  // ── prepare: the shim, in the host's namespaces ──────────────────────────────────────────────────────────────────
  // What the shim is, first: what fails later can then be told and recorded.
  plan.add('prepare', 'shim', { comm: 'naru-shim', oomScoreAdj: Math.max(SHIM_OOM_SCORE, host.minOomScoreAdj) }, { why: 'the shim outlives what it watches' });
  plan.add('prepare', 'umask', { mask: 0 }, { why: 'modes mean what they say' });
  plan.add('prepare', 'stdio', { mode: options.inheritStreams === true ? INHERIT_STREAMS : STDIO_MODES[io.mode], stdin: STDIN_MODES[io.stdin] }, { why: `standard streams: ${options.inheritStreams === true ? 'the caller\'s' : io.mode}`, pointer: '/process/terminal' });
  if (request.log !== undefined) plan.add('prepare', 'log', { path: request.log.path, maxSize: request.log.maxSize, maxFiles: request.log.maxFiles }, { why: 'the log', pointer: '/engine/log' });
  if (options.standalone !== true) {
    plan.add('prepare', 'exit_file', { path: request.exitFile, sync: request.durable ? 1 : 0 }, { why: 'where the exit status is kept', pointer: '/engine/exit' });
    plan.add('prepare', 'listen', { path: `${request.stateDir}/${shimSocketName()}` }, { why: 'a new daemon finds the shim here' });
  }
  if (options.leave !== undefined) plan.add('prepare', 'leave', { when: options.leave === 'created' ? 1 : 2 }, { why: `the shim leaves once the task is ${options.leave}` });
  if (options.pidFile !== undefined) plan.add('prepare', 'pid_file', { path: options.pidFile }, { why: '--pid-file' });
  // The cgroup and its limits before the child, which must not run a moment outside of them.
  const cgroups = cgroupPlan(host.cgroups, { path: cgroupPath, resources: linux.resources ?? {}, parentsReady: options.cgroupParentsReady === true, mayExist: options.cgroupMayExist === true, rootless: options.rootless !== undefined || host.inUserNamespace === true });
  plan.splice(cgroups.prepare);
  if (cgroups.oom !== undefined && options.standalone !== true) plan.add('prepare', 'oom_watch', { oomFile: cgroups.oom.file, eventControl: cgroups.oom.eventControl }, { why: 'to tell a kill for memory from others', pointer: '/linux/resources/memory' });
  // Detached mounts that only the host's root can make; the child inherits their descriptors.
  if (options.rootless !== undefined) addOwnUserNamespace(plan, linux, options.rootless);
  addLockedMounts(plan, spec);
  addRootfs(plan, request, host);
  addPreparedMounts(plan, mounts, { spec, stateDir: request.stateDir });
  addSeccompListener(plan, linux.seccomp);
  // Joined namespaces last before clone, so that nothing of the above happens inside them; then clone.
  addNamespaces(plan, linux, addCloneTarget(plan, cgroups.cloneInto));

  // ── parent: what only the host's root may do for the child, which waits for it, at the latest for its network ───────
  // (addNamespaces began it: back to our own namespaces, then the id mappings, without which the child is nobody.)
  if (options.childFile !== undefined) plan.add('parent', 'write_pid', { path: options.childFile }, { why: 'whatever happens now, the child can be found' });
  plan.splice(cgroups.parent);
  addOomScore(plan, host, process.oomScoreAdj);
  const parentFrom = plan.count('parent');
  addHostNetwork(plan, request.network);
  if (options.networkAt !== undefined) options.networkAt.parent = [parentFrom, plan.count('parent')];
  // Runtime-spec: after the namespaces exist, before the pivot, in ours.
  hooks('prestart', 'parent', 'created');
  hooks('createRuntime', 'parent', 'created');

  // The child needs to wait for none of it but its network: unless it is nobody before, a hook is to see it as it was made, or its
  // mounts would outlive it.
  const namespaces = linux.namespaces ?? [];
  const atOnce = options.rootless === undefined && namespaces.some((n) => n.type === 'mount' && !n.path) && !namespaces.some((n) => n.type === 'user')
    && (spec.hooks?.prestart ?? []).length === 0 && (spec.hooks?.createRuntime ?? []).length === 0;

  // ── child ────────────────────────────────────────────────────────────────────────────────────────────────────────
  // While it is still root of the host, sees the host's paths and is in the host's cgroup namespace.
  plan.splice(cgroups.child);
  plan.add('child', 'setsid', {}, { why: 'a session of its own: no terminal but the container\'s' });
  // While /proc is still the host's and ids are still the host's.
  if (options.inheritStreams !== true) addStreamOwner(plan, io, { ...process.user, uid: hostId(process.user.uid, linux.uidMappings) });
  addEnterNamespaces(plan, linux);
  // The cgroup namespace's root is the cgroup one is in: joined above, mounted below.
  addCgroupNamespace(plan, linux);
  if (spec.hostname !== undefined && spec.hostname !== '') plan.add('child', 'sethostname', { name: spec.hostname }, { why: `hostname ${spec.hostname}`, pointer: '/hostname' });
  if (spec.domainname !== undefined && spec.domainname !== '') plan.add('child', 'setdomainname', { name: spec.domainname }, { why: `domainname ${spec.domainname}`, pointer: '/domainname' });
  if (options.noNewKeyring !== true) addKeyring(plan, `_ses.${request.id}`);
  // From here on mounts: the rootfs over "/", and everything else below it.
  if (hasMountNamespace(spec)) addRootAttach(plan, linux.rootfsPropagation);
  else addHostTree(plan, request.stateDir);
  addMounts(plan, mounts, { host, spec, cgroupPath });
  addDevices(plan, spec, host);
  if (io.mode === 'pty') {
    addConsole(plan, spec, { rows: io.rows ?? 0, columns: io.columns ?? 0 });
    if (options.consoleSlot !== undefined) addConsoleSocket(plan, options.consoleSlot);
    plan.add('child', 'tty', { slave: SLOT.slave, ctty: 1 }, { why: 'the terminal is stdin, stdout and stderr', pointer: '/process/terminal' });
  }
  // As late as possible: making the interfaces takes the kernel as long as all these mounts. While the host's paths are there;
  // interfaces before their sysctls.
  if (atOnce) plan.add('child', 'wait_parent', {}, { why: 'the network is there' });
  const childFrom = plan.count('child');
  addContainerNetwork(plan, request.network);
  if (options.networkAt !== undefined) options.networkAt.child = [childFrom, plan.count('child')];
  addProcWrites(plan, spec, host);
  // After all mounts, so that none can uncover what is hidden.
  addProtectedPaths(plan, spec);
  // Runtime-spec: in the container's namespaces, before the pivot.
  hooks('createContainer', 'child', 'created');
  if (!hasMountNamespace(spec)) addChroot(plan);
  else addPivot(plan, { rootfsPropagation: linux.rootfsPropagation, noPivot: options.noPivot === true });
  // As root and while the rootfs can be written: Docker makes a missing working directory.
  plan.add('child', 'chdir', { path: process.cwd, create: 1 }, { why: 'working directory', pointer: '/process/cwd' });
  if (spec.root?.readonly === true) addReadonlyRoot(plan);
  plan.add('child', 'umask', { mask: process.user.umask ?? DEFAULT_UMASK }, { why: 'umask', pointer: '/process/user/umask' });
  const step = { process, spec, host, init: request.init, state: stateOf('creating'), groupsDenied: options.rootless !== undefined };
  addAttributes(plan, step);
  // Engines want to hear at create what start could not run.
  if (awaits) {
    if (spec.process !== undefined) plan.add('child', 'find', { candidates: execCandidates(process.args?.[0] ?? '', process.env ?? []) }, { why: 'the program is there', pointer: '/process/args' });
    const slot = options.await === true ? SLOT.none : options.await as number;
    plan.add('child', 'await', { kind: slot < 0 ? 0 : 2, path: '', slot }, { why: 'created; waits for start' });
    if (slot >= 0) plan.add('child', 'close', { slot }, { why: 'nobody else can start it' });
  }
  // Runtime-spec: in the container, after start, before the program.
  hooks('startContainer', 'child', 'created');
  addReopenNull(plan, options.inheritStreams === true);
  addPreserved(plan, options.preserve);
  // Only now the rights go, and with the last of them the program comes.
  addIdentity(plan, step);

  // ── cleanup: after the child was reaped, or a step above failed ──────────────────────────────────────────────────
  plan.splice(cgroups.cleanup);
  hooks('poststop', 'cleanup', 'stopped');
  return { ops: plan.build() };
}

/** --preserve-fds. Throws `invalid` for more than MAX_PRESERVED. */
export function addPreserved(plan: PlanBuilder, preserve: { readonly slot: number; readonly count: number } | undefined): void {
  if (preserve === undefined) return;
  if (preserve.count > MAX_PRESERVED) throw new NaruError('invalid', `--preserve-fds: at most ${MAX_PRESERVED}`);
  for (let i = 0; i < preserve.count; i++) plan.add('child', 'inherit', { slot: preserve.slot + i, fd: 3 + i }, { why: `descriptor ${3 + i}`, pointer: '--preserve-fds' });
}

/** Streams of the caller's that are /dev/null must not keep the host's mounts in the container (criu could not dump it, either). */
export function addReopenNull(plan: PlanBuilder, inherited: boolean): void {
  if (inherited) plan.add('child', 'reopen_null', {}, { why: 'streams that are /dev/null are the container\'s', pointer: '/process/terminal' });
}

/** --console-socket: the pty's master leaves through the connected socket in `socket`. */
export function addConsoleSocket(plan: PlanBuilder, socket: number): void {
  plan.add('child', 'master', { slot: SLOT.mount }, { why: '--console-socket' });
  plan.add('child', 'send_fd', { path: '', slot: SLOT.mount, name: '/dev/ptmx', socket }, { why: '--console-socket' });
  plan.add('child', 'close', { slot: SLOT.mount }, { why: '--console-socket' });
}

/** Through the host's procfs, never the container's (CVE-2025-52881). Also when nothing was asked for: the shim's is its own. */
export function addOomScore(plan: PlanBuilder, host: CompileHost, asked: number | undefined): void {
  const score = Math.max(asked ?? host.oomScoreAdj, host.minOomScoreAdj);
  plan.add('parent', 'child_write', { name: 'oom_score_adj', data: String(score) }, { why: 'its chance of being killed for memory', pointer: '/process/oomScoreAdj' });
}

/** A descriptor of the cgroup2 directory into which clone puts the child. */
export function addCloneTarget(plan: PlanBuilder, directory: string | undefined): number {
  if (directory === undefined) return SLOT.none;
  plan.add('prepare', 'open', { slot: SLOT.cgroup, at: SLOT.none, path: directory, flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, { why: 'the cgroup into which the child is cloned', pointer: '/linux/cgroupsPath' });
  return SLOT.cgroup;
}

/** The id outside of what is `id` inside. */
function hostId(id: number, mappings: NonNullable<TaskRequest['spec']['linux']>['uidMappings']): number {
  const range = mappings?.find((m) => id >= m.containerID && id < m.containerID + m.size);
  return range === undefined ? id : range.hostID + (id - range.containerID);
}
