import { existsSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NaruError } from '#spec/errors.ts';
import type { OciResources } from '#spec/oci-runtime.ts';
import { applyLimits } from './apply-limits.ts';
import { childGroups, codeOf, isGone, readGroupFile, writeError, writeGroupFile } from './cgroup-files.ts';
import { checkCgroupPath, groupDirectory, hierarchyOf, unifiedHierarchy } from './cgroup-path.ts';
import type { CgroupHost } from './detect-cgroups.ts';
import { killProcess } from './kill-process.ts';
import { limitsEither } from './limits-either.ts';
import { limitsV1 } from './limits-v1.ts';
import { limitsV2 } from './limits-v2.ts';
import { readPidsEverywhere } from './read-pids.ts';

const FREEZE_DEADLINE_MS = 5000;
const REMOVE_DEADLINE_MS = 10_000;
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;

export interface ControlOptions {
  readonly deadlineMs?: number;
}

/**
 * Stop (or let go on) every process of a group. Resolves once all of them stand still; when that does not happen before the
 * deadline they are let go and the error is `unavailable`. `not-found`: the group is gone. Idempotent.
 * https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html
 */
export async function freeze(host: CgroupHost, path: string, frozen: boolean, options: ControlOptions = {}): Promise<void> {
  const freezer = freezerOf(host, path);
  const set = (value: boolean): void => {
    try {
      writeGroupFile(freezer.file, freezer.values[value ? 1 : 0]!);
    } catch (error) {
      throw writeError(error, { path, file: freezer.file.slice(freezer.file.lastIndexOf('/') + 1), value: freezer.values[value ? 1 : 0]! });
    }
  };
  const deadline = performance.now() + (options.deadlineMs ?? FREEZE_DEADLINE_MS);
  set(frozen);
  for (let pause = FIRST_PAUSE_MS; frozen && !freezer.isFrozen(); pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    if (performance.now() >= deadline) {
      set(false);
      throw new NaruError('unavailable', `cgroup ${path} could not be frozen in time`, { hint: 'A process in it waits for the kernel (a hung disk or network file system).' });
    }
    await sleep(pause);
    // v1 misses processes that were forked meanwhile until it is asked again.
    if (!freezer.unified) set(true);
  }
}

/** Whether a group is frozen, or on its way there. False when it is gone. */
export const isFrozen = (host: CgroupHost, path: string): boolean => freezerOf(host, path).isFrozen();

interface Freezer { readonly file: string; readonly unified: boolean; readonly values: readonly [thaw: string, freeze: string]; isFrozen(): boolean }

function freezerOf(host: CgroupHost, path: string): Freezer {
  checkCgroupPath(path);
  const v1 = hierarchyOf(host, 'freezer');
  if (v1 !== undefined) {
    const file = `${groupDirectory(v1, path)}/freezer.state`;
    return { file, unified: false, values: ['THAWED', 'FROZEN'], isFrozen: () => readGroupFile(file)?.trim() === 'FROZEN' };
  }
  const v2 = unifiedHierarchy(host);
  if (v2 === undefined) throw new NaruError('unsupported', 'this machine has neither the freezer controller nor cgroup v2');
  const directory = groupDirectory(v2, path);
  return {
    file: `${directory}/cgroup.freeze`, unified: true, values: ['0', '1'],
    isFrozen: () => /^frozen 1$/m.test(readGroupFile(`${directory}/cgroup.events`) ?? ''),
  };
}

/**
 * Change limits of a group that runs (config.json linux.resources; absent and zero fields stay as they are; devices are not
 * part of an update). All or none: see `applyLimits`. Throws `invalid` for what the machine or the group's present use does
 * not allow, naming file and field.
 */
export async function updateResources(host: CgroupHost, path: string, resources: OciResources): Promise<void> {
  checkCgroupPath(path);
  const complete = withPresentMemory(host, path, resources);
  const limits = [...(host.version === 2 ? limitsV2(host, complete) : limitsV1(host, complete)), ...limitsEither(host, complete)];
  await applyLimits(path, limits);
}

/** What a new memory or swap limit is measured against when only one of the two is given. */
function withPresentMemory(host: CgroupHost, path: string, resources: OciResources): OciResources {
  const { memory } = resources;
  const hierarchy = hierarchyOf(host, 'memory');
  if (memory === undefined || hierarchy === undefined) return resources;
  const present = (file: string): number => {
    const text = readGroupFile(`${groupDirectory(hierarchy, path)}/${file}`)?.trim();
    return text === undefined || text === 'max' ? Number.POSITIVE_INFINITY : Number(text);
  };
  if (memory.checkBeforeUpdate === true && memory.limit !== undefined && memory.limit > 0) {
    const usage = present(hierarchy.unified ? 'memory.current' : 'memory.usage_in_bytes');
    if (Number.isFinite(usage) && usage > memory.limit) {
      throw new NaruError('invalid', `unable to set memory limit to ${memory.limit} (current usage: ${usage}, peak usage is not considered)`);
    }
  }
  if (!hierarchy.unified) {
    if (memory.limit !== undefined && memory.limit > 0 && !memory.swap && memory.limit > present('memory.memsw.limit_in_bytes')) {
      throw new NaruError('invalid', 'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time');
    }
    return resources;
  }
  if (memory.swap !== undefined && memory.swap > 0 && !memory.limit) {
    const limit = present('memory.max');
    if (Number.isFinite(limit)) return { ...resources, memory: { ...memory, limit } };
  }
  return resources;
}

/**
 * End whatever is in a group and the groups below, and remove them from every hierarchy. Idempotent: a group that is not
 * there is a group that was removed. `unavailable` when processes or groups outlive the deadline.
 */
export async function removeCgroup(host: CgroupHost, path: string, options: ControlOptions = {}): Promise<void> {
  const directories = host.hierarchies.map((hierarchy) => groupDirectory(hierarchy, checkCgroupPath(path))).filter((directory) => existsSync(directory));
  const deadline = performance.now() + (options.deadlineMs ?? REMOVE_DEADLINE_MS);
  let left = directories;
  for (let pause = FIRST_PAUSE_MS; left.length > 0; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    killAll(host, path);
    left = left.filter((directory) => !removeTree(directory));
    if (left.length === 0) return;
    if (performance.now() >= deadline) {
      const pids = readPidsEverywhere(host, path);
      throw new NaruError('unavailable', `cgroup ${path} could not be removed: ${pids.length > 0 ? `processes ${pids.slice(0, 8).join(', ')} do not end` : `${left[0]} is busy`}`);
    }
    await sleep(pause);
  }
}

function killAll(host: CgroupHost, path: string): void {
  const pids = readPidsEverywhere(host, path);
  if (pids.length === 0) return;
  const v2 = unifiedHierarchy(host);
  // One write that no fork escapes, since 5.14.
  if (v2 !== undefined) ignoreErrors(() => writeGroupFile(`${groupDirectory(v2, path)}/cgroup.kill`, '1'));
  for (const pid of pids) killProcess(pid, path);
  const v1 = hierarchyOf(host, 'freezer');
  // v1's frozen processes do not die before they are let go.
  if (v1 !== undefined) ignoreErrors(() => writeGroupFile(`${groupDirectory(v1, path)}/freezer.state`, 'THAWED'));
}

const ignoreErrors = (work: () => void): void => {
  try {
    work();
  } catch {
    // the loop around looks at what is left
  }
};

/** False when something is still in it. */
function removeTree(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (isGone(error)) return true;
    if (codeOf(error) !== 'EBUSY' && codeOf(error) !== 'ENOTEMPTY') throw writeError(error, { path: directory, file: 'directory', value: 'removed' });
  }
  const groups = childGroups(directory);
  if (groups.length === 0 || !groups.map(removeTree).every(Boolean)) return false;
  return removeTree(directory);
}
