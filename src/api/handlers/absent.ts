import type { Handler } from '#api/call.ts';
import { json } from '#api/replies.ts';
import { NaruError } from '#spec/errors.ts';

/** Routes of Docker's API that are answered without an engine: what is not there, and what comes later. */
export const notYet = (sentence: string): Handler => () => {
  throw new NaruError('unsupported', sentence);
};

export const builder = notYet('building images is not supported: the builder comes with a later release');
export const plugins = notYet('plugins are not supported');
export const checkpoints = notYet('checkpoints are not supported');
export const swarmMode = notYet('swarm mode is not supported');

export const pruneBuildCache: Handler = () => json({ CachesDeleted: [], SpaceReclaimed: 0 });

export const noPlugins: Handler = () => json([]);

export const unknownPlugin: Handler = ({ params }) => {
  throw new NaruError('not-found', `plugin ${JSON.stringify(params.name)} not found`);
};

/** What a Docker daemon outside a swarm says. */
export const notManager: Handler = () => {
  throw new NaruError('unavailable', 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.');
};

export const notInSwarm: Handler = () => {
  throw new NaruError('unavailable', 'This node is not part of a swarm');
};
