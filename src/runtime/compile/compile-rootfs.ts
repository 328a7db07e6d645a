import type { TaskRequest } from '#core/tasks/port.ts';
import { NaruError } from '#spec/errors.ts';
import { AT_RECURSIVE, CLONE_NEWNS, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, O_DIRECTORY, O_PATH, OPEN_TREE_CLONE } from '#sys/numbers.ts';
import { addLockedClone, hasUserNamespace } from './compile-mounts.ts';
import type { CompileHost } from './compile-host.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';

/** fsconfig(2) copies at most this much of a string, its NUL included. */
const FSCONFIG_MAX_STRING = 256;
/** mount(2) takes one page of options. */
const MOUNT_MAX_DATA = 4096;

const ROOT = '/root';

/**
 * The rootfs as a detached mount in SLOT.root, made by the shim (which has every right) before clone: the host's mount
 * table never sees it, and the child only attaches it inside its own mount namespace.
 */
export function addRootfs(plan: PlanBuilder, { rootfs, stateDir, spec }: Pick<TaskRequest, 'rootfs' | 'stateDir' | 'spec'>, host: CompileHost): void {
  if (rootfs.kind === 'directory') {
    plan.add('prepare', 'open_tree', { slot: SLOT.root, at: SLOT.none, path: rootfs.path, flags: OPEN_TREE_CLONE | AT_RECURSIVE },
      { why: 'rootfs: a clone of the directory', pointer: ROOT });
    if (hasUserNamespace(spec)) addLockedClone(plan, { slot: SLOT.root, path: rootfs.path, flags: OPEN_TREE_CLONE | AT_RECURSIVE, pointer: ROOT });
    // A clone of a shared mount is its peer: what is mounted in the container must not appear on the host.
    plan.add('prepare', 'mount_setattr', { slot: SLOT.root, flags: AT_RECURSIVE, set: 0, clear: 0, propagation: MS_SLAVE, userns: SLOT.none },
      { why: 'rootfs: no propagation to the host', pointer: ROOT });
    return;
  }
  const options = ['source=overlay', ...host.overlayDefaults, `upperdir=${rootfs.upper}`, `workdir=${rootfs.work}`];
  const flags = rootfs.volatile ? ['volatile'] : [];
  const joined = rootfs.lowers.map(escapeColon).join(':');
  const lowers = host.overlayAppend ? rootfs.lowers.map((l) => `lowerdir+=${l}`) : [`lowerdir=${joined}`];
  const fits = [...lowers, ...options].every((o) => Buffer.byteLength(o.slice(o.indexOf('=') + 1)) < FSCONFIG_MAX_STRING && (host.overlayAppend || !o.includes(',')));
  if (fits) {
    plan.add('prepare', 'fs_mount', { slot: SLOT.root, type: 'overlay', options: [...lowers, ...options, ...flags], attr: 0 },
      { why: `rootfs: overlay of ${rootfs.lowers.length} layers`, pointer: ROOT });
  } else {
    addOldOverlay(plan, [`lowerdir=${joined}`, ...options.slice(1)].map((o) => o.replaceAll(',', '\\,')).concat(flags).join(','), stateDir);
  }
}

/** Many layers before `lowerdir+`, and long paths, only fit through mount(2): in a mount namespace of the shim's own, which it leaves at
 *  once with a clone of the mount in its hand. */
function addOldOverlay(plan: PlanBuilder, data: string, stateDir: string): void {
  if (Buffer.byteLength(data) >= MOUNT_MAX_DATA) {
    throw new NaruError('unsupported', `overlay: the paths of the layers take ${Buffer.byteLength(data)} bytes, this kernel takes ${MOUNT_MAX_DATA}`, {
      hint: 'use a data root with a shorter path, an image with fewer layers, or a kernel from 6.8 on',
    });
  }
  const notes = (why: string): { why: string; pointer: string } => ({ why, pointer: ROOT });
  plan.add('prepare', 'open', { slot: SLOT.ownMount, at: SLOT.none, path: '/proc/self/ns/mnt', flags: 0, mode: 0, resolve: 0 }, notes('rootfs: the way back'));
  plan.add('prepare', 'unshare', { flags: CLONE_NEWNS }, notes('rootfs: mount(2) only in a private namespace'));
  plan.add('prepare', 'mount', { source: '', target: '/', type: '', flags: MS_REC | MS_PRIVATE, data: '' }, notes('rootfs: nothing propagates out'));
  plan.add('prepare', 'mount', { source: 'overlay', target: stateDir, type: 'overlay', flags: 0, data }, notes('rootfs: overlay'));
  plan.add('prepare', 'open_tree', { slot: SLOT.root, at: SLOT.none, path: stateDir, flags: OPEN_TREE_CLONE }, notes('rootfs: detached'));
  plan.add('prepare', 'setns', { slot: SLOT.ownMount, nstype: CLONE_NEWNS }, notes('rootfs: back'));
  plan.add('prepare', 'close', { slot: SLOT.ownMount }, notes('rootfs: back'));
}

/** In the child's mount namespace: cut the propagation to the host, then put the rootfs over "/". Over "/" because that is
 *  a mount point wherever we run, as pivot_root asks, and absolute paths still lead to the host's tree until the pivot. */
export function addRootAttach(plan: PlanBuilder, rootfsPropagation: string | undefined): void {
  const pointer = '/linux/rootfsPropagation';
  const wanted = beforeThePivot(rootfsPropagation);
  plan.add('child', 'mount', { source: '', target: '/', type: '', flags: MS_REC | wanted, data: '' },
    { why: wanted === MS_SLAVE ? 'mounts made here must not reach the host' : `root propagation ${rootfsPropagation}`, pointer });
  if (wanted === MS_SHARED) {
    // pivot_root refuses a shared parent, and attaching to one would show the rootfs to the host.
    plan.add('child', 'mount', { source: '', target: '/', type: '', flags: MS_PRIVATE, data: '' }, { why: 'the parent of the rootfs is private', pointer });
  }
  plan.add('child', 'open', { slot: SLOT.oldRoot, at: SLOT.none, path: '/', flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, { why: 'rootfs: where it goes', pointer: ROOT });
  plan.add('child', 'attach', { slot: SLOT.root, root: SLOT.oldRoot, path: '.' }, { why: 'rootfs: attached over /', pointer: ROOT });
}

/** How the host's tree is in the child's mount namespace while mounts are taken from it. */
function beforeThePivot(rootfsPropagation: string | undefined): number {
  const asked = rootfsPropagation === undefined || rootfsPropagation === '' ? MS_SLAVE : propagationFlag(rootfsPropagation) & ~MS_REC;
  // What is unbindable could not be bound from: until the pivot it is private.
  return asked === MS_UNBINDABLE ? MS_PRIVATE : asked;
}

/** Enter the rootfs and let go of the host's tree. */
export function addPivot(plan: PlanBuilder, options: { rootfsPropagation: string | undefined; noPivot: boolean }): void {
  const { rootfsPropagation } = options;
  const old = beforeThePivot(rootfsPropagation) === MS_SHARED ? SLOT.oldRoot : SLOT.none;
  if (options.noPivot) plan.add('child', 'move_root', { root: SLOT.root }, { why: 'rootfs becomes / (no pivot)', pointer: ROOT });
  else plan.add('child', 'pivot', { root: SLOT.root, old }, { why: 'rootfs becomes /, the host\'s tree goes away', pointer: ROOT });
  plan.add('child', 'close', { slot: SLOT.oldRoot }, { why: 'no way back to the host (CVE-2024-21626)', pointer: ROOT });
  if (rootfsPropagation !== undefined && rootfsPropagation !== '') {
    // Only now: before the pivot "/" was the host's.
    plan.add('child', 'mount', { source: '', target: '/', type: '', flags: propagationFlag(rootfsPropagation), data: '' },
      { why: `root propagation ${rootfsPropagation}`, pointer: '/linux/rootfsPropagation' });
  }
}

/** The last change to the tree: from here on nothing may need to create anything. */
export function addReadonlyRoot(plan: PlanBuilder): void {
  plan.add('child', 'mount_setattr', { slot: SLOT.root, flags: 0, set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns: SLOT.none },
    { why: 'read-only rootfs', pointer: '/root/readonly' });
}

const PROPAGATION_FLAGS: Readonly<Record<string, number>> = {
  shared: MS_SHARED, slave: MS_SLAVE, private: MS_PRIVATE, unbindable: MS_UNBINDABLE,
  rshared: MS_REC | MS_SHARED, rslave: MS_REC | MS_SLAVE, rprivate: MS_REC | MS_PRIVATE, runbindable: MS_REC | MS_UNBINDABLE,
};
const propagationFlag = (name: string): number => {
  const flag = PROPAGATION_FLAGS[name];
  if (flag === undefined) throw new NaruError('invalid', `/linux/rootfsPropagation: unknown propagation ${JSON.stringify(name)}`);
  return flag;
};

/** In `lowerdir=a:b` a colon in a path is written `\:`. */
const escapeColon = (path: string): string => path.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
