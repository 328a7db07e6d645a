import { setTimeout as sleep } from 'node:timers/promises';
import type { CgroupStats } from '#core/tasks/port.ts';
import { readCgroupStats } from '#runtime/cgroups/cgroup-stats.ts';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { NaruError } from '#spec/errors.ts';
import { needGroup } from '../container-pids.ts';
import { readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { bool, parseFlags, text } from '../flags.ts';
import { onlyId } from '../words.ts';

const DEFAULT_INTERVAL_MS = 5000;

/** `events [--stats] [--interval 5s] ID`: a line of JSON for each reading of its counters; --stats: one. */
export const events: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, { stats: bool, interval: text });
  const record = readRecord(context.root, onlyId(rest, 'events'));
  needGroup(record, 'events');
  const interval = intervalMs(flags.interval);
  if (containerStatus(context.root, record).status === 'stopped') throw new NaruError('conflict', `container with id ${record.id} is not running`);
  for (;;) {
    const stats = readCgroupStats(detectCgroups(), record.cgroupPath);
    if (stats === undefined) return 0;
    process.stdout.write(`${json({ type: 'stats', id: record.id, data: statsData(stats) })}\n`);
    if (flags.stats) return 0;
    await sleep(interval);
    if (containerStatus(context.root, record).status === 'stopped') return 0;
  }
};

/** Counters are 64 bits wide: written digit by digit. */
const json = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `\0${v}\0` : v)).replace(/"\\u0000(\d+)\\u0000"/g, '$1');

function intervalMs(word: string | undefined): number {
  if (word === undefined) return DEFAULT_INTERVAL_MS;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(word);
  const ms = Number(match?.[1] ?? 0) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's'] ?? 0);
  if (ms <= 0) throw new NaruError('invalid', `duration interval must be greater than 0: ${JSON.stringify(word)}`);
  return ms;
}

/** The shape of runc's events. */
function statsData({ cpu, memory, pids, blkio }: CgroupStats): object {
  const entry = (kind: 'bytes' | 'ios') => blkio.filter((b) => b.kind === kind).map(({ op, major, minor, value }) => ({ major, minor, op, value }));
  const { stats } = memory;
  return {
    cpu: {
      usage: { total: cpu.usage, ...(cpu.perCpu.length > 0 && { percpu: cpu.perCpu }), kernel: cpu.system, user: cpu.user },
      throttling: { periods: cpu.periods, throttledPeriods: cpu.throttledPeriods, throttledTime: cpu.throttledTime },
    },
    cpuset: {},
    memory: {
      cache: stats.cache ?? stats.file ?? 0,
      usage: { limit: memory.limit, usage: memory.usage, max: memory.maxUsage, failcnt: memory.failcnt },
      swap: { limit: 0, failcnt: 0 }, kernel: { limit: 0, failcnt: 0 }, kernelTCP: { limit: 0, failcnt: 0 }, raw: stats,
    },
    pids: { current: pids.current, ...(pids.limit > 0n && pids.limit < 2n ** 63n && { limit: pids.limit }) },
    blkio: { ioServiceBytesRecursive: entry('bytes'), ioServicedRecursive: entry('ios') },
    hugetlb: {}, intel_rdt: {}, network_interfaces: null,
  };
}
