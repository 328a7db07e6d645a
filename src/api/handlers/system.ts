import type { Handler } from '#api/call.ts';
import { unlessFailingAtOnce } from '#api/first-item.ts';
import type { Reply } from '#api/http/reply.ts';
import { asOlder } from '#api/older-shapes.ts';
import { json, jsonLines } from '#api/replies.ts';
import { NaruError } from '#spec/errors.ts';

const PONG: Reply = {
  kind: 'full',
  status: 200,
  headers: Object.freeze([
    ['Builder-Version', '1'], ['Cache-Control', 'no-cache, no-store, must-revalidate'], ['Pragma', 'no-cache'], ['Swarm', 'inactive'],
    ['Content-Type', 'text/plain; charset=utf-8'],
  ] as const),
  body: 'OK',
};

export const ping: Handler = () => PONG;

export const info: Handler = async ({ engine, version }) => json(asOlder((await engine.system.info()) as object, 'info', version));

export const version: Handler = async ({ engine }) => json(await engine.system.version());

export const diskUsage: Handler = async ({ engine, query, version: minor }) => {
  const usage = await engine.system.diskUsage(query.all('type'));
  return json(asOlder(usage, 'disk-usage', minor));
};

export const check: Handler = async ({ engine, query, request }) =>
  jsonLines(engine.system.check({ repair: query.flag('repair'), auth: request.header('x-registry-auth') ?? '' }, request.signal));

export const events: Handler = async ({ engine, query, request }) => {
  const since = query.timestamp('since');
  const until = query.timestamp('until');
  if (until !== 0n && since > until) throw new NaruError('invalid', `\`since\` time (${query.text('since')}) cannot be after \`until\` time (${query.text('until')})`);
  return jsonLines(await unlessFailingAtOnce(engine.system.events({ since, until, filters: query.filters() }, request.signal)));
};
