import { accessSync, constants, existsSync } from 'node:fs';
import { checkCgroupPath, groupDirectory, parentPaths } from '#runtime/cgroups/cgroup-path.ts';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';

/** Whether a group of this path is there already, in any hierarchy. */
export const existingGroup = (host: CgroupHost, path: string): boolean =>
  host.hierarchies.some((hierarchy) => existsSync(groupDirectory(hierarchy, checkCgroupPath(path))));

/** Whether we may make a group of this path in every hierarchy. */
export const mayMakeGroup = (host: CgroupHost, path: string): boolean => host.hierarchies.every((hierarchy) => {
  const nearest = [path, ...parentPaths(checkCgroupPath(path)).toReversed(), ''].map((parent) => groupDirectory(hierarchy, parent)).find((directory) => existsSync(directory))!;
  try {
    accessSync(nearest, constants.W_OK);
    return true;
  } catch {
    return false;
  }
});
