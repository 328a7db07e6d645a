import type { Call, Handler } from '#api/call.ts';
import { afterFirstItem } from '#api/first-item.ts';
import { readJson } from '#api/json-body.ts';
import { asOlder } from '#api/older-shapes.ts';
import { bytes, json, jsonLines, noContent, ok, plainText } from '#api/replies.ts';
import { asContainerConfig, asCreateRequest, asUpdate } from '#api/request-schemas.ts';
import type * as A from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { monotonicNow } from '#sys/monotonic.ts';
import { currentTrace } from '#sys/trace.ts';
import { noteClient } from '#api/trace-book.ts';

const name = (call: Call): string => call.params.name!;

export const list: Handler = async ({ engine, query, version }) => {
  const limit = query.integer('limit') ?? -1;
  const options = { all: query.flag('all'), limit, size: query.flag('size'), filters: query.filters() };
  const containers = await engine.containers.list(options);
  return json(containers.map((container) => asOlder(container, 'container-summary', version)));
};

export const create: Handler = async (call) => {
  const { engine, query } = call;
  const began = monotonicNow();
  const request = await createRequest(call);
  const { tellsChain, ...created } = await engine.containers.create(query.text('name') || undefined, request, query.text('platform') || undefined);
  if (tellsChain === true && currentTrace() === undefined) {
    const { spans } = call.traces.follow(created.Id);
    noteClient({ spans }, call.request.header('naru-elapsed'), began);
    spans.push({ link: 'api', name: 'POST /containers/create', start: began, end: monotonicNow() });
  }
  return json(created, 201);
};

export const plan: Handler = async (call) =>
  plainText(await call.engine.containers.plan(call.query.text('name') || undefined, await createRequest(call)));

async function createRequest({ request, version }: Call): Promise<A.ContainerCreateRequest> {
  const body = await readJson(request);
  if (body === undefined || body === null) throw new NaruError('invalid', 'config cannot be empty in order to create a container');
  const wanted = asCreateRequest(body);
  // Older clients rely on the defaults of their time.
  if (version < 40) wanted.HostConfig = { ...wanted.HostConfig, IpcMode: wanted.HostConfig?.IpcMode || 'shareable' };
  if (version < 25 && wanted.HostConfig !== undefined) wanted.HostConfig.AutoRemove = false;
  return wanted;
}

export const inspect: Handler = async (call) =>
  json(asOlder(await call.engine.containers.inspect(name(call), call.query.flag('size')), 'container', call.version));

export const start: Handler = async (call) => {
  const { contentLength } = call.request;
  if (contentLength === undefined || contentLength > 7) {
    throw new NaruError('invalid', 'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24');
  }
  try {
    await call.engine.containers.start(name(call), { detachKeys: call.query.text('detachKeys') });
  } finally {
    call.traces.unfollow(name(call));
  }
  return noContent();
};

export const stop: Handler = async (call) => {
  await call.engine.containers.stop(name(call), stopOptions(call));
  return noContent();
};

export const restart: Handler = async (call) => {
  await call.engine.containers.restart(name(call), stopOptions(call));
  return noContent();
};

function stopOptions({ query, version }: Call): { signal?: string; timeout?: number } {
  const timeout = query.integer('t');
  const signal = version < 42 ? '' : query.text('signal');
  return { ...(signal === '' ? {} : { signal }), ...(timeout === undefined ? {} : { timeout }) };
}

export const kill: Handler = async (call) => {
  await call.engine.containers.kill(name(call), call.query.text('signal') || 'SIGKILL');
  return noContent();
};

export const pause: Handler = async (call) => {
  await call.engine.containers.pause(name(call));
  return noContent();
};

export const unpause: Handler = async (call) => {
  await call.engine.containers.unpause(name(call));
  return noContent();
};

export const rename: Handler = async (call) => {
  await call.engine.containers.rename(name(call), call.query.required('name'));
  return noContent();
};

export const update: Handler = async (call) => json(await call.engine.containers.update(name(call), asUpdate(await readJson(call.request))));

export const remove: Handler = async (call) => {
  const { query } = call;
  await call.engine.containers.remove(name(call), { force: query.flag('force'), volumes: query.flag('v'), link: query.flag('link') });
  return noContent();
};

const CONDITIONS = new Set(['not-running', 'next-exit', 'removed'] as const);
type Condition = 'not-running' | 'next-exit' | 'removed';

/** Since API 1.30 the head goes out as soon as the wait is registered: clients start the container only then. */
export const wait: Handler = async (call) => {
  const asked = call.version < 30 ? '' : call.query.text('condition');
  const condition = (asked === '' ? 'not-running' : asked) as Condition;
  if (!CONDITIONS.has(condition)) throw new NaruError('invalid', `invalid condition: ${JSON.stringify(asked)}`);
  const { done } = await call.engine.containers.wait(name(call), condition, call.request.signal);
  const result = done.catch((error: unknown): A.WaitResponse => ({ StatusCode: 125, Error: { Message: error instanceof Error ? error.message : String(error) } }));
  return call.version < 30 ? json(await result) : jsonLines(single(result));
};

async function* single<T>(value: Promise<T>): AsyncGenerator<T> {
  yield await value;
}

export const resize: Handler = async (call) => {
  await call.engine.containers.resize(name(call), dimension(call, 'h'), dimension(call, 'w'));
  return ok();
};

export function dimension({ query }: Call, which: 'h' | 'w'): number {
  const value = query.integer(which);
  if (value !== undefined && value >= 0 && value <= 65_535) return value;
  throw new NaruError('invalid', `bad parameter: ${which} must be a number of ${which === 'h' ? 'rows' : 'columns'}`);
}

export const top: Handler = async (call) => json(await call.engine.containers.top(name(call), call.query.text('ps_args') || '-ef'));

export const changes: Handler = async (call) => json(await call.engine.containers.changes(name(call)));

export const stats: Handler = async (call) => {
  const stream = call.query.flag('stream', true);
  const oneShot = call.query.flag('one-shot');
  const samples = await afterFirstItem(call.engine.containers.stats(name(call), { stream, oneShot }, call.request.signal));
  return jsonLines(samples);
};

export const exportTar: Handler = async (call) => bytes('application/octet-stream', await call.engine.containers.export(name(call)));

export const prune: Handler = async ({ engine, query }) => json(await engine.containers.prune(query.filters()));

export const commit: Handler = async ({ engine, query, request }) => {
  const body = await readJson(request);
  const options = {
    repo: query.text('repo'), tag: query.text('tag'), comment: query.text('comment'), author: query.text('author'),
    pause: query.flag('pause', true), changes: query.all('changes'), ...(body ? { config: asContainerConfig(body) } : {}),
  };
  return json(await engine.containers.commit(query.required('container'), options), 201);
};
