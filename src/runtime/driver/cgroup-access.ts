import { existsSync } from 'node:fs';
import type { TaskDriver } from '#core/tasks/port.ts';
import { freeze, removeCgroup, updateResources } from '#runtime/cgroups/cgroup-control.ts';
import { groupDirectory } from '#runtime/cgroups/cgroup-path.ts';
import { readCgroupStats } from '#runtime/cgroups/cgroup-stats.ts';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';
import { type RealtimeShare, shareRealtime } from '#runtime/cgroups/share-realtime.ts';
import { ensureParents } from '#runtime/cgroups/ensure-parents.ts';
import { readPids } from '#runtime/cgroups/read-pids.ts';

export interface CgroupAccess extends Pick<TaskDriver, 'stats' | 'pids' | 'freeze' | 'update'> {
  remove(cgroupPath: string): Promise<void>;
  /** The groups above `cgroupPath` are there, made where they are not. */
  prepareParents(cgroupPath: string): void;
  /** Something about a start failed: perhaps somebody removed a group of ours. */
  forgetParents(): void;
}

/** The cgroup side of the port, on this machine's hierarchies. `realtime`: what the groups above containers have of it. */
export function cgroupAccess(host: CgroupHost, realtime: RealtimeShare = {}): CgroupAccess {
  const ready = new Set<string>();
  return {
    stats: async (path) => readCgroupStats(host, path),
    pids: async (path) => readPids(host, path),
    freeze: (path, frozen) => freeze(host, path, frozen),
    update: (path, resources) => updateResources(host, path, resources),
    remove: (path) => removeCgroup(host, path),
    prepareParents(path) {
      const parent = path.slice(0, path.lastIndexOf('/'));
      // Somebody else may have removed a group of ours meanwhile.
      if (ready.has(parent) && host.hierarchies.every((hierarchy) => existsSync(groupDirectory(hierarchy, parent)))) return;
      ensureParents(host, path);
      shareRealtime(host, path, realtime);
      ready.add(parent);
    },
    forgetParents: () => ready.clear(),
  };
}
