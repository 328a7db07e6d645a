import { NaruError } from '#spec/errors.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';

const MAX_COMPONENT = 255;

/** A group's path below each hierarchy's root, as `/naru/<id>`. Throws `invalid` for anything that could lead elsewhere
 *  (relative, `..`, control characters) or that names the root itself. */
export function checkCgroupPath(path: string): string {
  const components = path.split('/').slice(1);
  const sound = path.startsWith('/') && components.length > 0 && components.every((component) =>
    component !== '' && component !== '.' && component !== '..' && Buffer.byteLength(component) <= MAX_COMPONENT && !/[\u0000-\u001f\u007f]/.test(component));
  if (!sound) throw new NaruError('invalid', `invalid cgroup path ${JSON.stringify(path)}`, { hint: 'An absolute path such as /naru/<id>, without "." and "..".' });
  return path;
}

/** `/naru/x` -> [`/naru`]; `/a/b/x` -> [`/a`, `/a/b`]. */
export function parentPaths(path: string): string[] {
  const components = path.split('/').slice(1, -1);
  return components.map((_, index) => `/${components.slice(0, index + 1).join('/')}`);
}

/** The absolute directory of a group (of the root: an empty path) in a hierarchy. */
export const groupDirectory = (hierarchy: Hierarchy, path: string): string => hierarchy.mountPoint + path;

/** Where a controller lives, on v1 before v2. */
export const hierarchyOf = (host: CgroupHost, controller: string): Hierarchy | undefined =>
  host.hierarchies.find((hierarchy) => !hierarchy.unified && hierarchy.controllers.includes(controller))
  ?? host.hierarchies.find((hierarchy) => hierarchy.unified && hierarchy.controllers.includes(controller));

export const unifiedHierarchy = (host: CgroupHost): Hierarchy | undefined => host.hierarchies.find((hierarchy) => hierarchy.unified);
