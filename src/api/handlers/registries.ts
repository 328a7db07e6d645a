import type { Call, Handler } from '#api/call.ts';
import { readJson } from '#api/json-body.ts';
import { json } from '#api/replies.ts';

const auth = ({ request }: Call): string => request.header('x-registry-auth') ?? '';

export const login: Handler = async ({ engine, request }) => json(await engine.registries.login((await readJson(request)) ?? {}, request.signal));

export const search: Handler = async (call) => {
  const { engine, query, request } = call;
  return json(await engine.registries.search(query.required('term'), { limit: query.integer('limit'), filters: query.filters(), auth: auth(call) }, request.signal));
};

export const distribution: Handler = async (call) => json(await call.engine.registries.distribution(call.params['name']!, auth(call), call.request.signal));
