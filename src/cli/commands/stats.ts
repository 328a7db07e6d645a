import type { StatsSample } from '#spec/engine-api.ts';
import { setTimeout as delay } from 'node:timers/promises';
import type { CommandContext, CommandRunner } from '../command.ts';
import { STATS_HEADERS, statsRow, type StatsEntry } from '../format/stats-row.ts';
import { renderTable } from '../format/table.ts';
import { failTogether } from '../many.ts';

const REDRAW_MS = 500;
const FIRST_MS = 2000;
const STANDARD = 'table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}';

/** `stats`: a table that is drawn anew twice a second, or printed once. */
export const stats: CommandRunner = async (context) => {
  const { flags, io, args } = context;
  const live = !flags.bool('no-stream');
  const entries = new Map<string, StatsEntry>();
  const firsts: Promise<void>[] = [];
  const watch = (name: string): void => {
    if (entries.has(name)) return;
    const entry: StatsEntry = { container: name, sample: undefined, invalid: false, error: undefined };
    entries.set(name, entry);
    firsts.push(follow(context, entry, live));
  };
  const stop = new AbortController();
  if (args.length > 0) args.forEach(watch);
  else {
    if (live) void followEvents(context, watch, (id) => entries.delete(id), stop.signal);
    for (const container of await context.client().containers.list({ all: flags.bool('all') })) watch(container.Id.slice(0, 12));
  }
  await Promise.race([Promise.all(firsts), ...(live ? [delay(FIRST_MS)] : [])]);
  if (args.length > 0) failTogether([...entries.values()].flatMap((entry) => (entry.error === undefined ? [] : [entry.error])));

  const asked = flags.string('format') || (context.config().statsFormat ?? '');
  const format = asked === '' || asked === 'table' ? STANDARD : asked;
  const trunc = !flags.bool('no-trunc');
  const draw = (): string => renderTable([...entries.values()].map((entry) => statsRow(entry, trunc)), { format, headers: STATS_HEADERS, goType: '*container.statsContext' });
  try {
    for (;;) {
      if (!live) {
        io.out(draw());
        return 0;
      }
      // Each line clears what is left of an older, longer one; the rest of the screen goes too.
      io.out(`\x1b[H${draw().split('\n').map((line) => `${line} \x1b[K\n`).join('')}\x1b[J`);
      if (entries.size === 0 && args.length > 0) return 0;
      await delay(REDRAW_MS);
    }
  } finally {
    stop.abort();
  }
};

/** Reads a container's samples into `entry`; resolves with the first. */
function follow(context: CommandContext, entry: StatsEntry, live: boolean): Promise<void> {
  return new Promise((resolve) => {
    void (async () => {
      try {
        for await (const sample of context.client().containers.stats(entry.container, { stream: live })) {
          entry.sample = sample as StatsSample;
          entry.invalid = false;
          resolve();
          if (!live) break;
        }
      } catch (error) {
        entry.error = error;
        entry.invalid = true;
      }
      resolve();
    })();
  });
}

async function followEvents(context: CommandContext, add: (id: string) => void, remove: (id: string) => void, signal: AbortSignal): Promise<void> {
  const all = context.flags.bool('all');
  try {
    for await (const { event } of context.client().system.events({ filters: new Map([['type', ['container']]]) }, signal)) {
      const id = event.Actor.ID.slice(0, 12);
      if (event.Action === 'start' || (all && event.Action === 'create')) add(id);
      else if (!all && event.Action === 'die') remove(id);
    }
  } catch {
    // The daemon went away: the samples say so too.
  }
}
