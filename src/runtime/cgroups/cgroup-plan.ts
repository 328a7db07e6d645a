import { NaruError } from '#spec/errors.ts';
import type { DeviceRule, OciResources } from '#spec/oci-runtime.ts';
import type { OpName, Section } from '#runtime/plan/ops.ts';
import type { OpArgs, PlanOp } from '#runtime/plan/plan.ts';
import { ERRNO } from '#sys/errno.ts';
import { assembleDeviceProgram } from './assemble-device-program.ts';
import { checkCgroupPath, groupDirectory, hierarchyOf, parentPaths, unifiedHierarchy } from './cgroup-path.ts';
import { DEFAULT_DEVICE_RULES, devicePolicy, deviceWritesV1, normalizeDeviceRules } from './device-rules.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';
import { limitsEither } from './limits-either.ts';
import { limitsV1 } from './limits-v1.ts';
import { limitsV2 } from './limits-v2.ts';
import type { LimitWrite } from './limit-write.ts';

export interface CgroupPlanRequest {
  /** The group's path below every hierarchy's root: `/naru/<id>`. */
  readonly path: string;
  /** config.json linux.resources. */
  readonly resources?: OciResources;
  /** What comes after `resources.devices`. Default: DEFAULT_DEVICE_RULES. */
  readonly defaultDevices?: readonly DeviceRule[];
  /** `ensureParents` has made the groups above; without it the plan does. */
  readonly parentsReady?: boolean;
  /** The group itself may exist: then it is used as it is found, limits changed. */
  readonly mayExist?: boolean;
  /** Without the machine's root: device rules may be refused. Who has no rights makes no devices, and opens those that he could before. */
  readonly rootless?: boolean;
}

export interface CgroupPlan {
  /** Section prepare, before the clone: groups and limits. */
  readonly prepare: readonly PlanOp[];
  /** Section parent: nothing today, every join is the child's own. */
  readonly parent: readonly PlanOp[];
  /**
   * Section child, before anything changes its namespaces, user or root: it moves itself, which spares the kernel a grace
   * period that moving another process costs. CLONE_NEWCGROUP must be unshared after these (a cgroup namespace is rooted where
   * its first process is), not given to clone.
   */
  readonly child: readonly PlanOp[];
  /** Section cleanup. Groups that the container made inside are left to `removeCgroup`. */
  readonly cleanup: readonly PlanOp[];
  /** Hierarchy name -> the group's absolute directory. */
  readonly directories: ReadonlyMap<string, string>;
  /** For the op `oom_watch`. */
  readonly oom?: { readonly file: string; readonly eventControl: string };
  /** The group's directory in v2: give a descriptor of it to the op `clone` (of the container and of an exec). */
  readonly cloneInto?: string;
}

/** How long the kernel may take to end what got SIGKILL. */
const KILL_TIMEOUT_MS = 10_000;
const { EEXIST, ENOENT, EBUSY, EPERM } = ERRNO as { EEXIST: number; ENOENT: number; EBUSY: number; EPERM: number };

interface Notes { readonly why: string; readonly source?: string; readonly tolerate?: readonly number[]; readonly skip?: number }
const op = <N extends OpName>(section: Section, name: N, args: OpArgs<N>, notes: Notes): PlanOp => ({ name, section, args, ...notes }) as unknown as PlanOp;
const write = (path: string, data: string, notes: Notes): PlanOp => op('prepare', 'write', { path, flags: 0, data }, notes);

/**
 * The operations that put a container into groups of its own in every hierarchy, with its limits. A new group has the
 * kernel's initial values, so only what differs is written. Throws `invalid` for a bad path, and for a limit whose
 * controller or file this machine does not have, naming it.
 */
export function cgroupPlan(host: CgroupHost, request: CgroupPlanRequest): CgroupPlan {
  const path = checkCgroupPath(request.path);
  const resources = request.resources ?? {};
  const groups = host.hierarchies.map((hierarchy) => ({ hierarchy, directory: groupDirectory(hierarchy, path) }));
  const limits = [...(host.version === 2 ? limitsV2(host, resources) : limitsV1(host, resources)), ...limitsEither(host, resources)];

  const prepare: PlanOp[] = [];
  for (const { hierarchy, directory } of groups) {
    if (request.parentsReady !== true) prepare.push(...parentOps(host, hierarchy, path));
    // On v2 `ensureParents` has done this too; on a hybrid machine it depends on the limits.
    if (request.parentsReady !== true || host.version === 1) prepare.push(...delegateOps(host, hierarchy, { path, limits }));
    // Right below the root nothing is inherited.
    const first = !hierarchy.unified && hierarchy.controllers.includes('cpuset') && parentPaths(path).length === 0 ? fillCpuset(host, directory) : [];
    prepare.push(op('prepare', 'mkdir', { path: directory, mode: 0o755 }, { why: `cgroup ${hierarchy.name}`, source: '/linux/cgroupsPath', ...(request.mayExist === true && { tolerate: [EEXIST], skip: first.length }) }), ...first);
  }
  for (const { hierarchy, file, value, initial, pointer } of limits) {
    if (!initial) prepare.push(write(`${groupDirectory(hierarchy, path)}/${file}`, value, { why: `limit ${file}`, source: `/linux/resources${pointer}` }));
  }
  const devices = deviceOps(host, path, [...(resources.devices ?? []), ...(request.defaultDevices ?? DEFAULT_DEVICE_RULES)]);
  prepare.push(...(request.rootless === true ? devices.map((device) => ({ ...device, tolerate: [EPERM] })) : devices));

  const join = cgroupJoin(host, path);
  const oom = oomFiles(host, path);
  return {
    prepare, parent: [], child: join.ops, cleanup: cleanupOps(host, groups),
    directories: new Map(groups.map(({ hierarchy, directory }) => [hierarchy.name, directory])),
    ...(oom === undefined ? {} : { oom }),
    ...(join.cloneInto === undefined ? {} : { cloneInto: join.cloneInto }),
  };
}

/** How one more process gets into groups that are there: the operations at the very beginning of its section child, and what is
 *  `cloneInto` in CgroupPlan. `below`: groups below it, by the name of their hierarchy (`/sub`). Throws `invalid` for a bad path. */
export function cgroupJoin(host: CgroupHost, groupPath: string, below?: ReadonlyMap<string, string>): { readonly ops: readonly PlanOp[]; readonly cloneInto: string | undefined } {
  const path = checkCgroupPath(groupPath);
  const v2 = unifiedHierarchy(host);
  const directory = (hierarchy: Hierarchy): string => groupDirectory(hierarchy, path) + (below?.get(hierarchy.name) ?? '');
  return {
    // A v1 group takes a single thread by its `tasks`; the unified group is entered by the clone itself.
    ops: host.hierarchies.filter((hierarchy) => !hierarchy.unified).map((hierarchy) =>
      op('child', 'write_pid', { path: `${directory(hierarchy)}/tasks` }, { why: `join cgroup ${hierarchy.name}`, source: '/linux/cgroupsPath' })),
    cloneInto: v2 === undefined ? undefined : directory(v2),
  };
}

const fillCpuset = (host: CgroupHost, directory: string): PlanOp[] => [
  write(`${directory}/cpuset.cpus`, host.cpus, { why: 'a first cpuset inherits nothing' }),
  write(`${directory}/cpuset.mems`, host.mems, { why: 'a first cpuset inherits nothing' }),
];

function parentOps(host: CgroupHost, hierarchy: Hierarchy, path: string): PlanOp[] {
  const cpuset = !hierarchy.unified && hierarchy.controllers.includes('cpuset');
  return parentPaths(path).flatMap((parent) => {
    const directory = groupDirectory(hierarchy, parent);
    const why = `parent group ${parent}`;
    const made = (skip: number): PlanOp => op('prepare', 'mkdir', { path: directory, mode: 0o755 }, { why, tolerate: [EEXIST], ...(skip > 0 ? { skip } : {}) });
    if (!cpuset) return [made(0)];
    return [
      made(2),
      ...fillCpuset(host, directory),
      write(`${directory}/cgroup.clone_children`, '1', { why: 'cpusets below inherit' }),
    ];
  });
}

/** Controllers that containers get on v2, where a parent hands them down one level at a time. */
export const DELEGATED_CONTROLLERS: readonly string[] = ['cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma', 'misc'];

/** On a hybrid machine v2's few controllers are handed down only when a limit asks for them. */
export function controllersToDelegate(host: CgroupHost, hierarchy: Hierarchy, limits: readonly LimitWrite[]): string[] {
  if (!hierarchy.unified) return [];
  const offered = DELEGATED_CONTROLLERS.filter((controller) => hierarchy.controllers.includes(controller));
  if (host.version === 2) return offered;
  return offered.filter((controller) => limits.some((limit) => limit.hierarchy === hierarchy && limit.file.startsWith(`${controller}.`)));
}

function delegateOps(host: CgroupHost, hierarchy: Hierarchy, group: { path: string; limits: readonly LimitWrite[] }): PlanOp[] {
  const data = controllersToDelegate(host, hierarchy, group.limits).map((controller) => `+${controller}`).join(' ');
  if (data === '') return [];
  return ['', ...parentPaths(group.path)].map((parent) =>
    write(`${groupDirectory(hierarchy, parent)}/cgroup.subtree_control`, data, { why: 'hand controllers down' }));
}

function deviceOps(host: CgroupHost, path: string, rules: readonly DeviceRule[]): PlanOp[] {
  if (host.hierarchies.length === 0) return []; // no groups at all: who has no right to them can make no devices either
  const v1 = hierarchyOf(host, 'devices');
  if (v1 !== undefined) {
    const directory = groupDirectory(v1, path);
    return deviceWrites(rules).map(({ file, value, notes }) => write(`${directory}/${file}`, value, notes));
  }
  const normal = normalizeDeviceRules(rules);
  const v2 = unifiedHierarchy(host);
  if (v2 === undefined) throw new NaruError('invalid', '/linux/resources/devices: this machine has neither the devices controller nor cgroup v2');
  return [op('prepare', 'bpf_device', { path: groupDirectory(v2, path), program: assembleDeviceProgram(normal), attachFlags: BPF_F_ALLOW_MULTI }, DEVICE_NOTES)];
}

const DEVICE_NOTES: Notes = { why: 'device rule', source: '/linux/resources/devices' };

interface DeviceWrite { readonly file: string; readonly value: string; readonly notes: Notes }
let latest: { readonly rules: string; readonly writes: readonly DeviceWrite[] } = { rules: '', writes: [] };

/** For v1's controller. Mostly a container has the rules of the one before. */
function deviceWrites(rules: readonly DeviceRule[]): readonly DeviceWrite[] {
  const asked = JSON.stringify(rules);
  if (latest.rules === asked) return latest.writes;
  // Rules are merged on the way: a write comes from the last rule that names the same devices.
  const indices = new Map(rules.map(({ type, major, minor }, index) => [`${type === 'b' ? 'b' : 'c'} ${numberText(major)}:${numberText(minor)}`, index]));
  const writes = deviceWritesV1(devicePolicy(normalizeDeviceRules(rules))).map(([file, value]) => {
    const index = indices.get(value.slice(0, value.lastIndexOf(' ')));
    return { file, value, notes: index === undefined ? DEVICE_NOTES : { why: DEVICE_NOTES.why, source: `${DEVICE_NOTES.source}/${index}` } };
  });
  latest = { rules: asked, writes };
  return writes;
}

const numberText = (value: number | undefined): string => (value === undefined || value === -1 ? '*' : String(value));

/** Programs of groups above and below count as well. */
export const BPF_F_ALLOW_MULTI = 2;

function oomFiles(host: CgroupHost, path: string): CgroupPlan['oom'] {
  const memory = hierarchyOf(host, 'memory');
  if (memory === undefined) return undefined;
  const directory = groupDirectory(memory, path);
  return memory.unified
    ? { file: `${directory}/memory.events`, eventControl: '' }
    : { file: `${directory}/memory.oom_control`, eventControl: `${directory}/cgroup.event_control` };
}

function cleanupOps(host: CgroupHost, groups: readonly { hierarchy: Hierarchy; directory: string }[]): PlanOp[] {
  const listed = groups.find(({ hierarchy }) => hierarchy === (hierarchyOf(host, 'pids') ?? unifiedHierarchy(host))) ?? groups[0];
  if (listed === undefined) return [];
  return [
    op('cleanup', 'kill_procs', { path: `${listed.directory}/cgroup.procs`, timeoutMs: KILL_TIMEOUT_MS }, { why: 'nothing of the container lives on', tolerate: [ENOENT] }),
    ...groups.map(({ hierarchy, directory }) => op('cleanup', 'rmdir', { path: directory }, { why: `cgroup ${hierarchy.name}`, tolerate: [ENOENT, EBUSY] })),
  ];
}
