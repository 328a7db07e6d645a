import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';

/** One mounted cgroup hierarchy: v2's, or one of v1's. */
export interface Hierarchy {
  /** The last component of its mount point: `memory`, `cpu,cpuacct`, `systemd`, `unified`. */
  readonly name: string;
  readonly mountPoint: string;
  readonly unified: boolean;
  /** v1: controllers; v2: those that its root offers. Empty for v1's named hierarchies. */
  readonly controllers: readonly string[];
  /** v1: mount options that give this hierarchy again: controllers, `name=systemd`. Empty for v2. */
  readonly options: readonly string[];
  /** v1: other names that programs look for beside `name` (`cpu` and `cpuacct` for `cpu,cpuacct`). */
  readonly aliases: readonly string[];
  /** The group that this process is in, below the mount point: `/`, `/system.slice/naru.service`. */
  readonly own: string;
  /** Files of its root and of some groups below; read when they are first asked for, by a limit that not every kernel has. */
  readonly files: ReadonlySet<string>;
  /** Some group below the root was seen, so that a v1 file that is not in `files` does not exist at all. */
  readonly filesComplete: boolean;
}

/** The facts about a machine's cgroups on which plans depend. A value: but for `files`, nothing here reads the kernel later. */
export interface CgroupHost {
  /** 2: only the unified hierarchy; 1: some controller is on v1 (hybrid: v2 is mounted beside it). */
  readonly version: 1 | 2;
  readonly hybrid: boolean;
  readonly hierarchies: readonly Hierarchy[];
  /** Mount point of v2, when it is mounted. */
  readonly unifiedRoot: string | undefined;
  /** v1: the root's cpuset (lists as `0-3,5`), which a first group must be given; empty elsewhere. */
  readonly cpus: string;
  readonly mems: string;
  /** Sizes of huge pages as cgroup files spell them: `2MB`, `1GB`. */
  readonly hugePageSizes: readonly string[];
}

let cached: CgroupHost | undefined;

/**
 * Read which cgroup hierarchies are mounted (https://docs.kernel.org/admin-guide/cgroup-v2.html, .../cgroup-v1/cgroups.html).
 * The answer for this machine is kept; `root` (a directory that stands for `/`, for tests) is read each time. Throws
 * `unsupported` when there are none.
 */
export function detectCgroups(options: { readonly root?: string } = {}): CgroupHost {
  if (options.root !== undefined) return detect(options.root);
  cached ??= detect('/');
  return cached;
}

function detect(root: string): CgroupHost {
  const groups = parseOwnGroups(readFileSync(join(root, 'proc/self/cgroup'), 'utf8'));
  const hierarchies: Hierarchy[] = [];
  const devices = new Set<string>();
  for (const mount of parseCgroupMounts(readFileSync(join(root, 'proc/self/mountinfo'), 'utf8'))) {
    if (devices.has(mount.device)) continue;
    devices.add(mount.device);
    hierarchies.push(readHierarchy(root, mount, groups));
  }
  const v2 = hierarchies.find((hierarchy) => hierarchy.unified);
  const v1 = hierarchies.some((hierarchy) => !hierarchy.unified && hierarchy.controllers.length > 0);
  if (v2 === undefined && !v1) {
    throw new NaruError('unsupported', 'no cgroup hierarchy is mounted', {
      hint: 'mount -t cgroup2 none /sys/fs/cgroup',
    });
  }
  const cpuset = hierarchies.find((hierarchy) => !hierarchy.unified && hierarchy.controllers.includes('cpuset'));
  const read = (file: string): string => (cpuset === undefined ? '' : readText(join(cpuset.mountPoint, file)));
  return {
    version: v1 ? 1 : 2,
    hybrid: v1 && v2 !== undefined,
    hierarchies,
    unifiedRoot: v2?.mountPoint,
    cpus: read('cpuset.cpus'),
    mems: read('cpuset.mems'),
    hugePageSizes: listNames(join(root, 'sys/kernel/mm/hugepages')).flatMap(hugePageSize),
  };
}

interface CgroupMount { readonly device: string; readonly root: string; readonly mountPoint: string; readonly unified: boolean; readonly superOptions: readonly string[] }

/** https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: the cgroup mounts, in order. */
function parseCgroupMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ');
    const [type, , superOptions] = right?.split(' ') ?? [];
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const [, , device, mountRoot, mountPoint] = left!.split(' ');
    return [{ device: device!, root: unescape(mountRoot!), mountPoint: unescape(mountPoint!), unified: type === 'cgroup2', superOptions: superOptions?.split(',') ?? [] }];
  });
}

const unescape = (path: string): string => path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** /proc/self/cgroup: `memory` (or `name=systemd`, or `` for v2) -> path. */
function parseOwnGroups(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match !== null) for (const key of match[1]!.split(',')) groups.set(key, match[2]!);
  }
  return groups;
}

/** Options of a v1 mount that are neither controllers nor a name. */
const NOT_CONTROLLERS = new Set(['rw', 'ro', 'noprefix', 'clone_children', 'cpuset_v2_mode', 'xattr', 'favordynmods', 'nofavordynmods', 'none']);
const isController = (option: string): boolean => !NOT_CONTROLLERS.has(option) && !option.includes('=');

function readHierarchy(root: string, mount: CgroupMount, groups: ReadonlyMap<string, string>): Hierarchy {
  const mountPoint = root === '/' ? mount.mountPoint : join(root, mount.mountPoint);
  const name = mountPoint.slice(mountPoint.lastIndexOf('/') + 1);
  const options = mount.unified ? [] : mount.superOptions.filter((option) => option.startsWith('name=') || isController(option));
  const controllers = mount.unified ? readText(join(mountPoint, 'cgroup.controllers')).split(' ').filter(Boolean) : options.filter(isController);
  const path = groups.get(mount.unified ? '' : options[0] ?? '') ?? '/';
  const own = mount.root !== '/' && (path === mount.root || path.startsWith(`${mount.root}/`)) ? path.slice(mount.root.length) || '/' : path;
  let listed: ReturnType<typeof listFiles> | undefined;
  return {
    name, mountPoint, unified: mount.unified, controllers, options, own,
    aliases: controllers.length > 1 && !mount.unified ? controllers.filter((controller) => controller !== name) : [],
    get files() {
      return (listed ??= listFiles(mountPoint)).files;
    },
    get filesComplete() {
      return (listed ??= listFiles(mountPoint)).filesComplete;
    },
  };
}

const GROUPS_LOOKED_INTO = 4;

function listFiles(mountPoint: string): { files: Set<string>; filesComplete: boolean } {
  const files = new Set<string>();
  const groups: string[] = [];
  for (const entry of listEntries(mountPoint)) {
    if (entry.isDirectory()) groups.push(entry.name);
    else files.add(entry.name);
  }
  for (const group of groups.slice(0, GROUPS_LOOKED_INTO)) {
    for (const entry of listEntries(join(mountPoint, group))) if (!entry.isDirectory()) files.add(entry.name);
  }
  return { files, filesComplete: groups.length > 0 };
}

const listEntries = (directory: string) => {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // a group that was just removed, or no such directory: no facts
  }
};

const listNames = (directory: string): string[] => listEntries(directory).map((entry) => entry.name);

/** `hugepages-2048kB` -> `2MB` */
const hugePageSize = (name: string): string[] => {
  const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
  if (kilobytes === 0) return [];
  if (kilobytes >= 1 << 20) return [`${kilobytes >> 20}GB`];
  return [kilobytes >= 1 << 10 ? `${kilobytes >> 10}MB` : `${kilobytes}KB`];
};

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
};
