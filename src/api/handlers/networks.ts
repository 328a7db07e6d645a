import type { Handler } from '#api/call.ts';
import { asOlder } from '#api/older-shapes.ts';
import { json } from '#api/replies.ts';
import { NaruError } from '#spec/errors.ts';

export const list: Handler = async ({ engine, query, version }) => {
  const networks = await engine.networks.list(query.filters());
  return json(networks.map((network) => asOlder(network, 'network', version)));
};

export const inspect: Handler = async ({ engine, params, version }) =>
  json(asOlder(await engine.networks.inspect(params.name!), 'network', version));

/** All networks there are, are built in. */
export const remove: Handler = async ({ engine, params }) => {
  const { Name } = await engine.networks.inspect(params.name!);
  throw new NaruError('forbidden', `${Name} is a pre-defined network and cannot be removed`);
};

export const prune: Handler = () => json({ NetworksDeleted: [] });
