import { childGroups, readGroupFile } from './cgroup-files.ts';
import { checkCgroupPath, groupDirectory, hierarchyOf, unifiedHierarchy } from './cgroup-path.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';

/** Groups deeper than this are not looked at: a container cannot make our recursion endless. */
const MAX_DEPTH = 64;

/** The processes of a group and of all groups below, as this process's pid namespace numbers them, ascending. Empty when
 *  the group is gone. */
export function readPids(host: CgroupHost, path: string): number[] {
  const hierarchy = (host.version === 1 ? hierarchyOf(host, 'pids') : undefined) ?? unifiedHierarchy(host) ?? host.hierarchies[0];
  return hierarchy === undefined ? [] : sorted(pidsIn(groupDirectory(hierarchy, checkCgroupPath(path))));
}

/** The same over every hierarchy: on v1 a process may have moved within one of them only. */
export const readPidsEverywhere = (host: CgroupHost, path: string): number[] =>
  sorted(host.hierarchies.flatMap((hierarchy: Hierarchy) => pidsIn(groupDirectory(hierarchy, checkCgroupPath(path)))));

function pidsIn(directory: string, depth = 0): number[] {
  const pids = (readGroupFile(`${directory}/cgroup.procs`) ?? '').split('\n').map(Number).filter((pid) => pid > 0);
  if (depth >= MAX_DEPTH) return pids;
  for (const group of childGroups(directory)) pids.push(...pidsIn(group, depth + 1));
  return pids;
}

const sorted = (pids: readonly number[]): number[] => [...new Set(pids)].sort((a, b) => a - b);
