/** https://github.com/opencontainers/runtime-spec, config.json for Linux (1.3): types only. What of it does what: src/runtime/compile/spec-shape.ts. */
export interface OciSpec {
  ociVersion: string;
  process?: OciProcess;
  root?: { path: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  mounts?: OciMount[];
  hooks?: Partial<Record<'prestart' | 'createRuntime' | 'createContainer' | 'startContainer' | 'poststart' | 'poststop', OciHook[]>>;
  annotations?: Record<string, string>;
  linux?: OciLinux;
}
export interface OciHook { path: string; args?: string[]; env?: string[]; timeout?: number }
export interface OciProcess {
  terminal?: boolean; consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; umask?: number; additionalGids?: number[]; username?: string };
  args?: string[]; env?: string[]; cwd: string;
  capabilities?: Partial<Record<'bounding' | 'effective' | 'inheritable' | 'permitted' | 'ambient', string[]>>;
  rlimits?: { type: string; soft: number; hard: number }[];
  noNewPrivileges?: boolean; apparmorProfile?: string; selinuxLabel?: string; oomScoreAdj?: number;
  scheduler?: { policy: string; nice?: number; priority?: number; flags?: string[]; runtime?: number; deadline?: number; period?: number };
  ioPriority?: { class: string; priority?: number };
  execCPUAffinity?: { initial?: string; final?: string };
}
export interface IdMapping { containerID: number; hostID: number; size: number }
export interface OciMount { destination: string; type?: string; source?: string; options?: string[]; uidMappings?: IdMapping[]; gidMappings?: IdMapping[] }
export interface DeviceRule { allow: boolean; type?: 'a' | 'b' | 'c' | 'u' | 'p'; major?: number; minor?: number; access?: string }
export interface OciResources {
  devices?: DeviceRule[];
  memory?: { limit?: number; reservation?: number; swap?: number; kernel?: number; kernelTCP?: number; swappiness?: number; disableOOMKiller?: boolean; useHierarchy?: boolean; checkBeforeUpdate?: boolean };
  cpu?: { shares?: number; quota?: number; burst?: number; period?: number; realtimeRuntime?: number; realtimePeriod?: number; cpus?: string; mems?: string; idle?: number };
  pids?: { limit?: number };
  blockIO?: {
    weight?: number; leafWeight?: number; weightDevice?: { major: number; minor: number; weight?: number; leafWeight?: number }[];
    throttleReadBpsDevice?: OciThrottle[]; throttleWriteBpsDevice?: OciThrottle[]; throttleReadIOPSDevice?: OciThrottle[]; throttleWriteIOPSDevice?: OciThrottle[];
  };
  hugepageLimits?: { pageSize: string; limit: number }[];
  network?: { classID?: number; priorities?: { name: string; priority: number }[] };
  rdma?: Record<string, { hcaHandles?: number; hcaObjects?: number }>;
  unified?: Record<string, string>;
}
export interface OciThrottle { major: number; minor: number; rate: number }
export type NamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';
export interface OciLinux {
  namespaces?: { type: NamespaceType; path?: string }[];
  uidMappings?: IdMapping[]; gidMappings?: IdMapping[]; timeOffsets?: Partial<Record<'boottime' | 'monotonic', { secs?: number; nanosecs?: number }>>;
  devices?: { path: string; type: 'c' | 'b' | 'u' | 'p'; major?: number; minor?: number; fileMode?: number; uid?: number; gid?: number }[];
  cgroupsPath?: string; resources?: OciResources; rootfsPropagation?: 'shared' | 'slave' | 'private' | 'unbindable' | string;
  sysctl?: Record<string, string>; seccomp?: OciSeccomp; maskedPaths?: string[]; readonlyPaths?: string[]; mountLabel?: string;
  intelRdt?: { closID?: string; schemata?: string[]; l3CacheSchema?: string; memBwSchema?: string; enableCMT?: boolean; enableMBM?: boolean; enableMonitoring?: boolean };
  /** Host's interface -> its name inside (its own when there is none). */
  netDevices?: Record<string, { name?: string }>;
  memoryPolicy?: { mode: string; nodes?: string; flags?: string[] };
  personality?: { domain: string; flags?: string[] };
}
export interface OciSeccomp {
  defaultAction: string; defaultErrnoRet?: number; architectures?: string[]; flags?: string[]; listenerPath?: string; listenerMetadata?: string;
  syscalls?: { names: string[]; action: string; errnoRet?: number; args?: { index: number; value: number | string; valueTwo?: number | string; op: string }[] }[];
}
