import type { Resources, ThrottleDevice } from '#spec/engine-api.ts';
import type { OciResources, OciThrottle } from '#spec/oci-runtime.ts';
import type { SpecBuilder } from './spec-draft.ts';

const CPU_PERIOD = 100_000;

type BlockDevice = (path: string) => { major: number; minor: number };
/** Records which flag an entry comes from. */
type Note = (pointer: string, flag: string) => void;

/** cgroup limits in OCI's words. Also what `update` sends to a running container. */
export function toOciResources(limits: Resources, { blockDevice, note, cgroupVersion }: { blockDevice: BlockDevice; note: Note; cgroupVersion: 1 | 2 }): OciResources {
  const resources: OciResources = {};
  const memory = memoryOf(limits, note, cgroupVersion);
  if (Object.keys(memory).length > 0) resources.memory = memory;
  const cpu = cpuOf(limits, note);
  if (Object.keys(cpu).length > 0) resources.cpu = cpu;
  if ((limits.PidsLimit ?? 0) > 0) {
    resources.pids = { limit: limits.PidsLimit! };
    note('/pids', `--pids-limit ${limits.PidsLimit}`);
  }
  const blockIO = blockIoOf(limits, { blockDevice, note });
  if (Object.keys(blockIO).length > 0) resources.blockIO = blockIO;
  return resources;
}

/** As Docker has it, what cgroup v2 does not know of is dropped, not refused. */
function memoryOf(limits: Resources, note: Note, cgroupVersion: 1 | 2): NonNullable<OciResources['memory']> {
  const memory: NonNullable<OciResources['memory']> = {};
  if (limits.Memory) {
    memory.limit = limits.Memory;
    note('/memory/limit', `--memory ${limits.Memory}`);
  }
  if (limits.MemoryReservation) {
    memory.reservation = limits.MemoryReservation;
    note('/memory/reservation', `--memory-reservation ${limits.MemoryReservation}`);
  }
  if (limits.MemorySwap) {
    memory.swap = limits.MemorySwap;
    note('/memory/swap', `--memory-swap ${limits.MemorySwap}`);
  }
  if (cgroupVersion === 2) return memory;
  if (limits.MemorySwappiness !== undefined && limits.MemorySwappiness !== null) {
    memory.swappiness = limits.MemorySwappiness;
    note('/memory/swappiness', `--memory-swappiness ${limits.MemorySwappiness}`);
  }
  if (limits.OomKillDisable === true) {
    memory.disableOOMKiller = true;
    note('/memory/disableOOMKiller', '--oom-kill-disable');
  }
  return memory;
}

function cpuOf(limits: Resources, note: Note): NonNullable<OciResources['cpu']> {
  const cpu: NonNullable<OciResources['cpu']> = {};
  if (limits.CpuShares) {
    cpu.shares = limits.CpuShares;
    note('/cpu/shares', `--cpu-shares ${limits.CpuShares}`);
  }
  if (limits.NanoCpus) {
    cpu.period = CPU_PERIOD;
    cpu.quota = Math.round((limits.NanoCpus * CPU_PERIOD) / 1e9);
    note('/cpu/quota', `--cpus ${limits.NanoCpus / 1e9}`);
    note('/cpu/period', `--cpus ${limits.NanoCpus / 1e9}`);
  }
  if (limits.CpuPeriod) {
    cpu.period = limits.CpuPeriod;
    note('/cpu/period', `--cpu-period ${limits.CpuPeriod}`);
  }
  if (limits.CpuQuota) {
    cpu.quota = limits.CpuQuota;
    note('/cpu/quota', `--cpu-quota ${limits.CpuQuota}`);
  }
  if (limits.CpuRealtimePeriod) {
    cpu.realtimePeriod = limits.CpuRealtimePeriod;
    note('/cpu/realtimePeriod', `--cpu-rt-period ${limits.CpuRealtimePeriod}`);
  }
  if (limits.CpuRealtimeRuntime) {
    cpu.realtimeRuntime = limits.CpuRealtimeRuntime;
    note('/cpu/realtimeRuntime', `--cpu-rt-runtime ${limits.CpuRealtimeRuntime}`);
  }
  if (limits.CpusetCpus) {
    cpu.cpus = limits.CpusetCpus;
    note('/cpu/cpus', `--cpuset-cpus ${limits.CpusetCpus}`);
  }
  if (limits.CpusetMems) {
    cpu.mems = limits.CpusetMems;
    note('/cpu/mems', `--cpuset-mems ${limits.CpusetMems}`);
  }
  return cpu;
}

function blockIoOf(limits: Resources, { blockDevice, note }: { blockDevice: BlockDevice; note: Note }): NonNullable<OciResources['blockIO']> {
  const io: NonNullable<OciResources['blockIO']> = {};
  if (limits.BlkioWeight) {
    io.weight = limits.BlkioWeight;
    note('/blockIO/weight', `--blkio-weight ${limits.BlkioWeight}`);
  }
  if ((limits.BlkioWeightDevice ?? []).length > 0) {
    io.weightDevice = limits.BlkioWeightDevice!.map(({ Path, Weight }) => ({ ...blockDevice(Path), weight: Weight }));
    note('/blockIO/weightDevice', '--blkio-weight-device');
  }
  const throttle = (list: ThrottleDevice[] | null | undefined, { key, flag }: { key: ThrottleKey; flag: string }): void => {
    if (list === null || list === undefined || list.length === 0) return;
    io[key] = list.map(({ Path, Rate }): OciThrottle => ({ ...blockDevice(Path), rate: Rate }));
    note(`/blockIO/${key}`, `${flag} ${list.map(({ Path, Rate }) => `${Path}:${Rate}`).join(' ')}`);
  };
  throttle(limits.BlkioDeviceReadBps, { key: 'throttleReadBpsDevice', flag: '--device-read-bps' });
  throttle(limits.BlkioDeviceWriteBps, { key: 'throttleWriteBpsDevice', flag: '--device-write-bps' });
  throttle(limits.BlkioDeviceReadIOps, { key: 'throttleReadIOPSDevice', flag: '--device-read-iops' });
  throttle(limits.BlkioDeviceWriteIOps, { key: 'throttleWriteIOPSDevice', flag: '--device-write-iops' });
  return io;
}

type ThrottleKey = 'throttleReadBpsDevice' | 'throttleWriteBpsDevice' | 'throttleReadIOPSDevice' | 'throttleWriteIOPSDevice';

export const buildResources: SpecBuilder = ({ spec, sources }, { doc, blockDevice, cgroupPath, host }) => {
  Object.assign(spec.linux.resources, toOciResources(doc.hostConfig, {
    blockDevice, cgroupVersion: host.cgroupVersion, note: (pointer, flag) => sources.set(`/linux/resources${pointer}`, flag),
  }));
  spec.linux.cgroupsPath = cgroupPath;
  if (doc.hostConfig.CgroupParent) sources.set('/linux/cgroupsPath', `--cgroup-parent ${doc.hostConfig.CgroupParent}`);
};
