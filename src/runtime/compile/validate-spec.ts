import type { IdMapping, OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { RLIMITS } from './process-attributes.ts';

const MAX_ID = 0x7fffffff;
/** Kernel limits (linux/uts.h, linux/limits.h, user_namespaces(7)). */
const MAX_HOSTNAME = 64;
const MAX_PATH = 4096;
const MAX_MAPPINGS = 340;
const MAX_GROUPS = 65536;
const NAMESPACES = new Set(['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time']);
const VERSION = /^1\.\d+\.\d+(?:[-+].*)?$/;

type Fields = Record<string, unknown>;

/**
 * Refuses what cannot become a plan: NaruError `invalid`, its message begins with the JSON pointer of the field. Checked
 * here, before anything happens, are types and shapes, ranges, contradictions and paths; what only the kernel can know
 * (a missing source, a limit that it refuses) fails in the plan and is reported with the operation's pointer.
 */
export function validateSpec(spec: OciSpec): void {
  if (typeof spec !== 'object' || spec === null) fail('', 'config.json is no object');
  if (typeof spec.ociVersion !== 'string' || !VERSION.test(spec.ociVersion)) fail('/ociVersion', `${show(spec.ociVersion)} is not a version that naru knows (1.x)`);
  text(spec.hostname, '/hostname', MAX_HOSTNAME);
  text(spec.domainname, '/domainname', MAX_HOSTNAME);
  validateProcess(spec.process);
  checkMounts(spec);
  checkLinux(spec);
  for (const [point, hooks] of Object.entries(spec.hooks ?? {})) {
    list(hooks, `/hooks/${point}`).forEach((hook, i) => {
      absolute(hook.path, `/hooks/${point}/${i}/path`);
      strings(hook.args, `/hooks/${point}/${i}/args`);
      strings(hook.env, `/hooks/${point}/${i}/env`);
      if (hook.timeout !== undefined && !(Number.isInteger(hook.timeout) && (hook.timeout as number) > 0)) fail(`/hooks/${point}/${i}/timeout`, 'must be more than 0 seconds');
    });
  }
  for (const [key, value] of Object.entries(spec.annotations ?? {})) {
    if (key === '' || typeof value !== 'string') fail(`/annotations/${escape(key)}`, 'keys are not empty, values are strings');
  }
}

/** The process object alone, as exec gets it. */
export function validateProcess(process: OciSpec['process']): void {
  if (process === undefined) return fail('/process', 'missing');
  absolute(process.cwd, '/process/cwd');
  if (list(process.args, '/process/args').length === 0) fail('/process/args', 'must name a program');
  strings(process.args, '/process/args');
  strings(process.env, '/process/env');
  if (process.args?.[0] === '') fail('/process/args/0', 'is empty');
  if (typeof process.user !== 'object' || process.user === null) fail('/process/user', 'missing');
  id(process.user.uid, '/process/user/uid');
  id(process.user.gid, '/process/user/gid');
  const groups = list(process.user.additionalGids, '/process/user/additionalGids');
  if (groups.length > MAX_GROUPS) fail('/process/user/additionalGids', `more than ${MAX_GROUPS} groups`);
  groups.forEach((gid, i) => id(gid, `/process/user/additionalGids/${i}`));
  whole(process.user.umask, '/process/user/umask', 0, 0o777);
  whole(process.oomScoreAdj, '/process/oomScoreAdj', -1000, 1000);
  const seen = new Set<string>();
  list(process.rlimits, '/process/rlimits').forEach((limit, i) => {
    const type = limit.type as string;
    if (!Object.hasOwn(RLIMITS, type)) fail(`/process/rlimits/${i}/type`, `${show(type)} is no limit`);
    if (seen.has(type)) fail(`/process/rlimits/${i}/type`, `${type} is given twice`);
    seen.add(type);
    for (const side of ['soft', 'hard']) if (typeof limit[side] !== 'number') fail(`/process/rlimits/${i}/${side}`, 'must be a number');
    const [soft, hard] = [limit.soft, limit.hard].map((v) => ((v as number) < 0 ? Infinity : (v as number))) as [number, number];
    if (soft > hard) fail(`/process/rlimits/${i}/soft`, `${limit.soft} is above the hard limit ${limit.hard}`);
  });
}

function checkMounts(spec: OciSpec): void {
  list(spec.mounts, '/mounts').forEach((mount, i) => {
    const { destination } = mount;
    if (typeof destination !== 'string' || destination === '') fail(`/mounts/${i}/destination`, 'missing');
    text(destination, `/mounts/${i}/destination`, MAX_PATH);
    text(mount.source, `/mounts/${i}/source`, MAX_PATH);
    strings(mount.options, `/mounts/${i}/options`);
    mappings(mount.uidMappings, `/mounts/${i}/uidMappings`);
    mappings(mount.gidMappings, `/mounts/${i}/gidMappings`);
    const clean = (destination as string).split('/').filter((p) => p !== '' && p !== '.');
    if (clean.length === 0) fail(`/mounts/${i}/destination`, 'is the rootfs itself');
    if (clean.includes('..')) fail(`/mounts/${i}/destination`, `${show(destination)} has a ".." in it`);
    if (clean[0] === 'proc') checkProcMount(mount, `/${clean.join('/')}`, `/mounts/${i}/destination`);
  });
}

/** What runc, too, lets a mount hide of /proc: files that lxcfs and the like answer for. */
const PROC_FILES = new Set(['cpuinfo', 'diskstats', 'meminfo', 'stat', 'swaps', 'uptime', 'loadavg', 'slabinfo', 'sys/kernel/ns_last_pid', 'sys/crypto/fips_enabled'].map((f) => `/proc/${f}`));

/** Over /proc goes only procfs: anything else would be what the program believes about itself (CVE-2019-16884). */
function checkProcMount(mount: Fields, path: string, pointer: string): void {
  const bind = mount.type === 'bind' || (mount.options as string[] | undefined)?.some((o) => o === 'bind' || o === 'rbind') === true;
  if (path === '/proc' ? mount.type === 'proc' || (bind && mount.source === '/proc') : PROC_FILES.has(path)) return;
  fail(pointer, `${show(mount.source ?? mount.type)} cannot be mounted at ${show(path)} because it is inside /proc`);
}

function checkLinux(spec: OciSpec): void {
  const linux = spec.linux ?? {};
  const types = new Set<string>();
  list(linux.namespaces, '/linux/namespaces').forEach((n, i) => {
    if (!NAMESPACES.has(n.type as string)) fail(`/linux/namespaces/${i}/type`, `${show(n.type)} is no namespace`);
    if (types.has(n.type as string)) fail(`/linux/namespaces/${i}/type`, `${n.type} is given twice`);
    types.add(n.type as string);
    if (n.path !== undefined && n.path !== '') absolute(n.path, `/linux/namespaces/${i}/path`);
  });
  if (!types.has('mount')) fail('/linux/namespaces', 'a mount namespace is needed');
  const created = (type: string): boolean => linux.namespaces?.some((n) => n.type === type && !n.path) === true;
  mappings(linux.uidMappings, '/linux/uidMappings');
  mappings(linux.gidMappings, '/linux/gidMappings');
  if (created('user')) {
    if ((linux.uidMappings?.length ?? 0) === 0) fail('/linux/uidMappings', 'a new user namespace needs mappings');
    if ((linux.gidMappings?.length ?? 0) === 0) fail('/linux/gidMappings', 'a new user namespace needs mappings');
  }
  if (spec.hostname && !types.has('uts')) fail('/hostname', 'needs a uts namespace in /linux/namespaces');
  if (spec.domainname && !types.has('uts')) fail('/domainname', 'needs a uts namespace in /linux/namespaces');
  if (linux.timeOffsets !== undefined && Object.keys(linux.timeOffsets).length > 0 && !created('time')) fail('/linux/timeOffsets', 'need a new time namespace in /linux/namespaces');
  checkSysctls(spec, types);
  strings(linux.maskedPaths, '/linux/maskedPaths');
  strings(linux.readonlyPaths, '/linux/readonlyPaths');
  linux.maskedPaths?.forEach((p, i) => absolute(p, `/linux/maskedPaths/${i}`));
  linux.readonlyPaths?.forEach((p, i) => absolute(p, `/linux/readonlyPaths/${i}`));
  if (linux.cgroupsPath !== undefined) {
    text(linux.cgroupsPath, '/linux/cgroupsPath', MAX_PATH);
    if (linux.cgroupsPath.split('/').includes('..')) fail('/linux/cgroupsPath', `${show(linux.cgroupsPath)} has a ".." in it`);
  }
  if (linux.intelRdt !== undefined && Object.keys(linux.intelRdt).length > 0) throw new NaruError('unsupported', '/linux/intelRdt: not supported by naru');
  const paths = new Set<string>();
  list(linux.devices, '/linux/devices').forEach((device, i) => {
    absolute(device.path, `/linux/devices/${i}/path`);
    if ((device.path as string).split('/').includes('..')) fail(`/linux/devices/${i}/path`, `${show(device.path)} has a ".." in it`);
    if (!['c', 'b', 'u', 'p'].includes(device.type as string)) fail(`/linux/devices/${i}/type`, `${show(device.type)} is not one of c, b, u, p`);
    if (device.type !== 'p') for (const n of ['major', 'minor']) whole(device[n] ?? 0, `/linux/devices/${i}/${n}`, 0, 0xfffff);
    whole(device.fileMode, `/linux/devices/${i}/fileMode`, 0, 0o177777);
    id(device.uid ?? 0, `/linux/devices/${i}/uid`);
    id(device.gid ?? 0, `/linux/devices/${i}/gid`);
    if (paths.has(device.path as string)) fail(`/linux/devices/${i}/path`, `${device.path} is given twice`);
    paths.add(device.path as string);
  });
}

/** A sysctl is the container's alone, or it is refused: what no namespace separates would change the host. */
const IPC_SYSCTLS = new Set(['kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced']);

function checkSysctls({ linux, hostname }: OciSpec, types: ReadonlySet<string>): void {
  for (const [key, value] of Object.entries(linux?.sysctl ?? {})) {
    const pointer = `/linux/sysctl/${escape(key)}`;
    if (typeof value !== 'string') fail(pointer, 'must be a string');
    if (!/^[a-zA-Z0-9_][a-zA-Z0-9_.\/:@-]*$/.test(key) || key.split('/').includes('..')) fail(pointer, `${show(key)} is no sysctl`);
    const name = key.includes('/') && !key.slice(0, key.indexOf('/')).includes('.') ? key.replaceAll('/', '.') : key;
    const need = name.startsWith('net.') ? 'network' : IPC_SYSCTLS.has(name) || name.startsWith('fs.mqueue.') ? 'ipc'
      : name === 'kernel.domainname' || name === 'kernel.hostname' ? 'uts' : name.startsWith('user.') ? 'user' : undefined;
    if (need === undefined) fail(pointer, 'is not separate for each container, it would change the host');
    if (!types.has(need)) fail(pointer, `needs a ${need} namespace in /linux/namespaces`);
    if (name === 'kernel.hostname' && hostname) fail(pointer, 'contradicts /hostname');
  }
}

function mappings(value: unknown, pointer: string): void {
  const ranges = list(value, pointer) as unknown as IdMapping[];
  if (ranges.length > MAX_MAPPINGS) fail(pointer, `more than ${MAX_MAPPINGS} ranges`);
  ranges.forEach((range, i) => {
    whole(range.containerID ?? null, `${pointer}/${i}/containerID`, 0, 0xfffffffe);
    whole(range.hostID ?? null, `${pointer}/${i}/hostID`, 0, 0xfffffffe);
    whole(range.size ?? null, `${pointer}/${i}/size`, 1, 0xffffffff);
    for (const side of ['containerID', 'hostID'] as const) {
      if (range[side] + range.size > 0xffffffff) fail(`${pointer}/${i}/${side}`, `goes beyond the last id`);
      const other = ranges.slice(0, i).find((o) => o[side] < range[side] + range.size && range[side] < o[side] + o.size);
      if (other !== undefined) fail(`${pointer}/${i}/${side}`, `overlaps the range from ${other[side]}`);
    }
  });
}

const list = (value: unknown, pointer: string): Fields[] => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) fail(pointer, 'must be a list');
  return value as Fields[];
};
const strings = (value: unknown, pointer: string): void =>
  list(value, pointer).forEach((item, i) => {
    if (typeof item !== 'string') fail(`${pointer}/${i}`, 'must be a string');
    text(item, `${pointer}/${i}`, Infinity);
  });
const text = (value: unknown, pointer: string, max: number): void => {
  if (value === undefined) return;
  if (typeof value !== 'string') fail(pointer, 'must be a string');
  const found = value as string;
  if (found.includes('\0')) fail(pointer, 'has a NUL byte in it');
  if (found.length > max) fail(pointer, `is longer than ${max} bytes`);
};
const absolute = (value: unknown, pointer: string): void => {
  text(value, pointer, MAX_PATH);
  if (typeof value !== 'string' || !value.startsWith('/')) fail(pointer, `${show(value)} is no absolute path`);
};
/** Ids from 2^31 on are refused: signed on the way somewhere, they become root (CVE-2024-40635). */
const id = (value: unknown, pointer: string): void => whole(value ?? null, pointer, 0, MAX_ID);
const whole = (value: unknown, pointer: string, least: number, most: number): void => {
  if (value === undefined) return;
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) fail(pointer, `${show(value)} is not a number from ${least} to ${most}`);
};
const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing';
const escape = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

function fail(pointer: string, problem: string): never {
  throw new NaruError('invalid', `${pointer}: ${problem}`, { hint: 'the pointer names the field of config.json' });
}
