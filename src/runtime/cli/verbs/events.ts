import { setTimeout as sleep } from 'node:timers/promises';
import { readGroupFile } from '#runtime/cgroups/cgroup-files.ts';
import { groupDirectory, hierarchyOf } from '#runtime/cgroups/cgroup-path.ts';
import { readCgroupStats } from '#runtime/cgroups/cgroup-stats.ts';
import { type CgroupHost, detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { NaruError } from '#spec/errors.ts';
import { needGroup } from '../container-pids.ts';
import { readRecord } from '../container-record.ts';
import { containerStatus } from '../container-status.ts';
import type { Verb } from '../context.ts';
import { eventStats } from '../event-stats.ts';
import { bool, parseFlags, text } from '../flags.ts';
import { onlyId } from '../words.ts';

const DEFAULT_INTERVAL_MS = 5000;
/** How often it is looked for kills. */
const OOM_LOOK_MS = 200;

/** `events [--stats] [--interval 5s] ID`: a line of JSON for each reading of its counters, and for each kill for want of memory; --stats: one
 *  reading. */
export const events: Verb = async (words, context) => {
  const { flags, rest } = parseFlags(words, { stats: bool, interval: text });
  const record = readRecord(context.root, onlyId(rest, 'events'));
  needGroup(record, 'events');
  const interval = intervalMs(flags.interval);
  const stopped = (): boolean => containerStatus(context.root, record).status === 'stopped';
  if (stopped()) throw new NaruError('conflict', `container with id ${record.id} is not running`);
  const cgroups = detectCgroups();
  const say = (event: object): void => void process.stdout.write(`${json({ ...event, id: record.id })}\n`);
  let kills = oomKills(cgroups, record.cgroupPath);
  for (;;) {
    const stats = readCgroupStats(cgroups, record.cgroupPath);
    if (stats === undefined) return 0;
    say({ type: 'stats', data: eventStats(cgroups, record.cgroupPath, stats) });
    if (flags.stats) return 0;
    for (const next = performance.now() + interval; performance.now() < next;) {
      await sleep(Math.max(1, Math.min(OOM_LOOK_MS, next - performance.now())));
      // What ended it is counted before it has ended.
      const ended = stopped();
      for (const now = oomKills(cgroups, record.cgroupPath); kills < now; kills++) say({ type: 'oom' });
      if (ended) return 0;
    }
  }
};

/** v1: in memory.oom_control; v2: in memory.events. 0 when the group is gone. */
function oomKills(cgroups: CgroupHost, path: string): number {
  const memory = hierarchyOf(cgroups, 'memory');
  if (memory === undefined) return 0;
  const text = readGroupFile(`${groupDirectory(memory, path)}/${memory.unified ? 'memory.events' : 'memory.oom_control'}`);
  return Number(/^oom_kill (\d+)$/m.exec(text ?? '')?.[1] ?? 0);
}

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
