import { existsSync } from 'node:fs';
import type { CgroupStats } from '#core/tasks/port.ts';
import { readGroupFile } from './cgroup-files.ts';
import { checkCgroupPath, groupDirectory, hierarchyOf, unifiedHierarchy } from './cgroup-path.ts';
import type { CgroupHost } from './detect-cgroups.ts';

/** cpuacct.stat counts in ticks of USER_HZ, 100 on every architecture here. */
const TICK_NANOSECONDS = 10_000_000n;
const MICROSECOND = 1000n;
/** `max` in v2's files. */
const UNLIMITED = 2n ** 64n - 1n;

type Reader = (controller: string, file: string) => string;

/**
 * A group's counters; undefined when it is gone. Times in nanoseconds, sizes in bytes. What the machine does not count is 0 or
 * empty. No limit: v1 the kernel's own huge number for memory and 0 for pids, v2 2^64-1 for both, as Docker shows them.
 * `memory.stats` is memory.stat as it stands.
 */
export function readCgroupStats(host: CgroupHost, path: string): CgroupStats | undefined {
  checkCgroupPath(path);
  const main = hierarchyOf(host, 'memory') ?? unifiedHierarchy(host) ?? host.hierarchies[0];
  if (main === undefined || !existsSync(groupDirectory(main, path))) return undefined;
  const read: Reader = (controller, file) => {
    const hierarchy = host.version === 2 ? unifiedHierarchy(host) : hierarchyOf(host, controller);
    return (hierarchy === undefined ? undefined : readGroupFile(`${groupDirectory(hierarchy, path)}/${file}`)) ?? '';
  };
  return host.version === 2 ? statsV2(read) : statsV1(read);
}

function statsV1(read: Reader): CgroupStats {
  const cpuacct = keyed(read('cpuacct', 'cpuacct.stat'));
  const throttling = keyed(read('cpu', 'cpu.stat'));
  return {
    cpu: {
      usage: number(read('cpuacct', 'cpuacct.usage')),
      user: (cpuacct.get('user') ?? 0n) * TICK_NANOSECONDS,
      system: (cpuacct.get('system') ?? 0n) * TICK_NANOSECONDS,
      periods: throttling.get('nr_periods') ?? 0n,
      throttledPeriods: throttling.get('nr_throttled') ?? 0n,
      throttledTime: throttling.get('throttled_time') ?? 0n,
      perCpu: read('cpuacct', 'cpuacct.usage_percpu').trim().split(/\s+/).filter(Boolean).map(number),
    },
    memory: {
      usage: number(read('memory', 'memory.usage_in_bytes')),
      limit: number(read('memory', 'memory.limit_in_bytes')),
      maxUsage: number(read('memory', 'memory.max_usage_in_bytes')),
      failcnt: number(read('memory', 'memory.failcnt')),
      stats: numbers(read('memory', 'memory.stat')),
    },
    pids: { current: number(read('pids', 'pids.current')), limit: number(read('pids', 'pids.max')) },
    blkio: [...blkioV1(read, 'io_service_bytes', 'bytes'), ...blkioV1(read, 'io_serviced', 'ios')],
  };
}

function blkioV1(read: Reader, file: string, kind: 'bytes' | 'ios'): CgroupStats['blkio'] {
  const text = read('blkio', `blkio.throttle.${file}_recursive`) || read('blkio', `blkio.throttle.${file}`);
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
    return match === null ? [] : [{ op: match[3]!, major: Number(match[1]), minor: Number(match[2]), value: BigInt(match[4]!), kind }];
  });
}

function statsV2(read: Reader): CgroupStats {
  const cpu = keyed(read('cpu', 'cpu.stat'));
  const micro = (key: string): bigint => (cpu.get(key) ?? 0n) * MICROSECOND;
  return {
    cpu: {
      usage: micro('usage_usec'), user: micro('user_usec'), system: micro('system_usec'),
      periods: cpu.get('nr_periods') ?? 0n, throttledPeriods: cpu.get('nr_throttled') ?? 0n, throttledTime: micro('throttled_usec'),
      perCpu: [],
    },
    memory: {
      usage: number(read('memory', 'memory.current')),
      limit: orUnlimited(read('memory', 'memory.max')),
      maxUsage: number(read('memory', 'memory.peak')),
      failcnt: keyed(read('memory', 'memory.events')).get('oom') ?? 0n,
      stats: numbers(read('memory', 'memory.stat')),
    },
    pids: { current: number(read('pids', 'pids.current')), limit: orUnlimited(read('pids', 'pids.max')) },
    blkio: blkioV2(read('io', 'io.stat')),
  };
}

const IO_STAT = [['rbytes', 'read', 'bytes'], ['wbytes', 'write', 'bytes'], ['rios', 'read', 'ios'], ['wios', 'write', 'ios']] as const;

function blkioV2(text: string): CgroupStats['blkio'] {
  return text.split('\n').flatMap((line) => {
    const device = /^(\d+):(\d+) /.exec(line);
    if (device === null) return [];
    const [major, minor] = [Number(device[1]), Number(device[2])];
    const counters = new Map([...line.matchAll(/(\w+)=(\d+)/g)].map((match) => [match[1]!, BigInt(match[2]!)]));
    return IO_STAT.flatMap(([key, op, kind]) => {
      const value = counters.get(key);
      return value === undefined ? [] : [{ op, major, minor, value, kind }];
    });
  });
}

/** Lines `name value`. */
const keyed = (text: string): Map<string, bigint> =>
  new Map([...text.matchAll(/^(\S+) (\d+)$/gm)].map((match) => [match[1]!, BigInt(match[2]!)]));

const numbers = (text: string): Record<string, number> =>
  Object.fromEntries([...keyed(text)].map(([name, value]) => [name, Number(value)]));

/** The first number of a file; 0 when there is none (`max`, an absent file). */
const number = (text: string): bigint => BigInt(/^\d+/.exec(text.trim())?.[0] ?? 0);
const orUnlimited = (text: string): bigint => (text.trim() === 'max' ? UNLIMITED : number(text));
