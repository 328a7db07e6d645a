import { existsSync } from 'node:fs';
import { writeError, writeGroupFile } from './cgroup-files.ts';
import { checkCgroupPath, groupDirectory, parentPaths } from './cgroup-path.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';

/** Microseconds. */
export interface RealtimeShare { readonly period?: number; readonly runtime?: number }

const FILES = [['period', 'cpu.rt_period_us'], ['runtime', 'cpu.rt_runtime_us']] as const;

/** The hierarchy whose groups have a share of real time: v1's `cpu`, on a kernel with CONFIG_RT_GROUP_SCHED. */
const realtimeHierarchy = ({ hierarchies }: CgroupHost): Hierarchy | undefined =>
  hierarchies.find((each) => !each.unified && each.controllers.includes('cpu') && existsSync(groupDirectory(each, '/cpu.rt_runtime_us')));

export const hasRealtime = (host: CgroupHost): boolean => realtimeHierarchy(host) !== undefined;

/** Gives the groups above `path` their share, from the top on: no group can have more than the one above it. Throws a NaruError that
 *  names the file when one above ours has less. */
export function shareRealtime(host: CgroupHost, path: string, share: RealtimeShare): void {
  if (share.period === undefined && share.runtime === undefined) return;
  const hierarchy = realtimeHierarchy(host);
  if (hierarchy === undefined) return;
  for (const parent of parentPaths(checkCgroupPath(path))) {
    for (const [key, file] of FILES) {
      const value = share[key];
      if (value === undefined) continue;
      try {
        writeGroupFile(`${groupDirectory(hierarchy, parent)}/${file}`, String(value));
      } catch (error) {
        throw writeError(error, { path: parent, file, value: String(value), hint: 'see `naru daemon --cpu-rt-runtime`: the group above it has less' });
      }
    }
  }
}
