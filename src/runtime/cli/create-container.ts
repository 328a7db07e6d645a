import { readFileSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { specWarnings } from '#runtime/compile/spec-warnings.ts';
import { ensureParents } from '#runtime/cgroups/ensure-parents.ts';
import { hookState } from '#runtime/compile/compile-hooks.ts';
import { runHook } from '#runtime/driver/run-hook.ts';
import type { RunningTask } from '#runtime/driver/running-task.ts';
import { NaruError } from '#spec/errors.ts';
import { checkContainerId, claimContainer, discardContainer, type ContainerDirectory, type ContainerRecord, writeRecord } from './container-record.ts';
import type { RuntimeContext } from './context.ts';
import { existingGroup, mayMakeGroup } from './existing-group.ts';
import { readProcessStat } from './process-stat.ts';
import { type Bundle, readBundle } from './read-bundle.ts';
import { RequestSlots, runtimeTask } from './run-task.ts';
import { runtimeCgroupPath } from './runtime-cgroup.ts';
import { connectConsole, listenForStart } from './start-socket.ts';
import type { PendingScope } from './systemd-scope.ts';
import { type PlanLayout, taskPlan } from './task-plan.ts';

export interface CreateOptions {
  readonly id: string | undefined;
  readonly bundle: string;
  readonly consoleSocket?: string | undefined;
  readonly pidFile?: string | undefined;
  readonly noPivot: boolean;
  readonly noNewKeyring: boolean;
  readonly preserveFds?: number | undefined;
  /** create: it waits for `start`; detached: it runs, and nobody of ours stays; foreground: a shim watches it. */
  readonly mode: 'create' | 'detached' | 'foreground';
}

export interface CreatedContainer {
  readonly record: ContainerRecord;
  readonly bundle: Bundle;
  readonly directory: ContainerDirectory;
  readonly task: RunningTask;
}

/**
 * From a bundle to a container that is created (or runs, for `run`). Whatever fails, nothing is left; if this process is
 * killed, what is left is a container that `state` reports as it is and `delete --force` removes. `before`: the last thing
 * before its start.
 */
export async function createContainer(options: CreateOptions, context: RuntimeContext, before?: (task: RunningTask, bundle: Bundle) => Promise<void>): Promise<CreatedContainer> {
  const id = checkContainerId(options.id);
  const bundle = readBundle(options.bundle);
  checkTerminal(options, bundle);
  const cgroups = detectCgroups();
  const scope = context.systemdCgroup ? await (await import('./systemd-scope.ts')).prepareScope(id, bundle.spec, { helper: context.helper(), cgroups }) : undefined;
  const cgroupPath = scope?.cgroupPath ?? runtimeCgroupPath(id, bundle.spec.linux?.cgroupsPath);
  const noCgroup = scope === undefined && context.rootless && !mayMakeGroup(cgroups, cgroupPath);
  const foreignCgroup = scope === undefined && !noCgroup && existingGroup(cgroups, cgroupPath);
  const slots = new RequestSlots({ terminal: bundle.spec.process?.terminal === true });
  const first: ContainerRecord = {
    id, bundle: bundle.path, rootfs: bundle.rootfs, created: new Date().toISOString(), cgroupPath, foreignCgroup,
    rootless: context.rootless, ...((noCgroup || scope !== undefined) && { noCgroup: true }), ...ownerOf(bundle), noNewKeyring: options.noNewKeyring, layout: {},
    creator: { pid: process.pid, startTime: readProcessStat(process.pid)?.startTime ?? 0 },
  };
  const directory = claimContainer(context.root, first, bundle.config);
  let made = first;
  try {
    const record = { ...first, ...scopeOf(scope), layout: layoutOf(options, slots, directory) };
    const { plan, spec, host } = taskPlan(record, bundle.spec, { stateDir: directory.path });
    for (const warning of specWarnings(spec, host)) context.warn(warning);
    if (scope !== undefined) {
      await scope.start();
      made = { ...first, ...scopeOf(scope) };
      writeRecord(directory, made);
    }
    if (!noCgroup) ensureParents(cgroups, cgroupPath, { andItself: (foreignCgroup || scope !== undefined) && cgroups.version === 1 });
    const task = runtimeTask({ id, spec, verb: 'create', plan, helper: context.helper(), slots, leaves: options.mode !== 'foreground' });
    await before?.(task, bundle);
    if (options.mode === 'create') await task.create();
    else await task.start();
    slots.close();
    scope?.settle();
    const init = { pid: task.pid, startTime: readProcessStat(task.pid)?.startTime ?? 0 };
    if (options.pidFile !== undefined && readPid(options.pidFile) !== task.pid) throw new NaruError('invalid', `--pid-file ${options.pidFile}: could not be written`);
    const complete = { ...record, init };
    writeRecord(directory, complete);
    return { record: complete, bundle, directory, task };
  } catch (error) {
    slots.close();
    scope?.settle();
    await undo({ record: made, directory, cgroups });
    throw error;
  }
}

/** What a record says of a scope once systemd has made it. Until then it names no group: another container's scope may have the name. */
export const scopeOf = (scope: PendingScope | undefined): Partial<Pick<ContainerRecord, 'systemdUnit' | 'noCgroup'>> => (scope === undefined ? {} : { systemdUnit: scope.unit, noCgroup: false });

/** Who has no rights on the machine, and wants a user namespace. */
const ownerOf = ({ spec }: Bundle): Pick<ContainerRecord, 'owner'> =>
  (process.geteuid!() !== 0 && spec.linux?.namespaces?.some((n) => n.type === 'user' && !n.path) === true ? { owner: { uid: process.geteuid!(), gid: process.getegid!() } } : {});

/** Opens what the plan's slots are to hold. */
function layoutOf(options: CreateOptions, slots: RequestSlots, directory: ContainerDirectory): PlanLayout {
  const awaits = options.mode === 'create' ? slots.add(listenForStart(directory.startSocket)) : undefined;
  const consoleSlot = options.consoleSocket === undefined ? undefined : slots.add(connectConsole(resolve(options.consoleSocket)));
  const preserve = slots.preserve(options.preserveFds);
  return {
    noPivot: options.noPivot, pidFile: options.pidFile === undefined ? directory.pid : resolve(options.pidFile),
    ...(awaits !== undefined && { await: awaits }), ...(consoleSlot !== undefined && { consoleSlot }), ...(preserve !== undefined && { preserve }),
    ...(options.mode !== 'foreground' && { leave: options.mode === 'create' ? 'created' as const : 'started' as const }),
  };
}

function checkTerminal(options: CreateOptions, { spec }: Bundle): void {
  const terminal = spec.process?.terminal === true;
  const detached = options.mode !== 'foreground';
  if (detached && terminal && options.consoleSocket === undefined) throw new NaruError('invalid', '/process/terminal: cannot allocate tty if runtime will detach without setting console socket');
  if (!terminal && options.consoleSocket !== undefined) throw new NaruError('invalid', '/process/terminal: cannot use console socket if runtime will not detach or allocate tty');
}

const readPid = (file: string): number => {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
};

async function undo({ record, directory, cgroups }: { record: ContainerRecord; directory: ContainerDirectory; cgroups: ReturnType<typeof detectCgroups> }): Promise<void> {
  const { killInit, releaseCgroup } = await import('./remove-container.ts');
  await killInit(directory, record);
  await releaseCgroup(cgroups, record).catch(() => {});
  if (record.systemdUnit !== undefined) await (await import('./systemd-scope.ts')).stopScope(record.systemdUnit).catch(() => {});
  discardContainer(directory);
}

/** runtime.md, "Lifecycle": since 1.3 a poststart hook that fails ends the container, before it was a warning. */
const ENDS_CONTAINER = /^1\.(?:[3-9]|\d\d)/;

/** After the program began. What fails in a configuration of 1.3 or later is thrown, once `end` is done: by default the container is
 *  removed. */
export async function runPoststart({ record, bundle: { spec } }: Pick<CreatedContainer, 'record' | 'bundle'>, context: RuntimeContext, end?: () => Promise<void>): Promise<void> {
  for (const [index, hook] of (spec.hooks?.poststart ?? []).entries()) {
    const state = hookState(spec, { id: record.id, bundle: record.bundle, status: 'running', pid: record.init!.pid });
    try {
      await runHook(hook, state);
    } catch (error) {
      const message = `/hooks/poststart/${index}: ${(error as Error).message}`;
      if (!ENDS_CONTAINER.test(spec.ociVersion)) {
        context.warn(message);
        continue;
      }
      await (end ?? (async () => (await import('./remove-container.ts')).removeContainer(record, context)))();
      throw new NaruError('internal', message, { cause: error });
    }
  }
}

/** Of a foreground container, or one that was started: nobody will ask for its start any more. */
export function forgetStartSocket(directory: ContainerDirectory): void {
  try {
    unlinkSync(directory.startSocket);
  } catch {
    // another start was faster
  }
}
