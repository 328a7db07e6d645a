import { NaruError } from '#spec/errors.ts';
import type { OciResources, OciThrottle } from '#spec/oci-runtime.ts';
import type { CgroupHost } from './detect-cgroups.ts';
import { type LimitWrite, hasFile, integer, orMax, requireController } from './limit-write.ts';

type Add = (controller: string, file: string, value: string, pointer: string, initial?: boolean) => void;

/** The limits for a machine with cgroup v2 only (https://docs.kernel.org/admin-guide/cgroup-v2.html), from OCI's fields, which
 *  are v1's. Devices are not among them. Throws `invalid` for what v2 or this machine cannot do. */
export function limitsV2(host: CgroupHost, resources: OciResources): LimitWrite[] {
  const writes: LimitWrite[] = [];
  const add: Add = (controller, file, value, pointer, initial = false) => {
    writes.push({ hierarchy: requireController(host, controller, pointer), file, value, initial, pointer });
  };
  cpuset(resources, add);
  cpu(resources, add);
  memory(resources, add);
  if (resources.pids?.limit) {
    add('pids', 'pids.max', orMax(resources.pids.limit), '/pids/limit', resources.pids.limit < 0);
  }
  blockIo(host, resources, add);
  if (resources.network?.classID || resources.network?.priorities?.length) {
    throw new NaruError('invalid', '/linux/resources/network: net_cls and net_prio exist on cgroup v1 only', { hint: 'Use tc or nftables with cgroup matches.' });
  }
  return writes;
}

function cpuset({ cpu: limits }: OciResources, add: Add): void {
  if (limits?.cpus) add('cpuset', 'cpuset.cpus', limits.cpus, '/cpu/cpus');
  if (limits?.mems) add('cpuset', 'cpuset.mems', limits.mems, '/cpu/mems');
}

function cpu({ cpu: limits }: OciResources, add: Add): void {
  if (limits === undefined) return;
  if (limits.realtimeRuntime || limits.realtimePeriod) {
    throw new NaruError('invalid', '/linux/resources/cpu/realtimeRuntime: cgroup v2 has no real-time limits');
  }
  if (limits.idle !== undefined) add('cpu', 'cpu.idle', integer(limits.idle), '/cpu/idle', limits.idle === 0);
  if (limits.shares && limits.idle !== 1) {
    const weight = cpuWeight(limits.shares);
    add('cpu', 'cpu.weight', integer(weight), '/cpu/shares', weight === 100);
  }
  const unlimited = limits.quota === undefined || limits.quota <= 0;
  if (limits.quota || limits.period) {
    const period = limits.period || 100_000;
    add('cpu', 'cpu.max', `${unlimited ? 'max' : integer(limits.quota!)} ${integer(period)}`, limits.quota ? '/cpu/quota' : '/cpu/period', unlimited && period === 100_000);
  }
  if (limits.burst !== undefined) add('cpu', 'cpu.max.burst', integer(limits.burst), '/cpu/burst', limits.burst === 0);
}

function memory({ memory: limits }: OciResources, add: Add): void {
  if (limits === undefined) return;
  refuse(limits.kernelTCP, '/memory/kernelTCP');
  refuse(limits.swappiness !== undefined && limits.swappiness >= 0, '/memory/swappiness');
  refuse(limits.disableOOMKiller, '/memory/disableOOMKiller');
  refuse(limits.useHierarchy === false, '/memory/useHierarchy');
  const swap = swapLimit(limits);
  if (limits.limit !== undefined && limits.limit !== 0) add('memory', 'memory.max', orMax(limits.limit), '/memory/limit', limits.limit < 0);
  if (swap !== undefined) add('memory', 'memory.swap.max', orMax(swap), '/memory/swap', swap < 0);
  if (limits.reservation !== undefined && limits.reservation !== 0) {
    add('memory', 'memory.low', orMax(limits.reservation), '/memory/reservation');
  }
}

/** v1 had it. */
function refuse(asked: unknown, pointer: string): void {
  if (asked) throw new NaruError('invalid', `/linux/resources${pointer}: cgroup v2 has no such limit`);
}

/** OCI's swap is memory and swap together; v2 counts swap alone. undefined: nothing asked. Negative: no limit. */
function swapLimit({ limit, swap }: NonNullable<OciResources['memory']>): number | undefined {
  if (swap === undefined || swap === 0) return limit === -1 ? -1 : undefined;
  if (swap < 0) return -1;
  if (limit === undefined || limit <= 0) {
    throw new NaruError('invalid', '/linux/resources/memory/swap: You should always set the Memory limit when using Memoryswap limit, see usage');
  }
  if (swap < limit) throw new NaruError('invalid', '/linux/resources/memory/swap: Minimum memoryswap limit should be larger than memory limit, see usage');
  return swap - limit;
}

const THROTTLES = [
  ['throttleReadBpsDevice', 'rbps'], ['throttleWriteBpsDevice', 'wbps'], ['throttleReadIOPSDevice', 'riops'], ['throttleWriteIOPSDevice', 'wiops'],
] as const;

function blockIo(host: CgroupHost, { blockIO: limits }: OciResources, add: Add): void {
  if (limits === undefined) return;
  refuse(limits.leafWeight, '/blockIO/leafWeight');
  limits.weightDevice?.forEach(({ leafWeight }, index) => refuse(leafWeight, `/blockIO/weightDevice/${index}/leafWeight`));
  const hierarchy = limits.weight || limits.weightDevice?.length ? requireController(host, 'io', '/blockIO/weight') : undefined;
  // A kernel has the weights of BFQ, of io.cost (whose settings are in the root), or both; BFQ's is the one it then obeys.
  const bfq = hierarchy !== undefined && (hasFile(hierarchy, 'io.bfq.weight') === true || hasFile(hierarchy, 'io.cost.qos') !== true);
  const file = bfq ? 'io.bfq.weight' : 'io.weight';
  const scale = bfq ? (weight: number): number => weight : ioWeight;
  if (limits.weight) add('io', file, integer(scale(limits.weight)), '/blockIO/weight');
  limits.weightDevice?.forEach(({ major, minor, weight }, index) => {
    if (weight) add('io', file, `${major}:${minor} ${scale(weight)}`, `/blockIO/weightDevice/${index}`);
  });
  for (const [key, name] of THROTTLES) {
    limits[key]?.forEach(({ major, minor, rate }: OciThrottle, index) => {
      add('io', 'io.max', `${major}:${minor} ${name}=${rate === 0 ? 'max' : integer(rate)}`, `/blockIO/${key}/${index}`);
    });
  }
}

/**
 * v1's shares (2..262144, default 1024) as v2's weight (1..10000, default 100): the curve through minimum, default and
 * maximum that runc and crun use, 10^((l² + 125 l) / 612 - 7/34) with l = log2(shares).
 */
export function cpuWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const l = Math.log2(shares);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34) - 1e-9);
}

/** blkio's weight (10..1000) as io.weight (1..10000), linearly. */
export const ioWeight = (weight: number): number => 1 + Math.trunc(((weight - 10) * 9999) / 990);
