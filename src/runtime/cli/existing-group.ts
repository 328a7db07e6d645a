import { existsSync } from 'node:fs';
import { checkCgroupPath, groupDirectory } from '#runtime/cgroups/cgroup-path.ts';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';

/** Whether a group of this path is there already, in any hierarchy. */
export const existingGroup = (host: CgroupHost, path: string): boolean =>
  host.hierarchies.some((hierarchy) => existsSync(groupDirectory(hierarchy, checkCgroupPath(path))));
