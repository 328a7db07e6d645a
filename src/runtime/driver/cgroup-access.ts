import type { TaskDriver } from '#core/tasks/port.ts';
import { freeze, removeCgroup, updateResources } from '#runtime/cgroups/cgroup-control.ts';
import { readCgroupStats } from '#runtime/cgroups/cgroup-stats.ts';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';
import { ensureParents } from '#runtime/cgroups/ensure-parents.ts';
import { readPids } from '#runtime/cgroups/read-pids.ts';

export interface CgroupAccess extends Pick<TaskDriver, 'stats' | 'pids' | 'freeze' | 'update'> {
  remove(cgroupPath: string): Promise<void>;
  /** The groups above `cgroupPath` are there: asked of the kernel once for each parent, until `forget`. */
  prepareParents(cgroupPath: string): void;
  /** Something about a start failed: perhaps somebody removed a group of ours. */
  forgetParents(): void;
}

/** The cgroup side of the port, on this machine's hierarchies. */
export function cgroupAccess(host: CgroupHost): CgroupAccess {
  const ready = new Set<string>();
  return {
    stats: async (path) => readCgroupStats(host, path),
    pids: async (path) => readPids(host, path),
    freeze: (path, frozen) => freeze(host, path, frozen),
    update: (path, resources) => updateResources(host, path, resources),
    remove: (path) => removeCgroup(host, path),
    prepareParents(path) {
      const parent = path.slice(0, path.lastIndexOf('/'));
      if (ready.has(parent)) return;
      ensureParents(host, path);
      ready.add(parent);
    },
    forgetParents: () => ready.clear(),
  };
}
