import type { IdMapping, OciMount, OciProcess, OciSpec } from '#spec/oci-runtime.ts';
import { type ErrorKind, NaruError } from '#spec/errors.ts';
import { MS_SHARED, MS_UNBINDABLE } from '#sys/numbers.ts';
import { escapePointer as escape, faultPointer, type Shape, show } from './check-shape.ts';
import { affinityMask } from './process-attributes.ts';
import { parseMountOptions } from './mount-options.ts';
import { PROCESS, RESOURCES, SPEC } from './spec-shape.ts';

/** Semantic versions (https://semver.org) whose first number is 1: what came since 1.0.0 only added. */
const VERSION = /^1\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;
const OTHER_PLATFORMS = ['windows', 'solaris', 'vm', 'zos', 'freebsd'] as const;

/**
 * Refuses what cannot become a plan: NaruError `invalid` or `unsupported`, its message begins with the JSON pointer of the
 * field. Checked here, before anything happens, are types and ranges (spec-shape.ts), contradictions and paths; what only
 * the kernel can know (a missing source, a limit that it refuses) fails in the plan and is reported with the operation's pointer.
 */
export function validateSpec(spec: OciSpec): void {
  checkShape(SPEC, spec, '');
  if (!VERSION.test(spec.ociVersion)) fail('/ociVersion', `${show(spec.ociVersion)} is not a version that naru knows (1.x)`);
  for (const platform of OTHER_PLATFORMS) {
    if ((spec as unknown as Record<string, unknown>)[platform] !== undefined) fail(`/${platform}`, 'is for another platform, this is Linux', 'unsupported');
  }
  if (spec.process !== undefined) checkProcess(spec.process);
  spec.mounts?.forEach((mount, i) => checkMount(mount, `/mounts/${i}`));
  checkLinux(spec);
  if (Object.hasOwn(spec.annotations ?? {}, '')) fail('/annotations/', 'a key must not be empty');
}

/** The process object alone, as exec gets it. */
export function validateProcess(process: OciProcess): void {
  if (process === undefined) return fail('/process', 'missing');
  checkShape(PROCESS, process, '/process');
  checkProcess(process);
}

/** linux.resources alone, as `update` gets it. */
export const validateResources = (resources: unknown): void => checkShape(RESOURCES, resources, '/linux/resources');

function checkShape(shape: Shape, value: unknown, pointer: string): void {
  const found = shape(value);
  if (found !== undefined) fail(pointer + faultPointer(found), found.problem);
}

function checkProcess(process: OciProcess): void {
  if (process.args![0] === '') fail('/process/args/0', 'is empty');
  const seen = new Set<string>();
  process.rlimits?.forEach(({ type, soft, hard }, i) => {
    if (seen.has(type)) fail(`/process/rlimits/${i}/type`, `${type} is given twice`);
    seen.add(type);
    const [low, high] = [soft, hard].map((v) => (v < 0 ? Infinity : v)) as [number, number];
    if (low > high) fail(`/process/rlimits/${i}/soft`, `${soft} is above the hard limit ${hard}`);
  });
  for (const side of ['initial', 'final'] as const) {
    const cpus = process.execCPUAffinity?.[side];
    if (cpus !== undefined && cpus !== '') affinityMask(cpus, `/process/execCPUAffinity/${side}`);
  }
  const { scheduler } = process;
  if (scheduler === undefined) return;
  // sched(7): what a policy does not know must be zero.
  const realTime = scheduler.policy === 'SCHED_FIFO' || scheduler.policy === 'SCHED_RR';
  if (!realTime && (scheduler.priority ?? 0) !== 0) fail('/process/scheduler/priority', `${scheduler.policy} has no priorities`);
  if (realTime && (scheduler.priority ?? 0) === 0) fail('/process/scheduler/priority', `${scheduler.policy} needs one from 1 to 99`);
  for (const field of ['runtime', 'deadline', 'period'] as const) {
    if (scheduler.policy !== 'SCHED_DEADLINE' && (scheduler[field] ?? 0) !== 0) fail(`/process/scheduler/${field}`, `only SCHED_DEADLINE has it, not ${scheduler.policy}`);
  }
}

function checkMount(mount: OciMount, pointer: string): void {
  const { destination } = mount;
  if (destination === '') fail(`${pointer}/destination`, 'missing');
  overlaps(mount.uidMappings, `${pointer}/uidMappings`);
  overlaps(mount.gidMappings, `${pointer}/gidMappings`);
  const clean = destination.split('/').filter((p) => p !== '' && p !== '.');
  if (clean.length === 0) fail(`${pointer}/destination`, 'is the rootfs itself');
  if (clean.includes('..')) fail(`${pointer}/destination`, `${show(destination)} has a ".." in it`);
  if (clean[0] === 'proc') checkProcMount(mount, `/${clean.join('/')}`, `${pointer}/destination`);
  checkMountOptions(mount, pointer);
}

/** What an option asks for is done, or refused: an option that the kind of mount cannot have is never dropped. */
function checkMountOptions(mount: OciMount, pointer: string): void {
  const options = parseMountOptions(mount.options);
  const at = (name: string): string => `${pointer}/options/${Math.max(0, mount.options?.indexOf(name) ?? 0)}`;
  const bind = options.bind !== undefined || mount.type === 'bind' || mount.type === 'rbind';
  if (options.remount) fail(at('remount'), '"remount" is not supported: say the attributes at the mount itself', 'unsupported');
  if (options.copyUp && (bind || mount.type !== 'tmpfs')) fail(at('tmpcopyup'), 'only a tmpfs can take the files that it hides');
  const sides = [mount.uidMappings, mount.gidMappings].map((m) => (m?.length ?? 0) > 0);
  if (sides[0] !== sides[1]) fail(`${pointer}/${sides[0] ? 'gidMappings' : 'uidMappings'}`, 'missing: the mappings of users and of groups come together');
  if (!bind) {
    if (sides[0]) fail(`${pointer}/uidMappings`, 'only bind mounts can have ids of their own', 'unsupported');
    if (options.idmap !== undefined) fail(at(options.idmap), 'only bind mounts can have ids of their own', 'unsupported');
    return;
  }
  if (!mount.source) fail(`${pointer}/source`, 'a bind mount needs a source');
}

/** What runc, too, lets a mount hide of /proc: files that lxcfs and the like answer for. */
const PROC_FILES = new Set(['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo', 'sys/kernel/ns_last_pid', 'sys/crypto/fips_enabled'].map((f) => `/proc/${f}`));

/** Over /proc goes only procfs: anything else would be what the program believes about itself (CVE-2019-16884). */
function checkProcMount(mount: OciMount, path: string, pointer: string): void {
  const bind = mount.type === 'bind' || mount.options?.some((o) => o === 'bind' || o === 'rbind') === true;
  if (path === '/proc' ? mount.type === 'proc' || (bind && mount.source === '/proc') : PROC_FILES.has(path)) return;
  fail(pointer, `${show(mount.source ?? mount.type)} cannot be mounted at ${show(path)} because it is inside /proc`);
}

function checkLinux(spec: OciSpec): void {
  const linux = spec.linux ?? {};
  const types = new Set<string>();
  linux.namespaces?.forEach(({ type }, i) => {
    if (types.has(type)) fail(`/linux/namespaces/${i}/type`, `${type} is given twice`);
    types.add(type);
  });
  if (!types.has('mount')) checkInheritedMounts(spec, types);
  const created = (type: string): boolean => linux.namespaces?.some((n) => n.type === type && !n.path) === true;
  for (const side of ['uidMappings', 'gidMappings'] as const) {
    overlaps(linux[side], `/linux/${side}`);
    const some = (linux[side]?.length ?? 0) > 0;
    if (created('user') && !some) fail(`/linux/${side}`, 'a new user namespace needs mappings');
    if (some && !types.has('user')) fail(`/linux/${side}`, 'need a user namespace in /linux/namespaces');
  }
  if (spec.hostname && !types.has('uts')) fail('/hostname', 'needs a uts namespace in /linux/namespaces');
  if (spec.domainname && !types.has('uts')) fail('/domainname', 'needs a uts namespace in /linux/namespaces');
  if (linux.timeOffsets !== undefined && Object.keys(linux.timeOffsets).length > 0 && !created('time')) fail('/linux/timeOffsets', 'need a new time namespace in /linux/namespaces');
  const unknownClock = Object.keys(linux.timeOffsets ?? {}).find((clock) => clock !== 'boottime' && clock !== 'monotonic');
  if (unknownClock !== undefined) fail(`/linux/timeOffsets/${escape(unknownClock)}`, 'only boottime and monotonic can be set back and forth');
  checkSysctls(spec, types);
  if (linux.intelRdt !== undefined && Object.keys(linux.intelRdt).length > 0) fail('/linux/intelRdt', 'not supported by naru', 'unsupported');
  if (Object.keys(linux.netDevices ?? {}).length > 0 && !types.has('network')) fail('/linux/netDevices', 'need a network namespace in /linux/namespaces');
  if (linux.seccomp?.listenerMetadata !== undefined && !linux.seccomp.listenerPath) fail('/linux/seccomp/listenerMetadata', 'needs a listenerPath');
  const paths = new Set<string>();
  linux.devices?.forEach(({ path, type, major, minor }, i) => {
    if (type !== 'p' && (major === undefined || minor === undefined)) fail(`/linux/devices/${i}/${major === undefined ? 'major' : 'minor'}`, 'missing');
    if (paths.has(path)) fail(`/linux/devices/${i}/path`, `${path} is given twice`);
    paths.add(path);
  });
}

/** What a container whose mounts are in its creator's namespace cannot have: to leave its chroot takes one capability. */
function checkInheritedMounts({ mounts, linux = {} }: OciSpec, types: ReadonlySet<string>): void {
  const need = 'needs a mount namespace in /linux/namespaces';
  if (types.has('user')) fail('/linux/namespaces', `a user namespace ${need}: it may not mount in that of its creator`);
  for (const field of ['maskedPaths', 'readonlyPaths'] as const) {
    if ((linux[field]?.length ?? 0) > 0) fail(`/linux/${field}`, `${need}: unable to restrict sys entries without a private MNT namespace`);
  }
  if (linux.rootfsPropagation) fail('/linux/rootfsPropagation', need);
  mounts?.forEach(({ options = [] }, i) => {
    const { propagation } = parseMountOptions(options);
    const j = propagation === undefined ? -1 : options.findLastIndex((o) => parseMountOptions([o]).propagation !== undefined);
    if (propagation !== undefined && (propagation.type & (MS_SHARED | MS_UNBINDABLE)) !== 0) fail(`/mounts/${i}/options/${j}`, `${show(options[j])} ${need}`);
  });
}

/** A sysctl is the container's alone, or it is refused: what no namespace separates would change the host. */
const IPC_SYSCTLS = new Set(['kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced']);

function checkSysctls({ linux, hostname, domainname }: OciSpec, types: ReadonlySet<string>): void {
  for (const key of Object.keys(linux?.sysctl ?? {})) {
    const pointer = `/linux/sysctl/${escape(key)}`;
    if (!/^[a-zA-Z0-9_][a-zA-Z0-9_.\/:@-]*$/.test(key) || key.split('/').includes('..')) fail(pointer, `${show(key)} is no sysctl`);
    const name = key.includes('/') && !key.slice(0, key.indexOf('/')).includes('.') ? key.replaceAll('/', '.') : key;
    const need = name.startsWith('net.') ? 'network' : IPC_SYSCTLS.has(name) || name.startsWith('fs.mqueue.') ? 'ipc'
      : name === 'kernel.domainname' || name === 'kernel.hostname' ? 'uts' : name.startsWith('user.') ? 'user' : undefined;
    if (need === undefined) fail(pointer, 'is not separate for each container, it would change the host');
    if (!types.has(need)) fail(pointer, `needs a ${need} namespace in /linux/namespaces`);
    if (name === 'kernel.hostname' && hostname) fail(pointer, 'contradicts /hostname');
    if (name === 'kernel.domainname' && domainname) fail(pointer, 'contradicts /domainname');
  }
}

/** No id may be mapped twice, on either side. */
function overlaps(ranges: readonly IdMapping[] | undefined, pointer: string): void {
  ranges?.forEach((range, i) => {
    for (const side of ['containerID', 'hostID'] as const) {
      if (range[side] + range.size > 0xffffffff) fail(`${pointer}/${i}/${side}`, 'goes beyond the last id');
      const other = ranges.slice(0, i).find((o) => o[side] < range[side] + range.size && range[side] < o[side] + o.size);
      if (other !== undefined) fail(`${pointer}/${i}/${side}`, `overlaps the range from ${other[side]}`);
    }
  });
}

function fail(pointer: string, problem: string, kind: ErrorKind = 'invalid'): never {
  throw new NaruError(kind, `${pointer === '' ? 'config.json' : pointer}: ${problem}`, { hint: 'the pointer names the field of config.json' });
}
