import { existsSync, mkdirSync } from 'node:fs';
import { codeOf, readGroupFile, writeError, writeGroupFile } from './cgroup-files.ts';
import { checkCgroupPath, groupDirectory, parentPaths } from './cgroup-path.ts';
import { controllersToDelegate } from './cgroup-plan.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';

/**
 * Make the groups above `path` in every hierarchy, so that plans for groups below need not (`parentsReady`): on v1 with
 * a cpuset that groups below inherit, on v2 with controllers handed down. `andItself`: the group is there already, and
 * may be as empty as somebody made it (v1's cpuset takes no process then). Cheap when all is there. Idempotent. Throws a
 * NaruError that names the file.
 */
export function ensureParents(host: CgroupHost, path: string, options: { readonly andItself?: boolean } = {}): void {
  const parents = [...parentPaths(checkCgroupPath(path)), ...(options.andItself === true ? [path] : [])];
  for (const hierarchy of host.hierarchies) {
    const controllers = controllersToDelegate(host, hierarchy, []);
    if (controllers.length > 0) delegate(hierarchy, { path: '', controllers });
    for (const parent of parents) {
      make(groupDirectory(hierarchy, parent));
      if (!hierarchy.unified && hierarchy.controllers.includes('cpuset')) fillCpuset(host, hierarchy, parent);
      if (controllers.length > 0) delegate(hierarchy, { path: parent, controllers });
    }
  }
}

function make(directory: string): void {
  if (existsSync(directory)) return;
  try {
    mkdirSync(directory, 0o755);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw writeError(error, { path: directory, file: 'directory', value: 'made' });
  }
}

function set(hierarchy: Hierarchy, path: string, { file, value }: { file: string; value: string }): void {
  try {
    writeGroupFile(`${groupDirectory(hierarchy, path)}/${file}`, value);
  } catch (error) {
    throw writeError(error, { path: path || '/', file, value });
  }
}

function fillCpuset(host: CgroupHost, hierarchy: Hierarchy, path: string): void {
  const directory = groupDirectory(hierarchy, path);
  for (const [file, value] of [['cpuset.cpus', host.cpus], ['cpuset.mems', host.mems]] as const) {
    if (readGroupFile(`${directory}/${file}`)?.trim() === '') set(hierarchy, path, { file, value });
  }
  if (readGroupFile(`${directory}/cgroup.clone_children`)?.trim() !== '1') set(hierarchy, path, { file: 'cgroup.clone_children', value: '1' });
}

/** One controller that cannot be handed down (real-time processes hold `cpu`, say) must not cost the others: limits that
 *  need it fail later, by name. */
function delegate(hierarchy: Hierarchy, { path, controllers }: { path: string; controllers: readonly string[] }): void {
  const enabled = new Set((readGroupFile(`${groupDirectory(hierarchy, path)}/cgroup.subtree_control`) ?? '').trim().split(' '));
  const missing = controllers.filter((controller) => !enabled.has(controller)).map((controller) => `+${controller}`);
  if (missing.length === 0) return;
  const file = 'cgroup.subtree_control';
  try {
    set(hierarchy, path, { file, value: missing.join(' ') });
  } catch {
    for (const value of missing) {
      try {
        set(hierarchy, path, { file, value });
      } catch {
        // see above
      }
    }
  }
}
