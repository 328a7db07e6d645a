import type { OciMount, OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { AT_EMPTY_PATH, AT_RECURSIVE, CLONE_NEWNS, MOUNT_ATTR_IDMAP, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_REC, O_DIRECTORY, O_NOFOLLOW, O_PATH, OPEN_TREE_CLONE, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS } from '#sys/numbers.ts';
import { cleanPath } from './clean-path.ts';
import { addCgroupMount } from './compile-cgroup-mount.ts';
import type { CompileHost } from './compile-host.ts';
import { clonePropagation } from './compile-host-tree.ts';
import { mappingText } from './compile-namespaces.ts';
import { parseMountOptions, type MountOptions } from './mount-options.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { PREPARED_MOUNT_SLOTS, SLOT } from './slots.ts';

export interface MountContext {
  readonly host: CompileHost;
  readonly spec: OciSpec;
  readonly cgroupPath: string;
}

/** A path as the `inroot` arguments want it: relative, without `.`; `..` stays for the kernel to resolve inside the root. */
export const inRoot = (path: string): string => {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return parts.length === 0 ? '.' : parts.join('/');
};

export const isBind = (mount: OciMount, options: MountOptions): boolean =>
  options.bind !== undefined || mount.type === 'bind' || mount.type === 'rbind';

/** One entry of /mounts, read. */
export interface MountStep {
  readonly mount: OciMount;
  readonly options: MountOptions;
  readonly pointer: string;
  readonly index: number;
  readonly kind: 'bind' | 'cgroup' | 'filesystem';
  /** Binds: where the detached clone is held. */
  readonly slot: number;
  /** The shim makes it ready, before clone: a user namespace's root may neither reach a source, nor map ids, nor enter another mount
   *  namespace; and a disk or a server is reached with the host's devices and network, not with the container's. */
  readonly early: boolean;
  readonly idmapped: boolean;
}

/** File systems that are in the kernel alone. */
const VIRTUAL: ReadonlySet<string> = new Set([
  'proc', 'sysfs', 'tmpfs', 'ramfs', 'devtmpfs', 'devpts', 'mqueue', 'cgroup', 'cgroup2', 'overlay', 'hugetlbfs', 'bpf', 'debugfs', 'tracefs', 'securityfs', 'configfs', 'binfmt_misc', 'fusectl',
]);

export const hasUserNamespace = (spec: OciSpec): boolean => spec.linux?.namespaces?.some((n) => n.type === 'user') === true;

export function readMounts(spec: OciSpec): MountStep[] {
  let prepared = PREPARED_MOUNT_SLOTS.first as number;
  const userNamespace = hasUserNamespace(spec);
  return (spec.mounts ?? []).map((mount, index) => {
    const pointer = `/mounts/${index}`;
    const options = parseMountOptions(mount.options);
    const bind = isBind(mount, options);
    const idmapped = bind && (options.idmap !== undefined || (mount.uidMappings?.length ?? 0) > 0);
    const outside = !bind && (naruOption(options, SUBPATH) !== undefined || (mount.type !== undefined && !VIRTUAL.has(mount.type)));
    const early = outside || (bind && (userNamespace || idmapped || naruOption(options, NAMESPACE) !== undefined));
    if (early && prepared > PREPARED_MOUNT_SLOTS.last) {
      throw new NaruError('unsupported', `${pointer}: more than ${PREPARED_MOUNT_SLOTS.last - PREPARED_MOUNT_SLOTS.first + 1} bind mounts with a user namespace or mapped ids`);
    }
    const kind = bind ? 'bind' : mount.type === 'cgroup' || mount.type === 'cgroup2' ? 'cgroup' : 'filesystem';
    return { mount, options, pointer, index, kind, slot: early ? prepared++ : SLOT.mount, early, idmapped };
  });
}

/** prepare: the sources that the shim opens for the child. (The helper closes what slots hold once the program runs.) */
export function addPreparedMounts(plan: PlanBuilder, steps: readonly MountStep[], { spec, stateDir }: { spec: OciSpec; stateDir: string }): void {
  for (const step of steps) {
    if (!step.early) continue;
    if (step.kind === 'bind') addClone(plan, 'prepare', step, spec);
    else if (naruOption(step.options, SUBPATH) !== undefined) addFileSystemPart(plan, step, stateDir);
    else addOutside(plan, step);
  }
}

/** child: all mounts, in the configuration's order (a later one may lie on an earlier one). */
export function addMounts(plan: PlanBuilder, steps: readonly MountStep[], context: MountContext): void {
  for (const step of steps) {
    if (step.kind === 'bind') {
      addBind(plan, step, context.spec);
      addReadonlyGroups(plan, step, context.spec);
    } else if (step.early) attachClone(plan, step);
    else if (step.kind === 'cgroup') addCgroupMount(plan, { ...context, mount: step.mount, options: step.options, pointer: step.pointer });
    else addFileSystem(plan, { ...step, label: mountLabel(context) });
  }
}

const isTree = ({ mount, options }: MountStep): boolean => options.bind === 'rbind' || mount.type === 'rbind';

function addBind(plan: PlanBuilder, step: MountStep, spec: OciSpec): void {
  if (!step.early) addClone(plan, 'child', step, spec);
  attachClone(plan, step);
}

const CGROUPS = '/sys/fs/cgroup';

/**
 * Rootless engines bind the host's /sys read-only, which says nothing of the mounts below it: groups that were given to the user would be his
 * container's to change (CVE-2023-25809).
 */
function addReadonlyGroups(plan: PlanBuilder, step: MountStep, spec: OciSpec): void {
  const { mount: { source, destination }, options, pointer } = step;
  if (!isTree(step) || (options.attributes.set & MOUNT_ATTR_RDONLY) === 0 || !hasUserNamespace(spec)) return;
  const from = cleanPath(source!);
  if (!`${CGROUPS}/`.startsWith(from === '/' ? from : `${from}/`)) return;
  const below = CGROUPS.slice(from === '/' ? 0 : from.length);
  plan.add('child', 'readonly', { root: SLOT.root, path: inRoot(`${destination}/${below}`), recursive: 1 }, { why: 'cgroups below a read-only tree', pointer: `${pointer}/options` });
}

function attachClone(plan: PlanBuilder, { mount: { source, destination }, pointer, slot }: MountStep): void {
  const path = inRoot(destination);
  plan.add('child', 'target', { root: SLOT.root, path, kind: 2, like: slot, mode: 0o755 }, { why: `mount point ${destination}`, pointer });
  plan.add('child', 'attach', { slot, root: SLOT.root, path }, { why: `bind ${source} on ${destination}`, pointer });
}

/** Options of naru's own. What is mounted is this path below the source (`--mount volume-subpath=`). */
const SUBPATH = 'x-naru.subpath=';
/** Binds: the source is a path in this mount namespace, looked up inside its root. */
export const NAMESPACE = 'x-naru.namespace=';

const naruOption = ({ data }: MountOptions, key: string): string | undefined => data.find((option) => option.startsWith(key))?.slice(key.length);

/** A detached clone of the source with its ids mapped and its attributes set: complete before anybody can see it. */
function addClone(plan: PlanBuilder, section: 'prepare' | 'child', step: MountStep, spec: OciSpec): void {
  const { mount, options, pointer, slot } = step;
  const { destination } = mount;
  const source = mount.source!;
  const tree = isTree(step);
  const flags = OPEN_TREE_CLONE | (tree ? AT_RECURSIVE : 0);
  const subpath = naruOption(options, SUBPATH);
  const namespace = naruOption(options, NAMESPACE);
  if (namespace !== undefined) addForeignClone(plan, { slot, pointer, namespace, path: subpath === undefined ? source : `${source}/${subpath}`, flags });
  else if (subpath === undefined) {
    plan.add(section, 'open_tree', { slot, at: SLOT.none, path: source, flags }, { why: `bind ${source}: a detached clone`, pointer });
    if (section === 'prepare' && hasUserNamespace(spec)) addLockedClone(plan, { slot, path: source, flags, pointer });
  } else {
    addSubpathClone(plan, section, { slot, pointer, source, subpath, flags });
  }
  const propagation = clonePropagation(spec);
  if (propagation !== 0) plan.add(section, 'mount_setattr', { slot, flags: tree ? AT_RECURSIVE : 0, set: 0, clear: 0, propagation, userns: SLOT.none }, { why: `${destination}: no propagation to the host`, pointer });
  if (step.idmapped) {
    const uids = mount.uidMappings?.length ? mount.uidMappings : spec.linux?.uidMappings;
    const gids = mount.gidMappings?.length ? mount.gidMappings : spec.linux?.gidMappings;
    if (!uids?.length || !gids?.length) throw new NaruError('invalid', `${pointer}/uidMappings: an idmapped mount needs mappings, its own or those of /linux`);
    const ids = { why: `map ids of ${destination}`, pointer: `${pointer}/uidMappings` };
    plan.add(section, 'userns', { slot: SLOT.idmap, uidMap: mappingText(uids), gidMap: mappingText(gids) }, ids);
    plan.add(section, 'mount_setattr', { slot, flags: options.idmap === 'ridmap' ? AT_RECURSIVE : 0, set: MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns: SLOT.idmap }, ids);
    plan.add(section, 'close', { slot: SLOT.idmap }, ids);
  }
  addAttributes(plan, section, { slot, options, pointer, tree, destination });
}

/**
 * The shim clones with all rights, and the root of a user namespace may change what its mount namespace holds: a file system
 * that the host has mounted read-only could be remounted writable there. So it is cloned once more from a copy of the mount
 * namespace where such attributes are locked. (The kernel refuses that for a part of a tree with mounts below: then the first
 * clone stays.)
 */
export function addLockedClone(plan: PlanBuilder, { slot, path, flags, pointer }: { slot: number; path: string; flags: number; pointer: string }): void {
  const notes = { why: `${path}: what the host has locked stays locked`, pointer };
  plan.add('prepare', 'open', { slot: SLOT.ownMount, at: SLOT.none, path: '/proc/self/ns/mnt', flags: 0, mode: 0, resolve: 0 }, notes);
  plan.add('prepare', 'setns', { slot: SLOT.lockedMounts, nstype: CLONE_NEWNS }, notes);
  plan.add('prepare', 'open_tree', { slot, at: SLOT.none, path, flags }, { ...notes, tolerate: [EINVAL] });
  plan.add('prepare', 'setns', { slot: SLOT.ownMount, nstype: CLONE_NEWNS }, notes);
  plan.add('prepare', 'close', { slot: SLOT.ownMount }, notes);
}

/** prepare, before any `addLockedClone`. */
export function addLockedMounts(plan: PlanBuilder, spec: OciSpec): void {
  if (!hasUserNamespace(spec)) return;
  const notes = { why: 'mounts as the user namespace may see them', pointer: '/linux/namespaces' };
  plan.add('prepare', 'locked_mounts', { slot: SLOT.lockedMounts }, notes);
  // Should one of the next steps fail, what is cleaned up lies here, not there. (Closed, and skipped, when all went well.)
  plan.add('cleanup', 'setns', { slot: SLOT.ownMount, nstype: CLONE_NEWNS }, notes);
}

const EINVAL = 22;

interface CloneOf { readonly slot: number; readonly pointer: string; readonly flags: number }

/** Whoever writes the source may put links there: they are followed inside it alone, and what was found is what is cloned. */
function addSubpathClone(plan: PlanBuilder, section: 'prepare' | 'child', { slot, pointer, flags, source, subpath }: CloneOf & { source: string; subpath: string }): void {
  const why = `bind ${subpath} of ${source}`;
  plan.add(section, 'open', { slot: SLOT.mountPoint, at: SLOT.none, path: source, flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, { why, pointer });
  plan.add(section, 'open', { slot, at: SLOT.mountPoint, path: inRoot(subpath), flags: O_PATH, mode: 0, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS }, { why: `${why}: looked up inside it`, pointer });
  plan.add(section, 'open_tree', { slot, at: slot, path: '', flags: flags | AT_EMPTY_PATH }, { why: `${why}: a detached clone`, pointer });
}

/** A mount of another container, cloned where it is attached: in that one's namespace. Its tree is that container's to change, so the path
 *  is looked up inside its root. */
function addForeignClone(plan: PlanBuilder, { slot, pointer, flags, namespace, path }: CloneOf & { namespace: string; path: string }): void {
  const why = `${path} in ${namespace}`;
  plan.add('prepare', 'open', { slot: SLOT.ownMount, at: SLOT.none, path: '/proc/self/ns/mnt', flags: 0, mode: 0, resolve: 0 }, { why: `${why}: the way back`, pointer });
  // Should one of the next steps fail, what is cleaned up lies here, not there. (Closed, and skipped, when all went well.)
  plan.add('cleanup', 'setns', { slot: SLOT.ownMount, nstype: CLONE_NEWNS }, { why: `${why}: the way back`, pointer });
  plan.add('prepare', 'open', { slot: SLOT.mountPoint, at: SLOT.none, path: namespace, flags: 0, mode: 0, resolve: 0 }, { why, pointer });
  plan.add('prepare', 'setns', { slot: SLOT.mountPoint, nstype: CLONE_NEWNS }, { why, pointer });
  plan.add('prepare', 'open', { slot: SLOT.mountPoint, at: SLOT.none, path: inRoot(path), flags: O_PATH, mode: 0, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS }, { why, pointer });
  plan.add('prepare', 'open_tree', { slot, at: SLOT.mountPoint, path: '', flags: flags | AT_EMPTY_PATH }, { why: `${why}: a detached clone`, pointer });
  plan.add('prepare', 'setns', { slot: SLOT.ownMount, nstype: CLONE_NEWNS }, { why: `${why}: back`, pointer });
  plan.add('prepare', 'close', { slot: SLOT.ownMount }, { why: `${why}: back`, pointer });
}

/** The attributes of a clone in as few calls as they can be said in; nothing is cleared that was not asked for. */
function addAttributes(plan: PlanBuilder, section: 'prepare' | 'child', of: { slot: number; options: MountOptions; pointer: string; tree: boolean; destination: string }): void {
  const { slot, pointer, tree, destination, options: { attributes: own, recursive, propagation } } = of;
  const call = (flags: number, set: number, clear: number, type: number): void => {
    if (set === 0 && clear === 0 && type === 0) return;
    plan.add(section, 'mount_setattr', { slot, flags, set, clear, propagation: type, userns: SLOT.none }, { why: `attributes of ${destination}`, pointer: `${pointer}/options` });
  };
  const type = propagation?.type ?? 0;
  const wide = propagation?.recursive === true ? type : 0;
  const narrow = type - wide;
  if (!tree) {
    // One mount: what holds for the tree holds for it.
    call(0, own.set | recursive.set, own.clear | recursive.clear, type);
    return;
  }
  call(AT_RECURSIVE, recursive.set, recursive.clear, wide);
  call(0, own.set, own.clear, narrow);
}

/** proc and sysfs are the kernel's word to the program: they go on an ordinary directory, never through a link. */
const NO_LINKS = new Set(['proc', 'sysfs']);

/** A part of a file system: the whole is attached for a moment over a directory of ours in a private namespace, since kernels before 6.15
 *  clone nothing from a detached mount. */
function addFileSystemPart(plan: PlanBuilder, { mount, options, pointer, slot }: MountStep, stateDir: string): void {
  const { destination } = mount;
  const type = mount.type ?? '';
  const subpath = naruOption(options, SUBPATH)!;
  const notes = { why: `${type} for ${destination}: its part ${subpath}`, pointer };
  plan.add('prepare', 'open', { slot: SLOT.ownMount, at: SLOT.none, path: '/proc/self/ns/mnt', flags: 0, mode: 0, resolve: 0 }, notes);
  plan.add('prepare', 'unshare', { flags: CLONE_NEWNS }, notes);
  plan.add('prepare', 'mount', { source: '', target: '/', type: '', flags: MS_REC | MS_PRIVATE, data: '' }, notes);
  plan.add('prepare', 'fs_mount', { slot, type, options: [`source=${mount.source || type}`, ...options.data.filter((option) => !option.startsWith(SUBPATH))], attr: fsAttributes(options) }, notes);
  plan.add('prepare', 'open', { slot: SLOT.mountPoint, at: SLOT.none, path: stateDir, flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }, notes);
  plan.add('prepare', 'attach', { slot, root: SLOT.mountPoint, path: '.' }, notes);
  addSubpathClone(plan, 'prepare', { slot, pointer, flags: OPEN_TREE_CLONE, source: stateDir, subpath });
  plan.add('prepare', 'setns', { slot: SLOT.ownMount, nstype: CLONE_NEWNS }, notes);
  plan.add('prepare', 'close', { slot: SLOT.ownMount }, notes);
}

function addOutside(plan: PlanBuilder, { mount, options, pointer, slot }: MountStep): void {
  plan.add('prepare', 'fs_mount', { slot, type: mount.type!, options: [`source=${mount.source || mount.type}`, ...options.data], attr: fsAttributes(options) }, { why: `${mount.type} for ${mount.destination}`, pointer });
}

interface FileSystemStep extends MountStep { readonly label: string | undefined }

/** File systems whose files have no labels of their own. */
const LABELLED = new Set(['tmpfs', 'devpts', 'mqueue']);

function mountLabel({ spec, host }: MountContext): string | undefined {
  const label = spec.linux?.mountLabel;
  if (label === undefined || label === '') return undefined;
  if (!host.selinux) throw new NaruError('unsupported', `/linux/mountLabel: the kernel has no SELinux, label ${JSON.stringify(label)} cannot be applied`);
  return label;
}

function addFileSystem(plan: PlanBuilder, { mount, options, pointer, label }: FileSystemStep): void {
  const { destination } = mount;
  const type = mount.type ?? '';
  if (type === '') throw new NaruError('invalid', `${pointer}/type: missing, and the options name no bind`);
  const path = inRoot(destination);
  const slot = slotFor(type, cleanPath(destination));
  const attr = fsAttributes(options) & ~(options.copyUp ? MOUNT_ATTR_RDONLY : 0);
  plan.add('child', 'target', { root: SLOT.root, path, kind: 0, like: SLOT.none, mode: 0o755 }, { why: `mount point ${destination}`, pointer });
  const source = [`source=${mount.source || type}`];
  plan.add('child', 'fs_mount', { slot, type, options: [...source, ...options.data, ...(label !== undefined && LABELLED.has(type) ? [`context=${label}`] : [])], attr }, { why: `${type} for ${destination}`, pointer });
  if (type === 'tmpfs' && !options.data.some((o) => o.startsWith('mode='))) {
    plan.add('child', 'copy_mode', { slot, root: SLOT.root, path }, { why: `${destination} keeps the mode of what it hides`, pointer });
  }
  if (options.copyUp) {
    plan.add('child', 'copy_up', { slot, root: SLOT.root, path }, { why: `${destination} keeps its files`, pointer });
    if ((options.attributes.set & MOUNT_ATTR_RDONLY) !== 0) {
      plan.add('child', 'mount_setattr', { slot, flags: 0, set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns: SLOT.none }, { why: `${destination} read-only once filled`, pointer });
    }
  }
  if (NO_LINKS.has(type)) {
    plan.add('child', 'open', { slot: SLOT.mountPoint, at: SLOT.root, path, flags: O_PATH | O_DIRECTORY | O_NOFOLLOW, mode: 0, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS },
      { why: `${destination} must be an ordinary directory`, pointer });
    plan.add('child', 'attach', { slot, root: SLOT.mountPoint, path: '.' }, { why: `${type} on ${destination}`, pointer });
  } else {
    plan.add('child', 'attach', { slot, root: SLOT.root, path }, { why: `${type} on ${destination}`, pointer });
  }
  if (options.propagation !== undefined) {
    plan.add('child', 'mount_setattr', { slot, flags: options.propagation.recursive ? AT_RECURSIVE : 0, set: 0, clear: 0, propagation: options.propagation.type, userns: SLOT.none },
      { why: `propagation of ${destination}`, pointer: `${pointer}/options` });
  }
}

/** Mounts that later steps look into keep a slot of their own. */
function slotFor(type: string, destination: string): number {
  if (type === 'tmpfs' && destination === '/dev') return SLOT.dev;
  if (type === 'devpts' && destination === '/dev/pts') return SLOT.devpts;
  return SLOT.mount;
}

/** The attributes of a new mount: nothing has to be cleared there. */
export const fsAttributes = (options: MountOptions): number => options.attributes.set | options.recursive.set;
