import type { Handler } from '#api/call.ts';
import { json } from '#api/replies.ts';
import { NaruError } from '#spec/errors.ts';

/** `{id, spans: [{link, name, start, end, detail?}]}`; times are nanoseconds as decimal strings. */
export const trace: Handler = ({ traces, params }) => {
  const found = traces.find(params.id!);
  if (found === undefined) throw new NaruError('not-found', `no such trace: ${params.id}`, { hint: 'only the latest 64 are kept' });
  return json({ id: found.id, spans: found.spans.map((span) => ({ ...span, start: String(span.start), end: String(span.end) })) });
};
