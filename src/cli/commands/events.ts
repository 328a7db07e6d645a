import type { EventMessage } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { rfc3339 } from '../format/human-time.ts';
import { markAsMap, valueJson } from '../format/go-values.ts';
import { template } from '../format/template.ts';
import { apiTimestamp } from '../timestamp.ts';

/** `events`. */
export const events: CommandRunner = async ({ client, flags, io }) => {
  const render = renderer(flags.string('format'));
  const [since, until] = [flags.string('since'), flags.string('until')];
  const stream = client().system.events({ filters: flags.filters(), ...(since === '' ? {} : { since: apiTimestamp(since) }), ...(until === '' ? {} : { until: apiTimestamp(until) }) });
  for await (const { event, timeNano } of stream) io.out(`${render(event, timeNano)}\n`);
  return 0;
};

type Renderer = (event: EventMessage, timeNano: bigint) => string;

function renderer(format: string): Renderer {
  if (format === '') return eventLine;
  try {
    const parsed = template(format === 'json' ? '{{json .}}' : format);
    const render: Renderer = (event, timeNano) => parsed.execute(withGoNames(event, timeNano), { functions: { json: ([value]) => valueJson(value).replace(/("timeNano":)\d+/, `$1${timeNano}`) } });
    render({ Type: '', Action: '', Actor: { ID: '', Attributes: {} }, scope: 'local', time: 0, timeNano: 0 }, 0n);
    return render;
  } catch (cause) {
    throw new NaruError('invalid', `Error parsing format: ${(cause as Error).message}`, { exitCode: 64, cause });
  }
}

/** An event as Go's type has it: fields by their Go names, JSON by the API's. */
function withGoNames(event: EventMessage, timeNano: bigint): object {
  if (event.Actor?.Attributes !== undefined) markAsMap(event.Actor.Attributes);
  const hidden = { Status: event.status ?? '', ID: event.id ?? '', From: event.from ?? '', Scope: event.scope, Time: event.time, TimeNano: timeNano, goType: '*events.Message' };
  const out: object = { ...event };
  for (const [name, value] of Object.entries(hidden)) Object.defineProperty(out, name, { value, enumerable: false });
  return out;
}

/** `2024-01-02T03:04:05.000000000Z container start 0123… (image=busybox, name=x)`. */
export function eventLine(event: EventMessage, timeNano: bigint): string {
  const exact = timeNano === 0n ? BigInt(event.time ?? 0) * 1_000_000_000n : timeNano;
  const time = exact === 0n ? '' : `${rfc3339(Number(exact / 1_000_000_000n), Number(exact % 1_000_000_000n))} `;
  const attributes = Object.entries(event.Actor?.Attributes ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
  return `${time}${event.Type} ${event.Action} ${event.Actor?.ID ?? ''}${attributes.length === 0 ? '' : ` (${attributes.join(', ')})`}`;
}
