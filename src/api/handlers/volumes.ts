import type { Handler } from '#api/call.ts';
import { readJson } from '#api/json-body.ts';
import { json, noContent } from '#api/replies.ts';
import { asVolumeCreate } from '#api/request-schemas.ts';

export const list: Handler = async ({ engine, query }) => json(await engine.volumes.list(query.filters()));

export const create: Handler = async ({ engine, request }) => json(await engine.volumes.create(asVolumeCreate(await readJson(request))), 201);

export const inspect: Handler = async ({ engine, params }) => json(await engine.volumes.inspect(params.name!));

export const remove: Handler = async ({ engine, params, query }) => {
  await engine.volumes.remove(params.name!, query.flag('force'));
  return noContent();
};

/** Before API 1.42 a prune took named volumes too. */
export const prune: Handler = async ({ engine, query, version }) => {
  const filters = query.filters();
  return json(await engine.volumes.prune(version < 42 ? new Map([...filters, ['all', ['true']]]) : filters));
};
