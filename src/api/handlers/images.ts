import { Readable } from 'node:stream';
import type { Call, Handler } from '#api/call.ts';
import { asOlder, shapeFor } from '#api/older-shapes.ts';
import { json, ok, progress, written } from '#api/replies.ts';
import type { Filters } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';

const name = (call: Call): string => call.params.name!;

export const list: Handler = async ({ engine, query, version }) => {
  const options = {
    all: query.flag('all'), filters: withReference(query.filters(), version < 41 ? query.text('filter') : ''),
    sharedSize: query.flag('shared-size'), digests: query.flag('digests'), manifests: version >= 47 && query.flag('manifests'),
  };
  const images = await engine.images.list(options);
  return json(images.map((image) => asOlder(image, 'image-summary', version)));
};

/** Until API 1.40 `filter=NAME` stood for `filters={"reference":...}`. */
const withReference = (filters: Filters, reference: string): Filters =>
  reference === '' ? filters : new Map([...filters, ['reference', [...(filters.get('reference') ?? []), reference]]]);

export const inspect: Handler = async (call) => json(asOlder(await call.engine.images.inspect(name(call), { platform: call.query.text('platform'), manifests: call.query.flag('manifests') }), 'image', shapeFor(call.request.header('user-agent'), call.version)));

export const history: Handler = async (call) => json(await call.engine.images.history(name(call), { platform: call.query.text('platform') }));

export const tag: Handler = async (call) => {
  await call.engine.images.tag(name(call), call.query.required('repo'), call.query.text('tag'));
  return ok([], 201);
};

export const remove: Handler = async (call) => {
  // An image that is not there for a platform is not removed for all others.
  for (const platform of call.query.all('platforms')) await call.engine.images.inspect(name(call), { platform, manifests: false });
  return json(await call.engine.images.remove(name(call), { force: call.query.flag('force'), noPrune: call.query.flag('noprune') }));
};

export const prune: Handler = async ({ engine, query }) => json(await engine.images.prune(query.filters()));

export const load: Handler = async ({ engine, query, request }) =>
  progress(engine.images.load(requiredBody(request.stream()), { quiet: query.flag('quiet'), platform: query.text('platform') }, request.signal));

export const save: Handler = async ({ engine, query }) => {
  const names = query.all('names');
  if (names.length === 0) throw new NaruError('invalid', 'bad parameter: names cannot be empty');
  return written('application/x-tar', await engine.images.save(names, { platform: query.text('platform') }));
};

export const saveOne: Handler = async (call) => written('application/x-tar', await call.engine.images.save([name(call)], { platform: call.query.text('platform') }));

/** `fromImage` pulls, `fromSrc` imports. */
export const create: Handler = async (call) => {
  const { engine, query, request } = call;
  const platform = query.text('platform');
  if (query.text('fromImage') !== '') {
    const auth = request.header('x-registry-auth') ?? '';
    return progress(engine.images.pull(withTag(query.text('fromImage'), query.text('tag')), { platform, auth, referrers: query.flag('referrers') }, request.signal));
  }
  const from = query.required('fromSrc');
  const options = { repo: query.text('repo'), tag: query.text('tag'), message: query.text('message'), changes: query.all('changes'), platform };
  return progress(engine.images.import(from === '-' ? requiredBody(request.stream()) : from, options, request.signal));
};

export const push: Handler = async (call) => {
  const auth = call.request.header('x-registry-auth') ?? '';
  return progress(call.engine.images.push(withTag(name(call), call.query.text('tag')), { auth, platform: call.query.text('platform'), compression: call.query.text('compression'), level: call.query.integer('compression-level') ?? 0 }, call.request.signal));
};

/** `tag` may be a digest. */
const withTag = (reference: string, tag: string): string =>
  tag === '' ? reference : `${reference}${tag.includes(':') ? '@' : ':'}${tag}`;

const requiredBody = (body: Readable | undefined): Readable => body ?? Readable.from([]);
