import type { StatsSample } from '#spec/engine-api.ts';
import { binarySize, humanSize } from './human-size.ts';
import { shortId, type Row } from './table.ts';

export const STATS_HEADERS: Readonly<Record<string, string>> = {
  Container: 'CONTAINER', Name: 'NAME', ID: 'CONTAINER ID', CPUPerc: 'CPU %', MemUsage: 'MEM USAGE / LIMIT', MemPerc: 'MEM %', NetIO: 'NET I/O', BlockIO: 'BLOCK I/O', PIDs: 'PIDS',
};

/** What is known of one container's use. */
export interface StatsEntry { readonly container: string; sample: StatsSample | undefined; invalid: boolean; error: unknown }

interface CpuStats { cpu_usage?: { total_usage?: number; percpu_usage?: number[] | null }; system_cpu_usage?: number; online_cpus?: number }
interface Sample {
  name?: string; id?: string; cpu_stats?: CpuStats; precpu_stats?: CpuStats; memory_stats?: { usage?: number; limit?: number; stats?: Record<string, number> };
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>; blkio_stats?: { io_service_bytes_recursive?: { op?: string; value?: number }[] | null }; pids_stats?: { current?: number };
}

const NONE = '--';

/** A container's columns in `stats`. */
export function statsRow(entry: StatsEntry, trunc: boolean): Row {
  const s = (entry.sample ?? {}) as Sample;
  const used = memoryUsed(s);
  const limit = s.memory_stats?.limit ?? 0;
  const net = Object.values(s.networks ?? {}).reduce<[number, number]>(([rx, tx], n) => [rx + (n.rx_bytes ?? 0), tx + (n.tx_bytes ?? 0)], [0, 0]);
  const block = (letter: string): number => (s.blkio_stats?.io_service_bytes_recursive ?? []).reduce((sum, io) => sum + (io.op?.[0]?.toLowerCase() === letter ? (io.value ?? 0) : 0), 0);
  const shown = (text: string): string => (entry.invalid ? NONE : text);
  const id = s.id ?? '';
  return {
    BlockIO: shown(`${humanSize(block('r'), 3)} / ${humanSize(block('w'), 3)}`),
    CPUPerc: shown(`${cpuPercent(s).toFixed(2)}%`),
    Container: entry.container,
    ID: trunc ? shortId(id) : id,
    MemPerc: shown(`${(limit === 0 ? 0 : (used / limit) * 100).toFixed(2)}%`),
    MemUsage: entry.invalid ? '-- / --' : `${binarySize(used)} / ${binarySize(limit)}`,
    Name: (s.name ?? '').length > 1 ? (s.name as string).slice(1) : NONE,
    NetIO: shown(`${humanSize(net[0], 3)} / ${humanSize(net[1], 3)}`),
    PIDs: shown(String(s.pids_stats?.current ?? 0)),
  };
}

function cpuPercent(s: Sample): number {
  const cpu = (s.cpu_stats?.cpu_usage?.total_usage ?? 0) - (s.precpu_stats?.cpu_usage?.total_usage ?? 0);
  const system = (s.cpu_stats?.system_cpu_usage ?? 0) - (s.precpu_stats?.system_cpu_usage ?? 0);
  const cpus = s.cpu_stats?.online_cpus || (s.cpu_stats?.cpu_usage?.percpu_usage?.length ?? 0);
  return system > 0 && cpu > 0 ? (cpu / system) * cpus * 100 : 0;
}

/** Memory in use without the page cache that can be dropped at once (cgroup v1: total_inactive_file, v2: inactive_file). */
function memoryUsed(s: Sample): number {
  const usage = s.memory_stats?.usage ?? 0;
  const v1 = s.memory_stats?.stats?.['total_inactive_file'];
  if (v1 !== undefined && v1 < usage) return usage - v1;
  const v2 = s.memory_stats?.stats?.['inactive_file'] ?? 0;
  return v2 < usage ? usage - v2 : usage;
}
