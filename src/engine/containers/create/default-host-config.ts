import type { HostConfig } from '#spec/engine-api.ts';

export const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;

/** What inspect shows of a host configuration where the request said nothing. */
export const HOST_CONFIG_DEFAULTS: HostConfig = {
  Binds: null, ContainerIDFile: '', LogConfig: { Type: 'json-file', Config: {} }, NetworkMode: 'bridge', PortBindings: {},
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 }, AutoRemove: false, VolumeDriver: '', VolumesFrom: null, ConsoleSize: [0, 0],
  CapAdd: null, CapDrop: null, CgroupnsMode: 'private', Dns: [], DnsOptions: [], DnsSearch: [], ExtraHosts: null, GroupAdd: null,
  IpcMode: 'private', Cgroup: '', Links: null, OomScoreAdj: 0, PidMode: '', Privileged: false, PublishAllPorts: false,
  ReadonlyRootfs: false, SecurityOpt: null, UTSMode: '', UsernsMode: '', ShmSize: DEFAULT_SHM_SIZE, Runtime: 'naru', Isolation: '',
  CpuShares: 0, Memory: 0, NanoCpus: 0, CgroupParent: '', BlkioWeight: 0, BlkioWeightDevice: [], BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [], BlkioDeviceReadIOps: [], BlkioDeviceWriteIOps: [], CpuPeriod: 0, CpuQuota: 0, CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0, CpusetCpus: '', CpusetMems: '', Devices: [], DeviceCgroupRules: null, DeviceRequests: null,
  MemoryReservation: 0, MemorySwap: 0, MemorySwappiness: null, OomKillDisable: null, PidsLimit: null, Ulimits: [], CpuCount: 0,
  CpuPercent: 0, IOMaximumIOps: 0, IOMaximumBandwidth: 0,
};

/** The stored form: values that mean "default" made explicit, or dropped. `memorySwap` follows Docker: twice the memory. */
export function normalizeHostConfig(host: HostConfig): HostConfig {
  const copy: HostConfig = { ...host };
  copy.NetworkMode = host.NetworkMode === undefined || ['', 'default'].includes(host.NetworkMode) ? 'bridge' : host.NetworkMode;
  copy.IpcMode ||= 'private';
  copy.CgroupnsMode ||= 'private';
  copy.ShmSize ||= DEFAULT_SHM_SIZE;
  copy.Runtime ||= 'naru';
  copy.RestartPolicy = { Name: host.RestartPolicy?.Name || 'no', MaximumRetryCount: host.RestartPolicy?.MaximumRetryCount ?? 0 };
  if ((host.Memory ?? 0) > 0 && !host.MemorySwap) copy.MemorySwap = host.Memory! * 2;
  if ((host.PidsLimit ?? 0) <= 0) copy.PidsLimit = null;
  if ((host.MemorySwappiness ?? -1) === -1) copy.MemorySwappiness = null;
  if ((host.CpuShares ?? 0) > 0) copy.CpuShares = Math.min(262_144, Math.max(2, host.CpuShares!));
  return copy;
}
