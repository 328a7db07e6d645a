import type { CgroupStats } from '#core/tasks/port.ts';
import { readGroupFile } from '#runtime/cgroups/cgroup-files.ts';
import { groupDirectory, hierarchyOf } from '#runtime/cgroups/cgroup-path.ts';
import type { CgroupHost } from '#runtime/cgroups/detect-cgroups.ts';

/** Numbers of 64 bits: as bigint, to be written digit by digit. */
type Count = bigint;
interface Usage { readonly usage?: Count; readonly max?: Count; readonly failcnt: Count; readonly limit: Count }

/** `max` in v2's files. */
const UNLIMITED = 2n ** 64n - 1n;
/** Files of v1's cpuset whose one number runc's events carry, with its names for them. */
const CPUSET_NUMBERS = [
  'cpu_exclusive', 'mem_hardwall', 'mem_exclusive', 'memory_migrate', 'memory_spread_page', 'memory_spread_slab', 'memory_pressure', 'sched_load_balance', 'sched_relax_domain_level',
] as const;

/** `data` of runc's events (https://github.com/opencontainers/runc/blob/main/types/events.go): a group's counters, with what engines' own
 *  statistics leave out. */
export function eventStats(host: CgroupHost, path: string, { cpu, memory, pids, blkio }: CgroupStats): object {
  const read: Read = (controller, file) => {
    const hierarchy = hierarchyOf(host, controller);
    return hierarchy === undefined ? undefined : readGroupFile(`${groupDirectory(hierarchy, path)}/${file}`)?.trim();
  };
  const entry = (kind: 'bytes' | 'ios') => blkio.filter((b) => b.kind === kind).map(({ op, major, minor, value }) => ({ major, minor, op, value }));
  const raw = Object.fromEntries([...(read('memory', 'memory.stat') ?? '').matchAll(/^(\S+) (\d+)$/gm)].map(([, name, value]) => [name!, BigInt(value!)]));
  return {
    cpu: {
      usage: { total: cpu.usage, ...(cpu.perCpu.length > 0 && { percpu: cpu.perCpu }), ...perCpuModes(read), kernel: cpu.system, user: cpu.user },
      throttling: { periods: cpu.periods, throttledPeriods: cpu.throttledPeriods, throttledTime: cpu.throttledTime },
    },
    cpuset: host.version === 1 ? cpusetOf(read) : {},
    memory: {
      cache: raw['cache'] ?? raw['file'] ?? 0n,
      usage: { limit: memory.limit, usage: memory.usage, max: memory.maxUsage, failcnt: memory.failcnt },
      ...(host.version === 1 ? keptApartV1(read) : { swap: swapV2(read, memory), kernel: NOTHING, kernelTCP: NOTHING }), raw,
    },
    pids: { current: pids.current, ...(pids.limit > 0n && pids.limit < 2n ** 63n && { limit: pids.limit }) },
    blkio: { ioServiceBytesRecursive: entry('bytes'), ioServicedRecursive: entry('ios') },
    hugetlb: Object.fromEntries(host.hugePageSizes.flatMap((size) => hugePages(host, read, size))), intel_rdt: {}, network_interfaces: null,
  };
}

type Read = (controller: string, file: string) => string | undefined;
const NOTHING: Usage = { limit: 0n, failcnt: 0n };

const count = (text: string | undefined): Count => (text === 'max' ? UNLIMITED : BigInt(/^-?\d+/.exec(text ?? '')?.[0] ?? 0));

function perCpuModes(read: Read): object {
  const rows = (read('cpuacct', 'cpuacct.usage_all') ?? '').split('\n').slice(1).map((line) => line.split(' ').map(count));
  return rows.length === 0 ? {} : { percpu_kernel: rows.map(([, , system]) => system ?? 0n), percpu_user: rows.map(([, user]) => user ?? 0n) };
}

function cpusetOf(read: Read): object {
  const list = (file: string): number[] => (read('cpuset', file) ?? '').split(',').filter(Boolean).flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, i) => first + i);
  });
  return { cpus: list('cpuset.cpus'), mems: list('cpuset.mems'), ...Object.fromEntries(CPUSET_NUMBERS.map((name) => [name, count(read('cpuset', `cpuset.${name}`))])) };
}

/** v1 counts memory with swap, the kernel's and that of its TCP buffers each for itself, where the kernel has it. */
function keptApartV1(read: Read): Record<'swap' | 'kernel' | 'kernelTCP', Usage> {
  const usage = (prefix: string): Usage => (read('memory', `${prefix}.usage_in_bytes`) === undefined ? NOTHING : {
    limit: count(read('memory', `${prefix}.limit_in_bytes`)), usage: count(read('memory', `${prefix}.usage_in_bytes`)), max: count(read('memory', `${prefix}.max_usage_in_bytes`)), failcnt: count(read('memory', `${prefix}.failcnt`)),
  });
  return { swap: usage('memory.memsw'), kernel: usage('memory.kmem'), kernelTCP: usage('memory.kmem.tcp') };
}

/** As on v1, with the memory: that is what readers of these events expect. */
function swapV2(read: Read, memory: CgroupStats['memory']): Usage {
  const used = read('memory', 'memory.swap.current');
  if (used === undefined) return NOTHING;
  const limit = count(read('memory', 'memory.swap.max'));
  return { usage: count(used) + memory.usage, limit: limit === UNLIMITED || memory.limit === UNLIMITED ? UNLIMITED : limit + memory.limit, failcnt: count(/^fail (\d+)$/m.exec(read('memory', 'memory.swap.events') ?? '')?.[1]) };
}

function hugePages(host: CgroupHost, read: Read, size: string): [string, Usage][] {
  const v2 = hierarchyOf(host, 'hugetlb')?.unified === true;
  const used = read('hugetlb', `hugetlb.${size}.${v2 ? 'current' : 'usage_in_bytes'}`);
  if (used === undefined) return [];
  return [[size, v2
    ? { usage: count(used), limit: count(read('hugetlb', `hugetlb.${size}.max`)), failcnt: count(/^max (\d+)$/m.exec(read('hugetlb', `hugetlb.${size}.events`) ?? '')?.[1]) }
    : { usage: count(used), limit: count(read('hugetlb', `hugetlb.${size}.limit_in_bytes`)), max: count(read('hugetlb', `hugetlb.${size}.max_usage_in_bytes`)), failcnt: count(read('hugetlb', `hugetlb.${size}.failcnt`)) }]];
}
