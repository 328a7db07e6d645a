/**
 * The JSON of Docker's Engine API (v1.24 to v1.51) as far as naru serves it: types only. Field names and meanings are the
 * API's own (engine-api-v1.51.yaml). `Partial` inputs: a client may leave out nearly everything.
 */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type StringMap = Record<string, string>;

export interface PortBinding { HostIp: string; HostPort: string }
export type PortMap = Record<string, PortBinding[] | null>;
export interface PortSummary { IP?: string; PrivatePort: number; PublicPort?: number; Type: string }

export interface Healthcheck { Test?: string[]; Interval?: number; Timeout?: number; Retries?: number; StartPeriod?: number; StartInterval?: number }

/** The portable part of a container: what an image can hold too. Durations are nanoseconds. */
export interface ContainerConfig {
  Hostname?: string; Domainname?: string; User?: string;
  AttachStdin?: boolean; AttachStdout?: boolean; AttachStderr?: boolean;
  ExposedPorts?: Record<string, object> | null;
  Tty?: boolean; OpenStdin?: boolean; StdinOnce?: boolean;
  Env?: string[] | null; Cmd?: string[] | string | null; Healthcheck?: Healthcheck | null; ArgsEscaped?: boolean;
  Image?: string; Volumes?: Record<string, object> | null; WorkingDir?: string; Entrypoint?: string[] | string | null;
  NetworkDisabled?: boolean; MacAddress?: string; OnBuild?: string[] | null; Labels?: StringMap | null;
  StopSignal?: string; StopTimeout?: number | null; Shell?: string[] | null;
}

export interface DeviceMapping { PathOnHost: string; PathInContainer: string; CgroupPermissions: string }
export interface ThrottleDevice { Path: string; Rate: number }
export interface WeightDevice { Path: string; Weight: number }
export interface Ulimit { Name: string; Soft: number; Hard: number }
export interface RestartPolicy { Name: '' | 'no' | 'always' | 'unless-stopped' | 'on-failure'; MaximumRetryCount?: number }
export interface LogConfig { Type: string; Config: StringMap }

export interface Mount {
  Type: 'bind' | 'volume' | 'tmpfs' | 'image' | 'npipe' | 'cluster';
  Source?: string; Target: string; ReadOnly?: boolean; Consistency?: string;
  BindOptions?: { Propagation?: string; NonRecursive?: boolean; CreateMountpoint?: boolean; ReadOnlyNonRecursive?: boolean; ReadOnlyForceRecursive?: boolean };
  VolumeOptions?: { NoCopy?: boolean; Labels?: StringMap; DriverConfig?: { Name?: string; Options?: StringMap }; Subpath?: string };
  TmpfsOptions?: { SizeBytes?: number; Mode?: number; Options?: string[][] };
  ImageOptions?: { Subpath?: string };
}

/** cgroup limits that `update` can change too. */
export interface Resources {
  CpuShares?: number; Memory?: number; CgroupParent?: string; BlkioWeight?: number;
  BlkioWeightDevice?: WeightDevice[] | null; BlkioDeviceReadBps?: ThrottleDevice[] | null; BlkioDeviceWriteBps?: ThrottleDevice[] | null;
  BlkioDeviceReadIOps?: ThrottleDevice[] | null; BlkioDeviceWriteIOps?: ThrottleDevice[] | null;
  CpuPeriod?: number; CpuQuota?: number; CpuRealtimePeriod?: number; CpuRealtimeRuntime?: number;
  CpusetCpus?: string; CpusetMems?: string; Devices?: DeviceMapping[] | null; DeviceCgroupRules?: string[] | null;
  DeviceRequests?: { Driver?: string; Count?: number; DeviceIDs?: string[] | null; Capabilities?: string[][] | null; Options?: StringMap | null }[] | null;
  KernelMemory?: number; KernelMemoryTCP?: number; MemoryReservation?: number; MemorySwap?: number; MemorySwappiness?: number | null;
  NanoCpus?: number; OomKillDisable?: boolean | null; Init?: boolean | null; PidsLimit?: number | null; Ulimits?: Ulimit[] | null;
  CpuCount?: number; CpuPercent?: number; IOMaximumIOps?: number; IOMaximumBandwidth?: number;
}

export interface HostConfig extends Resources {
  Binds?: string[] | null; ContainerIDFile?: string; LogConfig?: LogConfig; NetworkMode?: string; PortBindings?: PortMap | null;
  RestartPolicy?: RestartPolicy; AutoRemove?: boolean; VolumeDriver?: string; VolumesFrom?: string[] | null; Mounts?: Mount[] | null;
  ConsoleSize?: [number, number]; Annotations?: StringMap; CapAdd?: string[] | null; CapDrop?: string[] | null;
  CgroupnsMode?: '' | 'private' | 'host'; Dns?: string[] | null; DnsOptions?: string[] | null; DnsSearch?: string[] | null;
  ExtraHosts?: string[] | null; GroupAdd?: string[] | null; IpcMode?: string; Cgroup?: string; Links?: string[] | null;
  OomScoreAdj?: number; PidMode?: string; Privileged?: boolean; PublishAllPorts?: boolean; ReadonlyRootfs?: boolean;
  SecurityOpt?: string[] | null; StorageOpt?: StringMap; Tmpfs?: StringMap; UTSMode?: string; UsernsMode?: string; ShmSize?: number;
  Sysctls?: StringMap; Runtime?: string; Isolation?: string; MaskedPaths?: string[] | null; ReadonlyPaths?: string[] | null;
  /** naru's extension (`naru run --rootfs DIR`): a copy-on-write container over this host directory instead of an image. */
  'naru.Rootfs'?: string;
  /** naru's own: what follows when the container becomes unhealthy: `none`, `kill`, `restart`, `stop`. */
  'naru.HealthOnFailure'?: string;
}

export interface EndpointSettings {
  IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] } | null;
  Links?: string[] | null; Aliases?: string[] | null; MacAddress?: string; DriverOpts?: StringMap | null; GwPriority?: number;
  NetworkID?: string; EndpointID?: string; Gateway?: string; IPAddress?: string; IPPrefixLen?: number; IPv6Gateway?: string;
  GlobalIPv6Address?: string; GlobalIPv6PrefixLen?: number; DNSNames?: string[] | null;
}

export interface ContainerCreateRequest extends ContainerConfig {
  HostConfig?: HostConfig; NetworkingConfig?: { EndpointsConfig?: Record<string, EndpointSettings | null> | null };
}
export interface ContainerCreateResponse { Id: string; Warnings: string[] }

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
export interface HealthLogEntry { Start: string; End: string; ExitCode: number; Output: string }
export interface Health { Status: 'none' | 'starting' | 'healthy' | 'unhealthy'; FailingStreak: number; Log: HealthLogEntry[] }
export interface ContainerState {
  Status: ContainerStatus; Running: boolean; Paused: boolean; Restarting: boolean; OOMKilled: boolean; Dead: boolean; Pid: number;
  ExitCode: number; Error: string; StartedAt: string; FinishedAt: string; Health?: Health;
}
export interface MountPoint { Type: string; Name?: string; Source: string; Destination: string; Driver?: string; Mode: string; RW: boolean; Propagation: string }
export interface NetworkSettings {
  Bridge: string; SandboxID: string; SandboxKey: string; Ports: PortMap; HairpinMode: boolean; LinkLocalIPv6Address: string;
  LinkLocalIPv6PrefixLen: number; SecondaryIPAddresses: null; SecondaryIPv6Addresses: null; EndpointID: string; Gateway: string;
  GlobalIPv6Address: string; GlobalIPv6PrefixLen: number; IPAddress: string; IPPrefixLen: number; IPv6Gateway: string; MacAddress: string;
  Networks: Record<string, EndpointSettings>;
}
export interface ContainerInspect {
  Id: string; Created: string; Path: string; Args: string[]; State: ContainerState; Image: string; ResolvConfPath: string;
  HostnamePath: string; HostsPath: string; LogPath: string; Name: string; RestartCount: number; Driver: string; Platform: string;
  MountLabel: string; ProcessLabel: string; AppArmorProfile: string; ExecIDs: string[] | null; HostConfig: HostConfig;
  GraphDriver: { Name: string; Data: StringMap | null }; SizeRw?: number; SizeRootFs?: number; Mounts: MountPoint[];
  Config: ContainerConfig; NetworkSettings: NetworkSettings; ImageManifestDescriptor?: object;
}
export interface ContainerSummary {
  Id: string; Names: string[]; Image: string; ImageID: string; Command: string; Created: number; Ports: PortSummary[];
  SizeRw?: number; SizeRootFs?: number; Labels: StringMap; State: ContainerStatus; Status: string;
  HostConfig: { NetworkMode: string; Annotations?: StringMap }; NetworkSettings: { Networks: Record<string, EndpointSettings> };
  Mounts: MountPoint[];
}
export interface WaitResponse { StatusCode: number; Error?: { Message: string } | null }
export interface TopResponse { Titles: string[]; Processes: string[][] }
export interface FilesystemChange { Path: string; Kind: 0 | 1 | 2 }
export interface PathStat { name: string; size: number; mode: number; mtime: string; linkTarget: string }

export interface ExecConfig {
  AttachStdin?: boolean; AttachStdout?: boolean; AttachStderr?: boolean; ConsoleSize?: [number, number] | null; DetachKeys?: string;
  Tty?: boolean; Env?: string[] | null; Cmd?: string[]; Privileged?: boolean; User?: string; WorkingDir?: string; Detach?: boolean;
}
export interface ExecStart { Detach?: boolean; Tty?: boolean; ConsoleSize?: [number, number] | null }
export interface ExecInspect {
  CanRemove: boolean; DetachKeys: string; ID: string; Running: boolean; ExitCode: number | null;
  ProcessConfig: { tty: boolean; entrypoint: string; arguments: string[]; privileged: boolean; user?: string };
  OpenStdin: boolean; OpenStderr: boolean; OpenStdout: boolean; ContainerID: string; Pid: number;
}

export interface ImageInspect {
  Id: string; RepoTags: string[]; RepoDigests: string[]; Parent: string; Comment: string; Created?: string; DockerVersion: string;
  Author: string; Config: ContainerConfig; Architecture: string; Variant?: string; Os: string; OsVersion?: string; Size: number;
  VirtualSize?: number; GraphDriver: { Name: string; Data: StringMap | null }; RootFS: { Type: string; Layers?: string[] };
  Metadata: { LastTagTime: string }; Descriptor?: object;
  Manifests?: ImageManifestSummary[];
  'naru.Referrers'?: object[]; 'naru.Blobs'?: object[];
}
export interface ImageSummary {
  Id: string; ParentId: string; RepoTags: string[]; RepoDigests: string[]; Created: number; Size: number; SharedSize: number;
  VirtualSize?: number; Labels: StringMap | null; Containers: number; Manifests?: ImageManifestSummary[]; Descriptor?: object;
}
export interface ImageManifestSummary {
  ID: string; Descriptor: object; Available: boolean; Size: { Content: number; Total: number }; Kind: 'image' | 'attestation' | 'unknown';
  ImageData?: { Platform: { os: string; architecture: string; variant?: string }; Containers: string[]; Size: { Unpacked: number } }; AttestationData?: { For: string };
}
export interface ImageHistoryItem { Id: string; Created: number; CreatedBy: string; Tags: string[] | null; Size: number; Comment: string }
export interface ImageDeleteItem { Untagged?: string; Deleted?: string }
/** A line of the progress stream of pull, load, import, build. */
export interface ProgressMessage {
  id?: string; status?: string; progress?: string; progressDetail?: { current?: number; total?: number }; stream?: string;
  error?: string; errorDetail?: { message: string; code?: number }; aux?: Json;
}

export interface Volume {
  Name: string; Driver: string; Mountpoint: string; CreatedAt?: string; Status?: Json; Labels: StringMap; Scope: 'local' | 'global';
  Options: StringMap | null; UsageData?: { Size: number; RefCount: number } | null;
}
export interface VolumeCreateRequest { Name?: string; Driver?: string; DriverOpts?: StringMap; Labels?: StringMap }

export interface NetworkInspect {
  Name: string; Id: string; Created: string; Scope: string; Driver: string; EnableIPv4: boolean; EnableIPv6: boolean;
  IPAM: { Driver: string; Config: { Subnet?: string; IPRange?: string; Gateway?: string; AuxiliaryAddresses?: StringMap }[]; Options: StringMap | null };
  Internal: boolean; Attachable: boolean; Ingress: boolean; ConfigFrom: { Network: string }; ConfigOnly: boolean;
  Containers?: Record<string, { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }>;
  Options: StringMap; Labels: StringMap;
}

export interface NetworkCreateRequest {
  Name?: string; Driver?: string; Scope?: string; EnableIPv4?: boolean; EnableIPv6?: boolean; Internal?: boolean; Attachable?: boolean; Ingress?: boolean;
  ConfigOnly?: boolean; ConfigFrom?: { Network?: string } | null; Options?: StringMap | null; Labels?: StringMap | null;
  IPAM?: { Driver?: string; Options?: StringMap | null; Config?: { Subnet?: string; IPRange?: string; Gateway?: string; AuxiliaryAddresses?: StringMap | null }[] | null } | null;
}
export interface NetworkCreateResponse { Id: string; Warning: string }

export interface EventMessage {
  Type: string; Action: string; Actor: { ID: string; Attributes: StringMap }; scope: 'local'; time: number; timeNano: number;
  status?: string; id?: string; from?: string;
}

/** `GET /containers/x/stats`, one sample. Counters are bytes and nanoseconds. */
export interface StatsSample { [key: string]: Json }

export interface PruneReport { SpaceReclaimed: number; ContainersDeleted?: string[] | null; ImagesDeleted?: ImageDeleteItem[] | null; VolumesDeleted?: string[] | null; NetworksDeleted?: string[] | null; CachesDeleted?: string[] | null }
export interface DiskUsage {
  LayersSize: number; Images: ImageSummary[]; Containers: ContainerSummary[]; Volumes: Volume[]; BuildCache: Json[]; BuilderSize?: number;
}
/** Docker's `filters` query: key -> accepted values (already decoded from either wire form). */
export type Filters = ReadonlyMap<string, readonly string[]>;
