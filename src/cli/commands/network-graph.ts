import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { drawSvg } from '../graph/draw-svg.ts';
import { drawText } from '../graph/draw-text.ts';
import { buildTopology } from '../graph/topology.ts';

/** `network graph`: what is connected to what, as text, SVG or JSON. */
export const graphNetworks: CommandRunner = async ({ client, flags, args, io }) => {
  const format = flags.string('format');
  const draw = { text: drawText, svg: drawSvg, json: (topology: object) => `${JSON.stringify(topology, null, 2)}\n` }[format];
  if (draw === undefined) throw new NaruError('invalid', `unknown format ${JSON.stringify(format)} of a network graph`, { hint: 'text, svg and json are known' });
  const [networks, containers] = await Promise.all([client().networks.list(), client().containers.list({ all: flags.bool('all') })]);
  for (const name of args) if (!networks.some((network) => network.Name === name || network.Id.startsWith(name))) throw new NaruError('not-found', `network ${name} not found`);
  const chosen = args.length === 0 ? networks : networks.filter((network) => args.some((name) => network.Name === name || network.Id.startsWith(name)));
  const names = new Set(chosen.flatMap((network) => [network.Name, network.Id]));
  const members = args.length === 0 ? containers : containers.filter((container) => Object.entries(container.NetworkSettings.Networks).some(([name, endpoint]) => names.has(name) || names.has(endpoint.NetworkID ?? '')));
  io.out(draw(buildTopology(chosen, members, { used: args.length === 0 && !flags.bool('all') })));
  return 0;
};
