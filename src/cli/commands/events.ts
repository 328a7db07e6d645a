import type { EventMessage } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { rfc3339 } from '../format/human-time.ts';
import { markAsMap } from '../format/go-values.ts';
import { template } from '../format/template.ts';
import { apiTimestamp } from '../timestamp.ts';

/** `events`. */
export const events: CommandRunner = async ({ client, flags, io }) => {
  const render = renderer(flags.string('format'));
  const [since, until] = [flags.string('since'), flags.string('until')];
  for await (const event of client().system.events({ filters: flags.filters(), ...(since === '' ? {} : { since: apiTimestamp(since) }), ...(until === '' ? {} : { until: apiTimestamp(until) }) })) io.out(`${render(event)}\n`);
  return 0;
};

function renderer(format: string): (event: EventMessage) => string {
  if (format === '') return eventLine;
  try {
    const parsed = template(format === 'json' ? '{{json .}}' : format);
    parsed.execute(withMaps({ Type: '', Action: '', Actor: { ID: '', Attributes: {} }, scope: 'local', time: 0, timeNano: 0 }));
    return (event) => parsed.execute(withMaps(event));
  } catch (cause) {
    throw new NaruError('invalid', `Error parsing format: ${(cause as Error).message}`, { exitCode: 64, cause });
  }
}

/** An event as Go's type has it: fields by their Go names, JSON by the API's. */
function withMaps(event: EventMessage): object {
  if (event.Actor?.Attributes !== undefined) markAsMap(event.Actor.Attributes);
  const hidden = { Status: event.status ?? '', ID: event.id ?? '', From: event.from ?? '', Scope: event.scope, Time: event.time, TimeNano: event.timeNano, goType: 'events.Message' };
  const out: object = { ...event };
  for (const [name, value] of Object.entries(hidden)) Object.defineProperty(out, name, { value, enumerable: false });
  return out;
}

/** `2024-01-02T03:04:05.000000000Z container start 0123… (image=busybox, name=x)`. */
export function eventLine(event: EventMessage): string {
  // Nanoseconds since 1970 are more than a number holds exactly.
  const seconds = event.time !== 0 ? event.time : Math.floor(event.timeNano / 1e9);
  const nanoseconds = event.timeNano === 0 ? 0 : Number(BigInt(event.timeNano) - BigInt(seconds) * 1_000_000_000n);
  const attributes = Object.entries(event.Actor?.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
  return `${seconds === 0 ? '' : `${rfc3339(seconds, Math.max(0, nanoseconds))} `}${event.Type} ${event.Action} ${event.Actor?.ID ?? ''}${attributes.length === 0 ? '' : ` (${attributes.join(', ')})`}`;
}
