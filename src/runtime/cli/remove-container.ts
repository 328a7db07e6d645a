import { rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freeze, isFrozen, removeCgroup } from '#runtime/cgroups/cgroup-control.ts';
import { groupDirectory } from '#runtime/cgroups/cgroup-path.ts';
import { type CgroupHost, detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { hookState } from '#runtime/compile/compile-hooks.ts';
import { runHook } from '#runtime/driver/run-hook.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { isKind, NaruError } from '#spec/errors.ts';
import { containerDirectory, discardContainer, type ContainerDirectory, type ContainerRecord, readConfig } from './container-record.ts';
import { containerStatus } from './container-status.ts';
import type { RuntimeContext } from './context.ts';
import { readProcessStat } from './process-stat.ts';
import { signalProcess } from './signal-process.ts';

const SIGKILL = 9;
const END_DEADLINE_MS = 10_000;

/** Removes a container that does not run any more: its group, its directory; then the poststop hooks. Idempotent. */
export async function removeContainer(record: ContainerRecord, context: RuntimeContext): Promise<void> {
  const directory = containerDirectory(context.root, record.id);
  await killInit(directory, record);
  await releaseCgroup(detectCgroups(), record);
  if (record.systemdUnit !== undefined) {
    const { stopScope } = await import('./systemd-scope.ts');
    await stopScope(record.systemdUnit).catch((error: Error) => context.warn(`${record.systemdUnit}: ${error.message}`));
  }
  const spec = configOf(context.root, record.id);
  discardContainer(directory);
  for (const hook of spec?.hooks?.poststop ?? []) {
    const state = hookState(spec!, { id: record.id, bundle: record.bundle, status: 'stopped', pid: undefined });
    await runHook(hook, state).catch((error: Error) => context.warn(`poststop: ${error.message}`));
  }
}

/** Ends the first process, if it lives, and waits until it has. */
export async function killInit(directory: ContainerDirectory, record: ContainerRecord): Promise<void> {
  const root = directory.path.slice(0, directory.path.lastIndexOf('/'));
  const deadline = performance.now() + END_DEADLINE_MS;
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    const { pid, startTime } = containerStatus(root, record);
    if (pid === 0) return;
    signalProcess({ pid, startTime }, SIGKILL);
    await letDie(record);
    if (readProcessStat(pid)?.startTime !== startTime) return;
    if (performance.now() > deadline) throw new NaruError('unavailable', `container ${record.id}: process ${pid} does not end`, { hint: 'it waits for the kernel (a hung disk or network file system)' });
    await sleep(pause);
  }
}

/** v1: what stands still does not even end before it goes on. */
export async function letDie(record: ContainerRecord): Promise<void> {
  const host = detectCgroups();
  if (record.noCgroup === true || !isFrozen(host, record.cgroupPath)) return;
  await freeze(host, record.cgroupPath, false).catch((error: unknown) => {
    if (!isKind(error, 'not-found')) throw error;
  });
}

/** What is in the group ends with it, unless the group is somebody else's: then it only goes when it is empty. */
export async function releaseCgroup(host: CgroupHost, record: ContainerRecord): Promise<void> {
  if (record.noCgroup === true) return;
  if (!record.foreignCgroup) return removeCgroup(host, record.cgroupPath);
  for (const hierarchy of host.hierarchies) {
    try {
      rmdirSync(groupDirectory(hierarchy, record.cgroupPath));
    } catch {
      // in use, or gone
    }
  }
}

function configOf(root: string, id: string): OciSpec | undefined {
  try {
    return readConfig(root, id);
  } catch {
    return undefined; // it was removed at the same time
  }
}

