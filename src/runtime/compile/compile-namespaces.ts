import type { IdMapping, NamespaceType, OciLinux } from '#spec/oci-runtime.ts';
import {
  CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS,
} from '#sys/numbers.ts';
import { NaruError } from '#spec/errors.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SAVED_NAMESPACE_SLOTS, SLOT } from './slots.ts';

export const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, number>> = {
  pid: CLONE_NEWPID, network: CLONE_NEWNET, mount: CLONE_NEWNS, ipc: CLONE_NEWIPC, uts: CLONE_NEWUTS, user: CLONE_NEWUSER,
  cgroup: CLONE_NEWCGROUP, time: CLONE_NEWTIME,
};
/** Names in /proc/<pid>/ns. */
export const NAMESPACE_FILES: Readonly<Record<NamespaceType, string>> = {
  pid: 'pid', network: 'net', mount: 'mnt', ipc: 'ipc', uts: 'uts', user: 'user', cgroup: 'cgroup', time: 'time',
};

/** uid_map's and gid_map's lines. */
export const mappingText = (mappings: readonly IdMapping[]): string =>
  mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('');

interface JoinedNamespace { readonly type: NamespaceType; readonly path: string; readonly pointer: string }

const SAVED: Readonly<Partial<Record<NamespaceType, number>>> = SAVED_NAMESPACE_SLOTS;

/**
 * prepare: join what is joined by path, then clone into what is new; parent: the shim goes back.
 *
 * The shim joins, not the child, because a child in a new user namespace has no right to enter namespaces of the host, and
 * because a pid namespace only takes those who are born into it. Mount and user namespaces are the child's to join: the
 * shim must keep its root directory and its rights.
 */
export function addNamespaces(plan: PlanBuilder, linux: OciLinux, cgroupSlot: number): void {
  const { joined, created } = sortNamespaces(linux);
  const mine = joined.filter((n) => SAVED[n.type] !== undefined);
  for (const { type, path, pointer } of mine) {
    plan.add('prepare', 'open', { slot: SAVED[type]!, at: SLOT.none, path: `/proc/self/ns/${NAMESPACE_FILES[type]}`, flags: 0, mode: 0, resolve: 0 }, { why: `${type} namespace: the way back`, pointer });
    plan.add('prepare', 'open', { slot: SLOT.mount, at: SLOT.none, path, flags: 0, mode: 0, resolve: 0 }, { why: `${type} namespace ${path}`, pointer });
    plan.add('prepare', 'setns', { slot: SLOT.mount, nstype: NAMESPACE_FLAGS[type] }, { why: `${type} namespace ${path}: the child is born in it`, pointer });
  }
  const offsets = timeOffsets(linux);
  if (offsets !== '') {
    // Offsets can be set until the first process enters: so the namespace is made before the child.
    plan.add('prepare', 'open', { slot: SAVED_NAMESPACE_SLOTS.time, at: SLOT.none, path: '/proc/self/ns/time', flags: 0, mode: 0, resolve: 0 }, { why: 'time namespace: the way back', pointer: '/linux/timeOffsets' });
    plan.add('prepare', 'unshare', { flags: CLONE_NEWTIME }, { why: 'time namespace', pointer: '/linux/timeOffsets' });
    plan.add('prepare', 'write', { path: '/proc/self/timens_offsets', flags: 0, data: offsets }, { why: 'clock offsets', pointer: '/linux/timeOffsets' });
  }
  const user = joined.find((n) => n.type === 'user');
  const deferred = CLONE_NEWCGROUP | (offsets === '' ? 0 : CLONE_NEWTIME);
  const flags = created & ~deferred;
  // What is new belongs to the joined user namespace: made by `addEnterNamespaces` after the child entered it.
  plan.add('prepare', 'clone', { flags: user === undefined ? flags : 0, cgroup: cgroupSlot },
    { why: `the child, in ${namesOf(linux, flags) || 'the namespaces of the shim'}`, pointer: '/linux/namespaces' });
  for (const { type, pointer } of mine) {
    plan.add('parent', 'setns', { slot: SAVED[type]!, nstype: NAMESPACE_FLAGS[type] }, { why: `back from the joined ${type} namespace`, pointer });
  }
  if (offsets !== '') {
    plan.add('parent', 'setns', { slot: SAVED_NAMESPACE_SLOTS.time, nstype: CLONE_NEWTIME }, { why: 'hooks keep the host\'s clocks', pointer: '/linux/timeOffsets' });
  }
  if ((flags & CLONE_NEWUSER) !== 0 && user === undefined) {
    // One write each; the child waits, and has no id before.
    plan.add('parent', 'child_write', { name: 'uid_map', data: mappingText(linux.uidMappings ?? []) }, { why: 'user namespace: uids', pointer: '/linux/uidMappings' });
    plan.add('parent', 'child_write', { name: 'gid_map', data: mappingText(linux.gidMappings ?? []) }, { why: 'user namespace: gids', pointer: '/linux/gidMappings' });
  }
}

/**
 * prepare, for a caller without rights: the shim itself enters the new user namespace, where it has every right over what it makes
 * from then on; the kernel lets it map its own ids, and nobody else's (https://man7.org/linux/man-pages/man7/user_namespaces.7.html).
 */
export function addOwnUserNamespace(plan: PlanBuilder, linux: OciLinux, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  for (const [field, mappings, own] of [['uidMappings', linux.uidMappings, uid], ['gidMappings', linux.gidMappings, gid]] as const) {
    const [mapping] = mappings ?? [];
    if (mappings?.length !== 1 || mapping!.hostID !== own || mapping!.size !== 1) {
      throw new NaruError('unsupported', `/linux/${field}: without rights on the machine only one's own id can be mapped: one entry with hostID ${own} and size 1`, { hint: 'rootless engines such as podman map more before they call the runtime' });
    }
    if (mapping!.containerID !== 0) throw new NaruError('unsupported', `/linux/${field}/0/containerID: without rights on the machine it must be 0`);
  }
  plan.add('prepare', 'unshare', { flags: CLONE_NEWUSER | CLONE_NEWNS }, { why: 'user namespace, and mounts that belong to it', pointer: '/linux/uidMappings' });
  for (const [file, data, pointer] of [
    ['setgroups', 'deny', '/linux/gidMappings'], ['uid_map', mappingText(linux.uidMappings!), '/linux/uidMappings'], ['gid_map', mappingText(linux.gidMappings!), '/linux/gidMappings'],
  ] as const) plan.add('prepare', 'write', { path: `/proc/self/${file}`, flags: 0, data }, { why: `user namespace: ${file}`, pointer });
}

/** child: the first thing it does after the parent is ready. */
export function addEnterNamespaces(plan: PlanBuilder, linux: OciLinux): void {
  const { joined, created } = sortNamespaces(linux);
  const user = joined.find((n) => n.type === 'user');
  const open = (slot: number, n: JoinedNamespace): void => {
    plan.add('child', 'open', { slot, at: SLOT.none, path: n.path, flags: 0, mode: 0, resolve: 0 }, { why: `${n.type} namespace ${n.path}`, pointer: n.pointer });
  };
  const mount = joined.find((n) => n.type === 'mount');
  if (mount !== undefined) open(SLOT.joinMount, mount);
  if (user !== undefined) {
    open(SLOT.joinUser, user);
    plan.add('child', 'setns', { slot: SLOT.joinUser, nstype: CLONE_NEWUSER }, { why: 'user namespace first: it owns the rest', pointer: user.pointer });
    const flags = created & ~CLONE_NEWCGROUP;
    if (flags !== 0) plan.add('child', 'reclone', { flags }, { why: `new: ${namesOf(linux, flags)}`, pointer: '/linux/namespaces' });
  }
  if (mount !== undefined) plan.add('child', 'setns', { slot: SLOT.joinMount, nstype: CLONE_NEWNS }, { why: `mount namespace ${mount.path}`, pointer: mount.pointer });
  if (user !== undefined || (created & CLONE_NEWUSER) !== 0) {
    plan.add('child', 'setresgid', { gid: 0 }, { why: 'root of the user namespace', pointer: '/linux/gidMappings' });
    plan.add('child', 'setresuid', { uid: 0 }, { why: 'root of the user namespace', pointer: '/linux/uidMappings' });
  }
}

/** child, once it is in its cgroup: the cgroup namespace's root is the cgroup one is in. */
export function addCgroupNamespace(plan: PlanBuilder, linux: OciLinux): void {
  const index = linux.namespaces?.findIndex((n) => n.type === 'cgroup') ?? -1;
  if (index < 0) return;
  const pointer = `/linux/namespaces/${index}`;
  const path = linux.namespaces?.[index]?.path;
  if (path === undefined || path === '') {
    plan.add('child', 'unshare', { flags: CLONE_NEWCGROUP }, { why: 'cgroup namespace: rooted where the child now is', pointer });
    return;
  }
  plan.add('child', 'open', { slot: SLOT.joinCgroup, at: SLOT.none, path, flags: 0, mode: 0, resolve: 0 }, { why: `cgroup namespace ${path}`, pointer });
  plan.add('child', 'setns', { slot: SLOT.joinCgroup, nstype: CLONE_NEWCGROUP }, { why: `cgroup namespace ${path}`, pointer });
}

function sortNamespaces(linux: OciLinux): { joined: JoinedNamespace[]; created: number } {
  const joined: JoinedNamespace[] = [];
  let created = 0;
  linux.namespaces?.forEach(({ type, path }, index) => {
    if (path === undefined || path === '') created |= NAMESPACE_FLAGS[type];
    else if (type !== 'cgroup') joined.push({ type, path, pointer: `/linux/namespaces/${index}` });
  });
  return { joined, created };
}

const namesOf = (linux: OciLinux, flags: number): string =>
  (linux.namespaces ?? []).filter((n) => (NAMESPACE_FLAGS[n.type] & flags) !== 0).map((n) => n.type).join(', ');

/** The lines of timens_offsets. */
const timeOffsets = (linux: OciLinux): string =>
  Object.entries(linux.timeOffsets ?? {}).map(([clock, o]) => `${clock} ${o.secs ?? 0} ${o.nanosecs ?? 0}\n`).join('');
