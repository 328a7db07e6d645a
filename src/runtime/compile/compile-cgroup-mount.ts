import type { OciMount, OciSpec } from '#spec/oci-runtime.ts';
import { AT_RECURSIVE, MOUNT_ATTR_RDONLY, OPEN_TREE_CLONE } from '#sys/numbers.ts';
import type { CompileHost } from './compile-host.ts';
import { clonePropagation } from './compile-host-tree.ts';
import { cleanPath } from './clean-path.ts';
import type { MountOptions } from './mount-options.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';

export interface CgroupMountStep {
  readonly host: CompileHost;
  readonly spec: OciSpec;
  readonly cgroupPath: string;
  readonly mount: OciMount;
  readonly options: MountOptions;
  readonly pointer: string;
}

const inPath = (destination: string): string => cleanPath(destination).slice(1) || '.';

/**
 * A mount of type `cgroup` means: show the container its own cgroups, whatever the host's hierarchy is.
 * v2: the cgroup2 file system (with a cgroup namespace its root is the container's cgroup, without one the container's
 * directory is bound). v1: a tmpfs with one directory for each hierarchy.
 */
export function addCgroupMount(plan: PlanBuilder, step: CgroupMountStep): void {
  if (step.host.cgroups.version === 2) addUnified(plan, step);
  else addHierarchies(plan, step);
}

const ownNamespace = (spec: OciSpec): boolean => spec.linux?.namespaces?.some((n) => n.type === 'cgroup') === true;

function addUnified(plan: PlanBuilder, { spec, host, cgroupPath, mount, options, pointer }: CgroupMountStep): void {
  const path = inPath(mount.destination);
  const attr = options.attributes.set | options.recursive.set;
  plan.add('child', 'target', { root: SLOT.root, path, kind: 0, like: SLOT.none, mode: 0o755 }, { why: `mount point ${mount.destination}`, pointer });
  if (ownNamespace(spec)) {
    plan.add('child', 'fs_mount', { slot: SLOT.mount, type: 'cgroup2', options: ['source=cgroup', ...options.data.filter((o) => o !== 'none')], attr }, { why: 'cgroup2, rooted at the container\'s cgroup', pointer });
  } else {
    const root = host.cgroups.unifiedRoot ?? '/sys/fs/cgroup';
    plan.add('child', 'open_tree', { slot: SLOT.mount, at: SLOT.none, path: joinPath(root, cgroupPath), flags: OPEN_TREE_CLONE }, { why: 'the container\'s cgroup', pointer });
    plan.add('child', 'mount_setattr', { slot: SLOT.mount, flags: 0, set: attr, clear: 0, propagation: clonePropagation(spec), userns: SLOT.none }, { why: 'attributes of the cgroup mount', pointer });
  }
  plan.add('child', 'attach', { slot: SLOT.mount, root: SLOT.root, path }, { why: `cgroups on ${mount.destination}`, pointer });
}

function addHierarchies(plan: PlanBuilder, { spec, host, cgroupPath, mount, options, pointer }: CgroupMountStep): void {
  const path = inPath(mount.destination);
  const attr = options.attributes.set | options.recursive.set;
  plan.add('child', 'target', { root: SLOT.root, path, kind: 0, like: SLOT.none, mode: 0o755 }, { why: `mount point ${mount.destination}`, pointer });
  plan.add('child', 'fs_mount', { slot: SLOT.dirTmpfs, type: 'tmpfs', options: ['source=tmpfs', 'mode=755', 'size=64k'], attr: attr & ~MOUNT_ATTR_RDONLY }, { why: 'a directory for each hierarchy', pointer });
  // Attached first, filled then: only a mount in our own namespace may be mounted on.
  plan.add('child', 'attach', { slot: SLOT.dirTmpfs, root: SLOT.root, path }, { why: `cgroups on ${mount.destination}`, pointer });
  const own = ownNamespace(spec);
  for (const hierarchy of host.cgroups.hierarchies) {
    const { name } = hierarchy;
    plan.add('child', 'target', { root: SLOT.dirTmpfs, path: name, kind: 0, like: SLOT.none, mode: 0o755 }, { why: `cgroup hierarchy ${name}`, pointer });
    if (own) {
      plan.add('child', 'fs_mount', { slot: SLOT.mount, type: hierarchy.unified ? 'cgroup2' : 'cgroup', options: ['source=cgroup', ...hierarchy.options], attr }, { why: `cgroup hierarchy ${name}, rooted at the container's cgroup`, pointer });
    } else {
      plan.add('child', 'open_tree', { slot: SLOT.mount, at: SLOT.none, path: joinPath(hierarchy.mountPoint, cgroupPath), flags: OPEN_TREE_CLONE }, { why: `cgroup hierarchy ${name}: the container's own`, pointer });
      plan.add('child', 'mount_setattr', { slot: SLOT.mount, flags: AT_RECURSIVE, set: attr, clear: 0, propagation: clonePropagation(spec), userns: SLOT.none }, { why: 'attributes of the cgroup mount', pointer });
    }
    plan.add('child', 'attach', { slot: SLOT.mount, root: SLOT.dirTmpfs, path: name }, { why: `cgroup hierarchy ${name}`, pointer });
    for (const alias of hierarchy.aliases) {
      plan.add('child', 'symlink', { root: SLOT.dirTmpfs, path: alias, to: name }, { why: `${alias} is in ${name}`, pointer });
    }
  }
  if ((attr & MOUNT_ATTR_RDONLY) !== 0) {
    plan.add('child', 'mount_setattr', { slot: SLOT.dirTmpfs, flags: 0, set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns: SLOT.none }, { why: 'the directory of hierarchies is full', pointer });
  }
}

const joinPath = (root: string, path: string): string => `${root.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`;
