import { posix } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import type { Trees } from '#core/tree-port.ts';
import type { MountRecord } from '../containers/container.ts';

/** As the kernel's bound on links in one path. */
const MAX_LINKS = 40;

export interface TreePlace { readonly root: number; readonly mount: MountRecord | undefined }

/** A place in one tree: what a path of a container means when nothing is mounted. */
export interface Resolved extends TreePlace {
  /** In the root, without links before the last name; keeps what a trailing slash means. */
  readonly inside: string;
  /** In the container, without links. */
  readonly logical: string;
}

/**
 * Walks a path as the kernel would if the mounts were there: a link in one tree may lead into another. `open` gives the tree of a mount
 * (undefined: the root file system), `mounts` their destinations. The last name's link is followed when `follow` or a trailing slash says
 * so. What is not there is taken by its text: whoever uses the place finds that out. Throws invalid for a loop of links.
 */
export function resolveAcrossMounts(trees: Trees, path: string, walk: { mounts: readonly MountRecord[]; open(mount: MountRecord | undefined): number; follow: boolean }): Resolved {
  const tail = path.endsWith('/.') ? '/.' : path.endsWith('/') ? '/' : '';
  const follow = walk.follow || tail !== '';
  let pending = path.split('/').filter((part) => part !== '' && part !== '.');
  let logical = '/';
  let links = 0;
  while (pending.length > 0) {
    const part = pending.shift()!;
    if (part === '..') {
      logical = posix.dirname(logical);
      continue;
    }
    const next = posix.join(logical, part);
    const { root, inside } = placeOf(next, walk);
    const target = pending.length > 0 || follow ? trees.readLink(root, inside) : undefined;
    if (target === undefined || inside === '/') {
      logical = next;
      continue;
    }
    if (++links > MAX_LINKS) throw new NaruError('invalid', `${path}: too many levels of symbolic links`);
    if (target.startsWith('/')) logical = '/';
    pending = [...target.split('/').filter((each) => each !== '' && each !== '.'), ...pending];
  }
  const place = placeOf(logical, walk);
  return { ...place, logical, inside: place.inside === '/' ? '/' : `${place.inside}${tail}` };
}

/** The innermost mount at or above a path that has no links. */
function placeOf(logical: string, { mounts, open }: { mounts: readonly MountRecord[]; open(mount: MountRecord | undefined): number }): TreePlace & { inside: string } {
  let best: MountRecord | undefined;
  for (const mount of mounts) {
    const at = logical === mount.destination || logical.startsWith(`${mount.destination}/`);
    if (at && (best === undefined || mount.destination.length > best.destination.length)) best = mount;
  }
  return { root: open(best), mount: best, inside: best === undefined ? logical : logical.slice(best.destination.length) || '/' };
}
