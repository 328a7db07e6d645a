import { NaruError } from '#spec/errors.ts';
import type { OciResources, OciThrottle } from '#spec/oci-runtime.ts';
import type { CgroupHost, Hierarchy } from './detect-cgroups.ts';
import { type LimitWrite, hasFile, integer, requireController, requireFile } from './limit-write.ts';

export const KERNEL_LIMIT = 'memory.kmem.limit_in_bytes';

type Add = (hierarchy: Hierarchy, file: string, value: string, pointer: string, initial?: boolean) => void;

/** The limits that belong to v1 controllers, in the kernel's order (https://docs.kernel.org/admin-guide/cgroup-v1/). Devices are
 *  not among them. Throws `invalid` for what this machine cannot do. */
export function limitsV1(host: CgroupHost, resources: OciResources): LimitWrite[] {
  const writes: LimitWrite[] = [];
  const add: Add = (hierarchy, file, value, pointer, initial = false) => void writes.push({ hierarchy, file, value, initial, pointer });
  cpuset(host, resources, add);
  cpu(host, resources, add);
  memory(host, resources, add);
  pids(host, resources, add);
  blockIo(host, resources, add);
  network(host, resources, add);
  return writes;
}

function cpuset(host: CgroupHost, { cpu }: OciResources, add: Add): void {
  for (const [key, file] of [['mems', 'cpuset.mems'], ['cpus', 'cpuset.cpus']] as const) {
    const value = cpu?.[key];
    if (value !== undefined && value !== '') add(requireController(host, 'cpuset', `/cpu/${key}`), file, value, `/cpu/${key}`);
  }
}

function cpu(host: CgroupHost, { cpu: limits }: OciResources, add: Add): void {
  if (limits === undefined) return;
  const put = (pointer: string, file: string, value: number, initial: number): void => {
    const hierarchy = requireController(host, 'cpu', pointer);
    add(hierarchy, requireFile(hierarchy, [file], pointer), integer(value), pointer, value === initial);
  };
  if (limits.idle !== undefined) put('/cpu/idle', 'cpu.idle', limits.idle, 0);
  // A group that is idle has no weight of its own.
  if (limits.shares !== undefined && limits.shares !== 0 && limits.idle !== 1) put('/cpu/shares', 'cpu.shares', limits.shares, 1024);
  if (limits.period !== undefined && limits.period !== 0) put('/cpu/period', 'cpu.cfs_period_us', limits.period, 100_000);
  if (limits.quota !== undefined && limits.quota !== 0) put('/cpu/quota', 'cpu.cfs_quota_us', limits.quota < 0 ? -1 : limits.quota, -1);
  if (limits.burst !== undefined) put('/cpu/burst', 'cpu.cfs_burst_us', limits.burst, 0);
  if (limits.realtimePeriod !== undefined && limits.realtimePeriod !== 0) put('/cpu/realtimePeriod', 'cpu.rt_period_us', limits.realtimePeriod, 1_000_000);
  if (limits.realtimeRuntime !== undefined && limits.realtimeRuntime !== 0) put('/cpu/realtimeRuntime', 'cpu.rt_runtime_us', limits.realtimeRuntime, 0);
}

function memory(host: CgroupHost, { memory: limits }: OciResources, add: Add): void {
  if (limits === undefined) return;
  const put = (pointer: string, file: string, value: number, initial: number): void => {
    const hierarchy = requireController(host, 'memory', pointer);
    add(hierarchy, requireFile(hierarchy, [file], pointer), integer(value), pointer, value === initial);
  };
  if (limits.limit !== undefined && limits.limit !== 0) put('/memory/limit', 'memory.limit_in_bytes', Math.max(limits.limit, -1), -1);
  swap(host, limits, add);
  if (limits.reservation !== undefined && limits.reservation !== 0) put('/memory/reservation', 'memory.soft_limit_in_bytes', Math.max(limits.reservation, -1), -1);
  if (limits.useHierarchy === false) throw new NaruError('invalid', '/linux/resources/memory/useHierarchy: every group counts in those above it');
  // Gone from newer kernels, and deprecated in the specification, which lets it be ignored: spec-warnings.ts tells.
  if (limits.kernel) {
    const hierarchy = requireController(host, 'memory', '/memory/kernel');
    if (hasFile(hierarchy, KERNEL_LIMIT) === true) add(hierarchy, KERNEL_LIMIT, integer(Math.max(limits.kernel, -1)), '/memory/kernel', limits.kernel < 0);
  }
  if (limits.kernelTCP !== undefined && limits.kernelTCP !== 0) put('/memory/kernelTCP', 'memory.kmem.tcp.limit_in_bytes', Math.max(limits.kernelTCP, -1), -1);
  if (limits.swappiness !== undefined && limits.swappiness >= 0) {
    if (limits.swappiness > 100) throw new NaruError('invalid', `/linux/resources/memory/swappiness: ${limits.swappiness} is not a number from 0 to 100`);
    put('/memory/swappiness', 'memory.swappiness', limits.swappiness, Number.NaN);
  }
  if (limits.disableOOMKiller === true) put('/memory/disableOOMKiller', 'memory.oom_control', 1, 0);
}

/** memory.memsw is memory and swap together, and may never be below memory: so it is written after it. */
function swap(host: CgroupHost, limits: NonNullable<OciResources['memory']>, add: Add): void {
  const pointer = '/memory/swap';
  const file = 'memory.memsw.limit_in_bytes';
  const asked = limits.swap !== undefined && limits.swap !== 0;
  // Memory without limit means swap without limit, unless something else was said.
  const value = asked ? Math.max(limits.swap!, -1) : limits.limit === -1 ? -1 : 0;
  if (value === 0) return;
  if (value > 0 && limits.limit !== undefined && limits.limit > value) {
    throw new NaruError('invalid', '/linux/resources/memory/swap: Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  const hierarchy = requireController(host, 'memory', pointer);
  if (value === -1 && hasFile(hierarchy, file) === false) return;
  add(hierarchy, requireFile(hierarchy, [file], pointer), integer(value), pointer, value === -1);
}

function pids(host: CgroupHost, { pids: limits }: OciResources, add: Add): void {
  if (!limits?.limit) return;
  add(requireController(host, 'pids', '/pids/limit'), 'pids.max', limits.limit < 0 ? 'max' : integer(limits.limit), '/pids/limit', limits.limit < 0);
}

const THROTTLES = [
  ['throttleReadBpsDevice', 'blkio.throttle.read_bps_device'], ['throttleWriteBpsDevice', 'blkio.throttle.write_bps_device'],
  ['throttleReadIOPSDevice', 'blkio.throttle.read_iops_device'], ['throttleWriteIOPSDevice', 'blkio.throttle.write_iops_device'],
] as const;

function blockIo(host: CgroupHost, { blockIO: limits }: OciResources, add: Add): void {
  if (limits === undefined) return;
  const put = (pointer: string, files: readonly string[], value: string): void => {
    const hierarchy = requireController(host, 'blkio', pointer);
    add(hierarchy, requireFile(hierarchy, files, pointer), value, pointer);
  };
  if (limits.weight !== undefined && limits.weight !== 0) put('/blockIO/weight', ['blkio.bfq.weight', 'blkio.weight'], integer(limits.weight));
  if (limits.leafWeight !== undefined && limits.leafWeight !== 0) put('/blockIO/leafWeight', ['blkio.leaf_weight'], integer(limits.leafWeight));
  limits.weightDevice?.forEach(({ major, minor, weight, leafWeight }, index) => {
    const pointer = `/blockIO/weightDevice/${index}`;
    if (weight !== undefined && weight !== 0) put(pointer, ['blkio.bfq.weight_device', 'blkio.weight_device'], `${major}:${minor} ${weight}`);
    if (leafWeight !== undefined && leafWeight !== 0) put(pointer, ['blkio.leaf_weight_device'], `${major}:${minor} ${leafWeight}`);
  });
  for (const [key, file] of THROTTLES) {
    limits[key]?.forEach(({ major, minor, rate }: OciThrottle, index) => put(`/blockIO/${key}/${index}`, [file], `${major}:${minor} ${integer(rate)}`));
  }
}

function network(host: CgroupHost, { network: limits }: OciResources, add: Add): void {
  if (limits?.classID !== undefined && limits.classID !== 0) {
    add(requireController(host, 'net_cls', '/network/classID'), 'net_cls.classid', integer(limits.classID), '/network/classID');
  }
  limits?.priorities?.forEach(({ name, priority }, index) => {
    const pointer = `/network/priorities/${index}`;
    add(requireController(host, 'net_prio', pointer), 'net_prio.ifpriomap', `${name} ${priority}`, pointer);
  });
}
