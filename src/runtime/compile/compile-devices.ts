import type { OciSpec } from '#spec/oci-runtime.ts';
import { OPEN_TREE_CLONE, S_IFBLK, S_IFCHR, S_IFIFO } from '#sys/numbers.ts';
import { cleanPath } from './clean-path.ts';
import type { CompileHost } from './compile-host.ts';
import { inRoot, isBind } from './compile-mounts.ts';
import { parseMountOptions } from './mount-options.ts';
import type { PlanBuilder } from './plan-builder.ts';
import { SLOT } from './slots.ts';

/** A rootfs may bring its own /dev, as runc allows. */
const EEXIST = 17;

/** Linux's 64-bit device number, as mknod(2) takes it (its 32-bit kernel form). */
export const deviceNumber = (major: number, minor: number): number => (minor & 0xff) + (major & 0xfff) * 256 + (minor >>> 8) * 0x100000;

interface Device { path: string; type: 'c' | 'b' | 'p'; major: number; minor: number; mode: number; uid: number; gid: number; pointer: string | undefined; host: string }

/** The devices that runtime-spec promises in every container. */
const DEFAULT_DEVICES: readonly (readonly [string, number, number])[] = [
  ['/dev/null', 1, 3], ['/dev/zero', 1, 5], ['/dev/full', 1, 7], ['/dev/random', 1, 8], ['/dev/urandom', 1, 9], ['/dev/tty', 5, 0],
];

const DEV_LINKS: readonly (readonly [string, string])[] = [
  ['fd', '/proc/self/fd'], ['stdin', '/proc/self/fd/0'], ['stdout', '/proc/self/fd/1'], ['stderr', '/proc/self/fd/2'],
];

/** What /dev is: a tmpfs of ours (nodes are made directly below it), something else in the rootfs, or the host's own. */
export type DevKind = 'tmpfs' | 'rootfs' | 'bound';

export function devKind(spec: OciSpec): DevKind {
  let kind: DevKind = 'rootfs';
  for (const mount of spec.mounts ?? []) {
    const path = cleanPath(mount.destination);
    if (path === '/dev') kind = isBind(mount, parseMountOptions(mount.options)) ? 'bound' : mount.type === 'tmpfs' ? 'tmpfs' : 'rootfs';
    else if (path === '/') kind = 'rootfs';
  }
  return kind;
}

const hasDevpts = (spec: OciSpec): boolean => spec.mounts?.some((m) => m.type === 'devpts' && cleanPath(m.destination) === '/dev/pts') === true;

/** Device nodes and the links beside them. A bound /dev is somebody else's: left alone. */
export function addDevices(plan: PlanBuilder, spec: OciSpec, host: CompileHost): void {
  const kind = devKind(spec);
  if (kind === 'bound') return;
  const at = placeIn(kind);
  const bind = host.inUserNamespace === true || spec.linux?.namespaces?.some((n) => n.type === 'user') === true;
  const parents = new Set<string>();
  for (const device of deviceList(spec)) {
    const { root, path } = at(device.path);
    const notes = { why: `device ${device.path}`, ...(device.pointer !== undefined && { pointer: device.pointer }), ...(kind === 'rootfs' && { tolerate: [EEXIST] }) };
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    if (parent !== '' && !parents.has(parent)) {
      parents.add(parent);
      plan.add('child', 'target', { root, path: parent, kind: 0, like: SLOT.none, mode: 0o755 }, notes);
    }
    if (bind && device.type !== 'p') {
      // mknod is not allowed in a user namespace: the host's node is bound instead.
      plan.add('child', 'open_tree', { slot: SLOT.mount, at: SLOT.none, path: device.host, flags: OPEN_TREE_CLONE }, notes);
      plan.add('child', 'target', { root, path, kind: 1, like: SLOT.none, mode: 0o755 }, notes);
      plan.add('child', 'attach', { slot: SLOT.mount, root, path }, notes);
      continue;
    }
    plan.add('child', 'mknod', { root, path, mode: TYPE_BITS[device.type] | device.mode, dev: deviceNumber(device.major, device.minor), uid: device.uid, gid: device.gid }, notes);
  }
  const link = (name: string, to: string): void => {
    const { root, path } = at(`/dev/${name}`);
    plan.add('child', 'symlink', { root, path, to }, { why: `/dev/${name}`, ...(kind === 'rootfs' && { tolerate: [EEXIST] }) });
  };
  for (const [name, to] of DEV_LINKS) link(name, to);
  link('core', '/proc/kcore');
  if (hasDevpts(spec)) link('ptmx', 'pts/ptmx');
}

const TYPE_BITS = { c: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

/** Paths below a tmpfs of ours need no walk through the container's tree (and no trust in it). */
function placeIn(kind: DevKind): (path: string) => { root: number; path: string } {
  return (path) => {
    const clean = cleanPath(path);
    return kind === 'tmpfs' && clean.startsWith('/dev/')
      ? { root: SLOT.dev, path: clean.slice(5) }
      : { root: SLOT.root, path: inRoot(clean) };
  };
}

function deviceList(spec: OciSpec): Device[] {
  const devices = new Map<string, Device>();
  for (const [path, major, minor] of DEFAULT_DEVICES) {
    devices.set(path, { path, type: 'c', major, minor, mode: 0o666, uid: 0, gid: 0, pointer: undefined, host: path });
  }
  spec.linux?.devices?.forEach((d, index) => {
    const path = cleanPath(d.path);
    // Always a link into the container's own devpts, as runc has it: the host's would open the host's terminals.
    if (path === '/dev/ptmx' && hasDevpts(spec)) return;
    devices.set(path, {
      path, type: d.type === 'u' ? 'c' : d.type, major: d.major ?? 0, minor: d.minor ?? 0, mode: (d.fileMode ?? 0o666) & 0o7777,
      uid: d.uid ?? 0, gid: d.gid ?? 0, pointer: `/linux/devices/${index}`, host: d.path,
    });
  });
  return [...devices.values()];
}

/** The container's terminal: the slave of its own devpts, also bound on /dev/console, from the descriptor that was opened,
 *  so that no name in the container's /dev can stand in for it. */
export function addConsole(plan: PlanBuilder, spec: OciSpec, size: { rows: number; columns: number }): void {
  const own = hasDevpts(spec);
  const pointer = '/process/terminal';
  plan.add('child', 'pty', { devpts: own ? SLOT.devpts : SLOT.none, slave: SLOT.slave, rows: size.rows, cols: size.columns, uid: spec.process?.user.uid ?? 0, gid: -1 },
    { why: 'a pseudo terminal; the master goes to the shim', pointer });
  const kind = devKind(spec);
  if (kind === 'bound' || !own) return;
  const { root, path } = placeIn(kind)('/dev/console');
  plan.add('child', 'target', { root, path, kind: 1, like: SLOT.none, mode: 0o755 }, { why: '/dev/console', pointer });
  plan.add('child', 'open_tree', { slot: SLOT.mount, at: SLOT.slave, path: '', flags: OPEN_TREE_CLONE | 0x1000 }, { why: '/dev/console: the slave itself', pointer });
  plan.add('child', 'attach', { slot: SLOT.mount, root, path }, { why: '/dev/console is the terminal', pointer });
}
