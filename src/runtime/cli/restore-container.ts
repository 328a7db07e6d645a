import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeGroupFile } from '#runtime/cgroups/cgroup-files.ts';
import { groupDirectory } from '#runtime/cgroups/cgroup-path.ts';
import { cgroupPlan } from '#runtime/cgroups/cgroup-plan.ts';
import { type CgroupHost, detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { ensureParents } from '#runtime/cgroups/ensure-parents.ts';
import { hookState } from '#runtime/compile/compile-hooks.ts';
import { inRoot } from '#runtime/compile/compile-mounts.ts';
import { planBuilder } from '#runtime/compile/plan-builder.ts';
import { SLOT } from '#runtime/compile/slots.ts';
import { boundMounts, type ExternalMount } from '#runtime/criu/criu-mounts.ts';
import { CRIU, criuRequest, FIRST_DESCRIPTOR, OPTION } from '#runtime/criu/criu-request.ts';
import type { ProtoField } from '#runtime/criu/protobuf.ts';
import { exitCode } from '#runtime/driver/exit-record.ts';
import { runHook } from '#runtime/driver/run-hook.ts';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, dupDescriptor, sendWithDescriptors } from '#sys/descriptors.ts';
import { CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, NR, O_DIRECTORY, O_PATH } from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';
import { checkContainerId, claimContainer, type ContainerDirectory, type ContainerRecord, writeRecord } from './container-record.ts';
import type { RuntimeContext } from './context.ts';
import { runPoststart, scopeOf } from './create-container.ts';
import { type CriuSetup, criuSetup } from './criu-flags.ts';
import { existingGroup } from './existing-group.ts';
import { forwardSignals } from './foreground.ts';
import { readProcessStat } from './process-stat.ts';
import { type Bundle, readBundle } from './read-bundle.ts';
import { removeContainer } from './remove-container.ts';
import { RequestSlots, runtimeTask } from './run-task.ts';
import { runtimeCgroupPath } from './runtime-cgroup.ts';
import { connectConsole } from './start-socket.ts';
import type { PendingScope } from './systemd-scope.ts';
import { MOUNTS_FILE, STREAMS_FILE } from './verbs/checkpoint.ts';
import type { RestoreFlags } from './verbs/restore.ts';

const WNOHANG = 1;
const MNT_DETACH = 2;
const POLL_MS = 10;

/** From criu's images to a container like any other. Whatever fails, nothing is left. */
export async function restoreContainer(word: string, flags: RestoreFlags, context: RuntimeContext): Promise<number> {
  const id = checkContainerId(word);
  const bundle = readBundle(flags.bundle ?? '.');
  const { spec } = bundle;
  const terminal = spec.process?.terminal === true;
  if (terminal && flags['console-socket'] === undefined && !flags['shell-job']) throw new NaruError('invalid', '/process/terminal: restore needs --console-socket, to which the terminal goes, or --shell-job');
  // Before anything is opened: criu mounts below its work directory, which must lie in the namespace that it is in.
  enterPrivateMounts();
  if (flags['no-pivot']) leaveRamdisk();
  const setup = criuSetup(flags, context, 'restore.log');
  const [streams, kernel] = [STREAMS_FILE, MOUNTS_FILE].map((name) => readImage(setup.imagePath, name)) as [string[], ExternalMount[]];
  const cgroups = detectCgroups();
  const consoleSocket = flags['console-socket'] === undefined ? -1 : connectConsole(resolve(flags['console-socket']));
  const scope = context.systemdCgroup ? await (await import('./systemd-scope.ts')).prepareScope(id, spec, { helper: context.helper(), cgroups }) : undefined;
  let record: ContainerRecord;
  try {
    record = await askCriu(id, bundle, { flags, context, cgroups, setup, streams, kernel, scope, consoleSocket });
  } finally {
    scope?.settle();
    for (const fd of [...setup.directories, ...setup.descriptors, consoleSocket]) closeQuietly(fd);
  }
  await runPoststart({ record, bundle }, context);
  if (flags.detach) return 0;
  forwardSignals(record.init!);
  const code = await childExit(record.init!.pid);
  await removeContainer(record, context);
  return code;
}

interface Restoring {
  readonly flags: RestoreFlags;
  readonly context: RuntimeContext;
  readonly cgroups: CgroupHost;
  readonly setup: CriuSetup;
  readonly streams: readonly string[];
  readonly kernel: readonly ExternalMount[];
  readonly scope: PendingScope | undefined;
  readonly consoleSocket: number;
}

/** Takes the id and lets criu fill it. What fails gives it back. */
async function askCriu(id: string, bundle: Bundle, { flags, context, cgroups, setup, streams, kernel, scope, consoleSocket }: Restoring): Promise<ContainerRecord> {
  const { spec } = bundle;
  const cgroupPath = scope?.cgroupPath ?? runtimeCgroupPath(id, spec.linux?.cgroupsPath);
  const first: ContainerRecord = {
    id, bundle: bundle.path, rootfs: bundle.rootfs, created: new Date().toISOString(), cgroupPath, foreignCgroup: scope === undefined && existingGroup(cgroups, cgroupPath), rootless: context.rootless,
    ...(scope !== undefined && { noCgroup: true }), noNewKeyring: true, layout: {}, creator: { pid: process.pid, startTime: readProcessStat(process.pid)?.startTime ?? 0 },
  };
  const directory = claimContainer(context.root, first, bundle.config);
  let record = first;
  try {
    await scope?.start();
    record = { ...first, ...scopeOf(scope) };
    if (scope !== undefined) writeRecord(directory, record);
    await prepareGround(record, bundle, { context, cgroups });
    const mounts = [...boundMounts(spec), ...kernel.filter((k) => !boundMounts(spec).some((bound) => bound.destination === k.destination))];
    const options: ProtoField[] = [
      ...setup.options, [OPTION.root, mountRoot(directory, bundle)], [OPTION.rstSibling, true],
      ...mounts.map(({ destination, source }): ProtoField => [OPTION.extMnt, [[1, destination], [2, source]]]),
      ...cgroupRoots(cgroups, cgroupPath), ...inheritedStreams(streams, setup.descriptors), ...joinedNetwork(bundle, setup.descriptors),
      ...(flags['lsm-profile'] === undefined ? [] : [[OPTION.lsmProfile, flags['lsm-profile']] as const]),
      ...(flags['lsm-mount-context'] === undefined ? [] : [[OPTION.lsmMountContext, flags['lsm-mount-context']] as const]),
    ];
    const written = (pid: number): void => {
      record = { ...record, init: { pid, startTime: readProcessStat(pid)?.startTime ?? 0 } };
      writeRecord(directory, record);
      writeFileSync(directory.pid, String(pid));
      if (flags['pid-file'] !== undefined) writeFileSync(flags['pid-file'], String(pid));
    };
    const pid = await criuRequest({
      program: setup.program, type: CRIU.restore, options, descriptors: setup.descriptors, log: setup.log,
      // What it makes begins in its own group.
      started: (criu) => cgroups.hierarchies.forEach((h) => writeGroupFile(`${groupDirectory(h, cgroupPath)}/cgroup.procs`, String(criu))),
      async notify(step, child, descriptors) {
        if (step === 'setup-namespaces') await runHooks(bundle, record, child);
        if (step === 'post-restore') written(child);
        if (step === 'orphan-pts-master' && descriptors[0] !== undefined && consoleSocket >= 0) sendWithDescriptors(consoleSocket, Buffer.from('/dev/ptmx'), [descriptors[0]]);
        for (const fd of descriptors) closeQuietly(fd);
      },
    });
    if (record.init?.pid !== pid) written(pid);
    return record;
  } catch (error) {
    unmountRoot(directory);
    scope?.settle();
    await removeContainer(record, { ...context, warn() {} }).catch((left: Error) => context.warn(`restore failed, and what it had made could not be removed: ${left.message}`));
    throw error;
  } finally {
    unmountRoot(directory);
  }
}

function readImage(imagePath: string, name: string): unknown {
  try {
    return JSON.parse(readFileSync(join(imagePath, name), 'utf8'));
  } catch (error) {
    if (name === MOUNTS_FILE && (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new NaruError('invalid', `--image-path ${imagePath}: no checkpoint that can be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The container's groups with their limits, and the mount points in its rootfs: by a plan, as create makes them. */
async function prepareGround(record: ContainerRecord, { spec, rootfs }: Bundle, { context, cgroups }: { context: RuntimeContext; cgroups: CgroupHost }): Promise<void> {
  const { cgroupPath } = record;
  const there = record.foreignCgroup || record.systemdUnit !== undefined;
  ensureParents(cgroups, cgroupPath, { andItself: there && cgroups.version === 1 });
  const plan = planBuilder(undefined);
  plan.add('prepare', 'stdio', { mode: 0, stdin: 0 }, { why: 'restore' });
  plan.splice(cgroupPlan(cgroups, { path: cgroupPath, resources: spec.linux?.resources ?? {}, parentsReady: true, mayExist: there, rootless: context.rootless }).prepare);
  plan.add('prepare', 'open', { slot: SLOT.root, at: SLOT.none, path: rootfs, flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, { why: 'the rootfs', pointer: '/root/path' });
  plan.add('prepare', 'clone', { flags: 0, cgroup: SLOT.none }, { why: 'who makes mount points' });
  boundMounts(spec).forEach(({ destination, source }) => {
    plan.add('child', 'open', { slot: SLOT.mount, at: SLOT.none, path: source, flags: O_PATH, mode: 0, resolve: 0 }, { why: `bind ${source}`, pointer: '/mounts' });
    plan.add('child', 'target', { root: SLOT.root, path: inRoot(destination), kind: 2, like: SLOT.mount, mode: 0o755 }, { why: `mount point ${destination}`, pointer: '/mounts' });
  });
  const slots = new RequestSlots({ terminal: true });
  try {
    const task = runtimeTask({ id: record.id, spec, verb: 'create', plan: { ops: plan.build() }, helper: context.helper(), slots, leaves: false });
    await task.start();
    await task.exited;
  } finally {
    slots.close();
  }
}

/** A mount namespace that only we and criu see: the host's has nothing of ours. */
function enterPrivateMounts(): void {
  check(syscall(NR.unshare, CLONE_NEWNS), 'unshare a mount namespace');
  check(syscall(NR.mount, null, '/', null, MS_REC | MS_PRIVATE, null), 'mount / private');
}

/** --no-pivot: criu, which pivots, cannot where "/" is the ramdisk that the machine started from. So for it "/" is a mount on top. */
function leaveRamdisk(): void {
  const here = process.cwd();
  check(syscall(NR.mount, '/', '/', null, MS_BIND | MS_REC, null), 'bind / over itself');
  // The new mount lies over "/", and only a lookup from above leads into it.
  process.chdir('/..');
  check(syscall(NR.chroot, '.'), 'chroot into the mount over /');
  process.chdir(here);
}

/** criu wants the root to be a mount point. */
function mountRoot(directory: ContainerDirectory, { rootfs }: Bundle): string {
  const path = join(directory.path, 'criu-root');
  mkdirSync(path, { mode: 0o700 });
  check(syscall(NR.mount, rootfs, path, null, MS_BIND | MS_REC, null), `bind ${rootfs}`);
  return path;
}

/** Idempotent. */
function unmountRoot(directory: ContainerDirectory): void {
  const path = join(directory.path, 'criu-root');
  if (!existsSync(path)) return;
  syscall(NR.umount2, path, MNT_DETACH);
  rmdirSync(path);
}

const cgroupRoots = (cgroups: CgroupHost, path: string): ProtoField[] =>
  cgroups.hierarchies.map((h): ProtoField => [OPTION.cgRoot, h.unified ? [[2, path]] : [[1, h.controllers.length > 0 ? h.controllers.join(',') : h.name], [2, path]]]);

/** Streams that were pipes are ours now. */
function inheritedStreams(streams: readonly string[], descriptors: number[]): ProtoField[] {
  return streams.flatMap((target, stream): ProtoField[] => {
    if (!target.includes('pipe:')) return [];
    descriptors.push(dupDescriptor(stream));
    return [[OPTION.inheritFd, [[1, target], [2, FIRST_DESCRIPTOR + descriptors.length - 1]]]];
  });
}

function joinedNetwork({ spec }: Bundle, descriptors: number[]): ProtoField[] {
  const path = spec.linux?.namespaces?.find((n) => n.type === 'network')?.path;
  if (!path) return [];
  descriptors.push(openSync(path, 'r'));
  return [[OPTION.inheritFd, [[1, 'extRootNetNS'], [2, FIRST_DESCRIPTOR + descriptors.length - 1]]]];
}

async function runHooks({ spec, path }: Bundle, { id }: ContainerRecord, pid: number): Promise<void> {
  for (const hook of [...(spec.hooks?.prestart ?? []), ...(spec.hooks?.createRuntime ?? [])]) await runHook(hook, hookState(spec, { id, bundle: path, status: 'creating', pid }));
}

/** criu's sibling is our child: its status is ours to take. */
async function childExit(pid: number): Promise<number> {
  const status = new Int32Array(1);
  for (;;) {
    const result = syscall(NR.wait4, pid, status, WNOHANG, null);
    if (result === pid) return exitCode(status[0]! >> 8, status[0]! & 0x7f);
    if (result < 0) return 0; // somebody else has it
    await sleep(POLL_MS);
  }
}
