import type { Json, StatsSample } from '#spec/engine-api.ts';
import type { CgroupStats } from '#core/tasks/port.ts';
import type { NetworkService } from '#net/port.ts';
import { hostMemory } from './host-facts.ts';

/** What is read of a container at one moment. Times are RFC 3339. */
export interface Reading {
  readonly read: string;
  readonly cgroup: CgroupStats;
  readonly system: { readonly usage: number; readonly cpus: number };
  readonly networks: Awaited<ReturnType<NetworkService['counters']>>;
}

const ZERO_READ = '0001-01-01T00:00:00Z';
const UNLIMITED = 2n ** 62n;

/** Two readings as Docker's JSON. `before` undefined: the first one, there is no difference to be made. */
export function toSample(container: { id: string; name: string }, now: Reading, before: Reading | undefined): StatsSample {
  const { memory, pids } = now.cgroup;
  const total = hostMemory();
  return {
    name: `/${container.name}`, id: container.id, os_type: 'linux', read: now.read, preread: before?.read ?? ZERO_READ, num_procs: 0, storage_stats: {},
    pids_stats: { current: Number(pids.current), ...(pids.limit > 0n && pids.limit < UNLIMITED ? { limit: Number(pids.limit) } : {}) },
    cpu_stats: cpu(now), precpu_stats: before === undefined ? EMPTY_CPU : cpu(before),
    memory_stats: {
      usage: Number(memory.usage), max_usage: Number(memory.maxUsage), stats: memory.stats, failcnt: Number(memory.failcnt),
      limit: memory.limit === 0n || memory.limit >= BigInt(total) ? total : Number(memory.limit),
    },
    blkio_stats: blkio(now.cgroup),
    networks: Object.fromEntries(Object.entries(now.networks).map(([name, c]) => [name, {
      rx_bytes: c.rxBytes, rx_packets: c.rxPackets, rx_errors: c.rxErrors, rx_dropped: c.rxDropped,
      tx_bytes: c.txBytes, tx_packets: c.txPackets, tx_errors: c.txErrors, tx_dropped: c.txDropped,
    }])),
  };
}

/** What a container that does not run has. */
export const emptySample = (container: { id: string; name: string }): StatsSample => ({
  name: `/${container.name}`, id: container.id, os_type: 'linux', read: ZERO_READ, preread: ZERO_READ, num_procs: 0, storage_stats: {}, pids_stats: {},
  cpu_stats: EMPTY_CPU, precpu_stats: EMPTY_CPU, memory_stats: {},
  blkio_stats: blkio(undefined),
});

const EMPTY_CPU: Json = { cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 }, throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 } };

function cpu({ cgroup, system }: Reading): Json {
  const { usage, user, system: kernel, perCpu, periods, throttledPeriods, throttledTime } = cgroup.cpu;
  return {
    cpu_usage: {
      total_usage: Number(usage), usage_in_kernelmode: Number(kernel), usage_in_usermode: Number(user),
      ...(perCpu.length > 0 ? { percpu_usage: perCpu.map(Number) } : {}),
    },
    system_cpu_usage: system.usage, online_cpus: system.cpus,
    throttling_data: { periods: Number(periods), throttled_periods: Number(throttledPeriods), throttled_time: Number(throttledTime) },
  };
}

function blkio(cgroup: CgroupStats | undefined): Json {
  const list = (kind: 'bytes' | 'ios'): Json =>
    cgroup === undefined ? null : cgroup.blkio.filter((entry) => entry.kind === kind).map(({ major, minor, op, value }) => ({ major, minor, op, value: Number(value) }));
  return {
    io_service_bytes_recursive: list('bytes'), io_serviced_recursive: list('ios'), io_queue_recursive: null, io_service_time_recursive: null,
    io_wait_time_recursive: null, io_merged_recursive: null, io_time_recursive: null, sectors_recursive: null,
  };
}
