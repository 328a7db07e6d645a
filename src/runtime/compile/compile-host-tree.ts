import type { OciSpec } from '#spec/oci-runtime.ts';
import { MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MS_PRIVATE, MS_SLAVE, O_DIRECTORY, O_PATH } from '#sys/numbers.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';

/**
 * A container without a mount namespace has its mounts in its creator's (runtime-spec, config-linux.md, "Namespaces": what is not listed is
 * inherited), where they outlive it. All of them lie on one tree over one directory of ours: whoever removes the container detaches
 * that, whatever was killed before, and nothing else can go with it.
 */
export const hasMountNamespace = (spec: OciSpec): boolean => spec.linux?.namespaces?.some((n) => n.type === 'mount') === true;

/** The directory below the container's state over which its tree stands. */
export const hostTree = (stateDir: string): string => `${stateDir}/tree`;

const POINTER = '/linux/namespaces';

/** How a clone of the host's mounts is attached there: what is mounted on it must not appear on the host as well. (With a mount namespace
 *  the whole tree from which it was cloned is a slave already.) */
export const clonePropagation = (spec: OciSpec): number => (hasMountNamespace(spec) ? 0 : MS_SLAVE);

/** child: the rootfs in the host's mount namespace. */
export function addHostTree(plan: PlanBuilder, stateDir: string): void {
  const why = 'no mount namespace: all mounts in one tree of ours';
  const notes = { why, pointer: POINTER };
  const attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  plan.add('child', 'mkdir', { path: hostTree(stateDir), mode: 0o700 }, notes);
  plan.add('child', 'open', { slot: SLOT.oldRoot, at: SLOT.none, path: hostTree(stateDir), flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, notes);
  // An empty file system first: where the host's mounts are shared it appears in other namespaces too, and goes there with ours. Once it is
  // private nothing that lies on it is seen elsewhere.
  plan.add('child', 'fs_mount', { slot: SLOT.mount, type: 'tmpfs', options: ['source=naru', 'mode=700', 'size=4k'], attr }, notes);
  plan.add('child', 'attach', { slot: SLOT.mount, root: SLOT.oldRoot, path: '.' }, notes);
  plan.add('child', 'mount_setattr', { slot: SLOT.mount, flags: 0, set: 0, clear: 0, propagation: MS_PRIVATE, userns: SLOT.none }, notes);
  plan.add('child', 'attach', { slot: SLOT.root, root: SLOT.mount, path: '.' }, { why: 'rootfs: attached there', pointer: '/root' });
  plan.add('child', 'close', { slot: SLOT.oldRoot }, { why: 'no way back to the host (CVE-2024-21626)', pointer: '/root' });
}

/** child: enter the rootfs. */
export const addChroot = (plan: PlanBuilder): void =>
  plan.add('child', 'chroot', { root: SLOT.root }, { why: 'rootfs becomes / (no mount namespace to pivot in)', pointer: '/root' });

/** child of an exec, while it still sees the host's paths. */
export const addOpenHostTree = (plan: PlanBuilder, stateDir: string): void =>
  plan.add('child', 'open', { slot: SLOT.root, at: SLOT.none, path: hostTree(stateDir), flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, { why: 'the container\'s rootfs: it has no mount namespace', pointer: '/root' });
