import type { Handler } from '#api/call.ts';
import { asOlder } from '#api/older-shapes.ts';
import { readJson } from '#api/json-body.ts';
import { json, noContent, ok } from '#api/replies.ts';
import { asNetworkConnect, asNetworkCreate, asNetworkDisconnect } from '#api/request-schemas.ts';

export const list: Handler = async ({ engine, query, version }) => {
  const networks = await engine.networks.list(query.filters());
  return json(networks.map((network) => asOlder(network, 'network', version)));
};

export const inspect: Handler = async ({ engine, params, version }) =>
  json(asOlder(await engine.networks.inspect(params.name!), 'network', version));

export const create: Handler = async ({ engine, request }) => json(await engine.networks.create(asNetworkCreate(await readJson(request))), 201);

export const dns: Handler = async ({ engine }) => json(await engine.networks.dns());

export const remove: Handler = async ({ engine, params }) => {
  await engine.networks.remove(params.name!);
  return noContent();
};

export const connect: Handler = async ({ engine, params, request }) => {
  const { Container = '', EndpointConfig = {} } = asNetworkConnect(await readJson(request));
  await engine.networks.connect(params.name!, Container, EndpointConfig);
  return ok();
};

export const disconnect: Handler = async ({ engine, params, request }) => {
  const { Container = '', Force = false } = asNetworkDisconnect(await readJson(request));
  await engine.networks.disconnect(params.name!, Container, Force);
  return ok();
};

export const prune: Handler = async ({ engine, query }) => json({ NetworksDeleted: (await engine.networks.prune(query.filters())).NetworksDeleted ?? [] });
