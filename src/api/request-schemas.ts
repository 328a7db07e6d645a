import type * as A from '#spec/engine-api.ts';
import { anything, emptyObject, flag, integer, list, mapOf, number, object, text, textOrList } from './schema.ts';

/** The bodies that clients send, field by field as in engine-api.ts. Rules between fields are the engine's. */
const words = list(text);
const labels = mapOf(text, '');
const set = mapOf(emptyObject);

const healthcheck = object({ Test: words, Interval: integer, Timeout: integer, Retries: integer, StartPeriod: integer, StartInterval: integer });

const configFields = {
  Hostname: text, Domainname: text, User: text, AttachStdin: flag, AttachStdout: flag, AttachStderr: flag, ExposedPorts: set,
  Tty: flag, OpenStdin: flag, StdinOnce: flag, Env: words, Cmd: textOrList, Healthcheck: healthcheck, ArgsEscaped: flag,
  Image: text, Volumes: set, WorkingDir: text, Entrypoint: textOrList, NetworkDisabled: flag, MacAddress: text, OnBuild: words,
  Labels: labels, StopSignal: text, StopTimeout: integer, Shell: words,
} satisfies Record<keyof A.ContainerConfig, unknown>;

const throttle = list(object({ Path: text, Rate: integer }));
const resourceFields = {
  CpuShares: integer, Memory: integer, CgroupParent: text, BlkioWeight: integer,
  BlkioWeightDevice: list(object({ Path: text, Weight: integer })), BlkioDeviceReadBps: throttle, BlkioDeviceWriteBps: throttle,
  BlkioDeviceReadIOps: throttle, BlkioDeviceWriteIOps: throttle, CpuPeriod: integer, CpuQuota: integer,
  CpuRealtimePeriod: integer, CpuRealtimeRuntime: integer, CpusetCpus: text, CpusetMems: text,
  Devices: list(object({ PathOnHost: text, PathInContainer: text, CgroupPermissions: text })), DeviceCgroupRules: words,
  DeviceRequests: list(object({ Driver: text, Count: integer, DeviceIDs: words, Capabilities: list(words), Options: labels })),
  KernelMemory: integer, KernelMemoryTCP: integer, MemoryReservation: integer, MemorySwap: integer, MemorySwappiness: integer,
  NanoCpus: integer, OomKillDisable: flag, Init: flag, PidsLimit: integer,
  Ulimits: list(object({ Name: text, Soft: integer, Hard: integer })), CpuCount: integer, CpuPercent: integer,
  IOMaximumIOps: integer, IOMaximumBandwidth: number,
} satisfies Record<keyof A.Resources, unknown>;

const restartPolicy = object({ Name: text, MaximumRetryCount: integer });

const mount = object({
  Type: text, Source: text, Target: text, ReadOnly: flag, Consistency: text,
  BindOptions: object({ Propagation: text, NonRecursive: flag, CreateMountpoint: flag, ReadOnlyNonRecursive: flag, ReadOnlyForceRecursive: flag }),
  VolumeOptions: object({ NoCopy: flag, Labels: labels, DriverConfig: object({ Name: text, Options: labels }), Subpath: text }),
  TmpfsOptions: object({ SizeBytes: integer, Mode: integer, Options: list(words) }),
  ImageOptions: object({ Subpath: text }),
} satisfies Record<keyof A.Mount, unknown>);

const hostConfig = object({
  ...resourceFields, Binds: words, ContainerIDFile: text, LogConfig: object({ Type: text, Config: labels }), NetworkMode: text,
  PortBindings: mapOf(list(object({ HostIp: text, HostPort: text }))), RestartPolicy: restartPolicy, AutoRemove: flag,
  VolumeDriver: text, VolumesFrom: words, Mounts: list(mount), ConsoleSize: list(integer), Annotations: labels, CapAdd: words,
  CapDrop: words, CgroupnsMode: text, Dns: words, DnsOptions: words, DnsSearch: words, ExtraHosts: words,
  GroupAdd: words, IpcMode: text, Cgroup: text, Links: words, OomScoreAdj: integer, PidMode: text, Privileged: flag,
  PublishAllPorts: flag, ReadonlyRootfs: flag, SecurityOpt: words, StorageOpt: labels, Tmpfs: labels, UTSMode: text,
  UsernsMode: text, ShmSize: integer, Sysctls: labels, Runtime: text, Isolation: text, MaskedPaths: words, ReadonlyPaths: words,
  'naru.Rootfs': text, 'naru.HealthOnFailure': text,
} satisfies Record<keyof A.HostConfig, unknown>);

const endpoint = object({
  IPAMConfig: object({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: words }), Links: words, Aliases: words, MacAddress: text,
  DriverOpts: labels, GwPriority: integer, NetworkID: text, EndpointID: text, Gateway: text, IPAddress: text, IPPrefixLen: integer,
  IPv6Gateway: text, GlobalIPv6Address: text, GlobalIPv6PrefixLen: integer, DNSNames: words,
} satisfies Record<keyof A.EndpointSettings, unknown>);

const config = object(configFields);
const create = object({ ...configFields, HostConfig: hostConfig, NetworkingConfig: object({ EndpointsConfig: mapOf(endpoint) }) });
const update = object({ ...resourceFields, RestartPolicy: restartPolicy });
const execConfig = object({
  AttachStdin: flag, AttachStdout: flag, AttachStderr: flag, ConsoleSize: list(integer), DetachKeys: text, Tty: flag, Env: words,
  Cmd: words, Privileged: flag, User: text, WorkingDir: text, Detach: flag,
} satisfies Record<keyof A.ExecConfig, unknown>);
const execStart = object({ Detach: flag, Tty: flag, ConsoleSize: list(integer) });
const volumeCreate = object({ Name: text, Driver: text, DriverOpts: labels, Labels: labels, ClusterVolumeSpec: anything });

const networkCreate = object({
  Name: text, Driver: text, Scope: text, EnableIPv4: flag, EnableIPv6: flag, Internal: flag, Attachable: flag, Ingress: flag, ConfigOnly: flag,
  ConfigFrom: object({ Network: text }), Options: labels, Labels: labels,
  IPAM: object({ Driver: text, Options: labels, Config: list(object({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: labels })) }),
} satisfies Record<keyof A.NetworkCreateRequest, unknown>);
const networkConnect = object({ Container: text, EndpointConfig: endpoint });
const networkDisconnect = object({ Container: text, Force: flag });

/** Each throws kind invalid naming the field, and gives `{}` for a missing body. */
export const asContainerConfig = (body: unknown): A.ContainerConfig => (config(body ?? {}, '') ?? {}) as A.ContainerConfig;
export const asCreateRequest = (body: unknown): A.ContainerCreateRequest => create(body ?? {}, '') as A.ContainerCreateRequest;
export const asUpdate = (body: unknown): A.Resources & { RestartPolicy?: A.RestartPolicy } => update(body ?? {}, '') as A.Resources & { RestartPolicy?: A.RestartPolicy };
export const asExecConfig = (body: unknown): A.ExecConfig => execConfig(body ?? {}, '') as A.ExecConfig;
export const asExecStart = (body: unknown): A.ExecStart => execStart(body ?? {}, '') as A.ExecStart;
export const asVolumeCreate = (body: unknown): A.VolumeCreateRequest => volumeCreate(body ?? {}, '') as A.VolumeCreateRequest;
export const asNetworkCreate = (body: unknown): A.NetworkCreateRequest => networkCreate(body ?? {}, '') as A.NetworkCreateRequest;
export const asNetworkConnect = (body: unknown): { Container?: string; EndpointConfig?: A.EndpointSettings } => networkConnect(body ?? {}, '') as { Container?: string; EndpointConfig?: A.EndpointSettings };
export const asNetworkDisconnect = (body: unknown): { Container?: string; Force?: boolean } => networkDisconnect(body ?? {}, '') as { Container?: string; Force?: boolean };
