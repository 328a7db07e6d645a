import { also, flag, integer, listOf, mapOf, natural, oneOf, record, type Shape, show, text, whole } from './check-shape.ts';
import { IO_CLASSES, RLIMITS, SCHED_FLAGS, SCHED_POLICIES } from './process-attributes.ts';

/** Kernel limits (linux/uts.h, linux/limits.h, user_namespaces(7)). */
const MAX_HOSTNAME = 64;
const MAX_PATH = 4096;
const MAX_MAPPINGS = 340;
const MAX_GROUPS = 65536;
/** Ids from 2^31 on are refused: signed on the way somewhere, they become root (CVE-2024-40635). */
const MAX_ID = 0x7fffffff;
const MAX_U16 = 0xffff;
const MAX_U32 = 0xffffffff;
const MAX_DEVICE = 0xfffff;

const path = also(text(MAX_PATH), (value: string) => (value.startsWith('/') ? undefined : `${show(value)} is no absolute path`));
const climbs = (value: string): string | undefined => (value.split('/').includes('..') ? `${show(value)} has a ".." in it` : undefined);
const id = whole(0, MAX_ID);
const strings = listOf(text());
const mappings = listOf(record({ containerID: whole(0, MAX_U32 - 1), hostID: whole(0, MAX_U32 - 1), size: whole(1, MAX_U32) }, ['containerID', 'hostID', 'size']), MAX_MAPPINGS);

/** https://github.com/opencontainers/runtime-spec/blob/main/config.md "Process", with what Linux adds. */
export const PROCESS: Shape = record({
  terminal: flag,
  consoleSize: record({ height: whole(0, MAX_U16), width: whole(0, MAX_U16) }, ['height', 'width']),
  user: record({ uid: id, gid: id, umask: whole(0, 0o777), additionalGids: listOf(id, MAX_GROUPS) }, ['uid', 'gid']),
  args: also(strings, (args: string[]) => (args.length === 0 ? 'must name a program' : undefined)),
  env: strings,
  cwd: path,
  capabilities: record(Object.fromEntries(['bounding', 'effective', 'inheritable', 'permitted', 'ambient'].map((set) => [set, strings]))),
  rlimits: listOf(record({ type: oneOf(...Object.keys(RLIMITS)), soft: integer, hard: integer }, ['type', 'soft', 'hard'])),
  noNewPrivileges: flag,
  apparmorProfile: text(MAX_PATH),
  selinuxLabel: text(MAX_PATH),
  oomScoreAdj: whole(-1000, 1000),
  scheduler: record({
    policy: oneOf(...Object.keys(SCHED_POLICIES)), nice: whole(-20, 19), priority: whole(0, 99), flags: listOf(oneOf(...Object.keys(SCHED_FLAGS))),
    runtime: natural, deadline: natural, period: natural,
  }, ['policy']),
  ioPriority: record({ class: oneOf(...Object.keys(IO_CLASSES)), priority: whole(0, 7) }, ['class']),
  execCPUAffinity: record({ initial: text(MAX_PATH), final: text(MAX_PATH) }),
}, ['user', 'args', 'cwd']);

const HOOK = record({ path, args: strings, env: strings, timeout: also(integer, (seconds: number) => (seconds > 0 ? undefined : 'must be more than 0 seconds')) }, ['path']);
const HOOKS = record(Object.fromEntries(['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'].map((point) => [point, listOf(HOOK)])));

const MOUNT = record({ destination: text(MAX_PATH), type: text(MAX_PATH), source: text(MAX_PATH), options: strings, uidMappings: mappings, gidMappings: mappings }, ['destination']);

const DEVICE = record({
  path: also(path, climbs), type: oneOf('c', 'b', 'u', 'p'), major: whole(0, MAX_DEVICE), minor: whole(0, MAX_DEVICE), fileMode: whole(0, 0o177777), uid: id, gid: id,
}, ['path', 'type']);

const weighted = { major: whole(0, MAX_DEVICE), minor: whole(0, MAX_DEVICE) };
const throttles = listOf(record({ ...weighted, rate: natural }, ['major', 'minor', 'rate']));
const weight = also(whole(0, 1000), (value: number) => (value === 0 || value >= 10 ? undefined : `${value} is not a weight from 10 to 1000`));
/** https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md "Control groups". */
export const RESOURCES: Shape = record({
  devices: listOf(record({ allow: flag, type: oneOf('a', 'b', 'c', 'u', 'p', ''), major: whole(-1, MAX_U32), minor: whole(-1, MAX_U32), access: also(text(3), (access: string) => (/^[rwm]*$/.test(access) ? undefined : `${show(access)} has letters other than r, w and m`)) }, ['allow'])),
  memory: record({ limit: integer, reservation: integer, swap: integer, kernel: integer, kernelTCP: integer, swappiness: integer, disableOOMKiller: flag, useHierarchy: flag, checkBeforeUpdate: flag }),
  cpu: record({ shares: natural, quota: integer, burst: natural, period: natural, realtimeRuntime: integer, realtimePeriod: natural, cpus: text(MAX_PATH), mems: text(MAX_PATH), idle: whole(0, 1) }),
  pids: record({ limit: integer }),
  blockIO: record({
    weight, leafWeight: weight, weightDevice: listOf(record({ ...weighted, weight, leafWeight: weight }, ['major', 'minor'])),
    throttleReadBpsDevice: throttles, throttleWriteBpsDevice: throttles, throttleReadIOPSDevice: throttles, throttleWriteIOPSDevice: throttles,
  }),
  hugepageLimits: listOf(record({ pageSize: text(64), limit: natural }, ['pageSize', 'limit'])),
  network: record({ classID: whole(0, MAX_U32), priorities: listOf(record({ name: text(15), priority: whole(0, MAX_U32) }, ['name', 'priority'])) }),
  rdma: mapOf(record({ hcaHandles: whole(0, MAX_U32), hcaObjects: whole(0, MAX_U32) })),
  unified: mapOf(text()),
});

const argument: Shape = (value) => (typeof value === 'number' || typeof value === 'string' ? undefined : { keys: [], problem: 'must be a number' });
const SECCOMP = record({
  defaultAction: text(), defaultErrnoRet: natural, architectures: strings, flags: strings, listenerPath: path, listenerMetadata: text(),
  syscalls: listOf(record({
    names: also(strings, (names: string[]) => (names.length === 0 ? 'is empty' : undefined)), action: text(), errnoRet: natural,
    args: listOf(record({ index: whole(0, 5), value: argument, valueTwo: argument, op: text() }, ['index', 'op'])),
  }, ['names', 'action'])),
}, ['defaultAction']);

const OFFSET = record({ secs: integer, nanosecs: whole(0, 999_999_999) });
const PROPAGATIONS = ['shared', 'slave', 'private', 'unbindable'];

const LINUX = record({
  namespaces: listOf(record({ type: oneOf('pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'), path: also(text(MAX_PATH), (p: string) => (p === '' || p.startsWith('/') ? undefined : `${show(p)} is no absolute path`)) }, ['type'])),
  uidMappings: mappings, gidMappings: mappings,
  timeOffsets: record({ boottime: OFFSET, monotonic: OFFSET }),
  devices: listOf(DEVICE),
  netDevices: mapOf(record({ name: text(15) })),
  cgroupsPath: also(text(MAX_PATH), climbs),
  resources: RESOURCES,
  rootfsPropagation: oneOf('', ...PROPAGATIONS, ...PROPAGATIONS.map((name) => `r${name}`)),
  sysctl: mapOf(text()),
  seccomp: SECCOMP,
  maskedPaths: listOf(path), readonlyPaths: listOf(path),
  mountLabel: text(MAX_PATH),
  intelRdt: record({ closID: text(255), schemata: strings, l3CacheSchema: text(), memBwSchema: text(), enableCMT: flag, enableMBM: flag, enableMonitoring: flag }),
  memoryPolicy: record({ mode: text(), nodes: text(MAX_PATH), flags: strings }, ['mode']),
  personality: record({ domain: text(), flags: strings }, ['domain']),
});

/** Every field that runtime-spec 1.3 defines for Linux, by its type and range. What fields mean together is validate-spec's. */
export const SPEC: Shape = record({
  ociVersion: text(),
  process: PROCESS,
  root: record({ path: text(MAX_PATH), readonly: flag }, ['path']),
  hostname: text(MAX_HOSTNAME), domainname: text(MAX_HOSTNAME),
  mounts: listOf(MOUNT),
  hooks: HOOKS,
  annotations: mapOf(text()),
  linux: LINUX,
}, ['ociVersion']);
