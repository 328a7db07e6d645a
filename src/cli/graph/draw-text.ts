import type { Topology, TopologyContainer, TopologyNetwork } from './topology.ts';

/** The topology as a tree: each network with the containers on it; then those that are on none. Lines end in `\n`. */
export function drawText(topology: Topology): string {
  const lines: string[] = [];
  for (const network of topology.networks) {
    lines.push(heading(network));
    const members = topology.containers.filter((container) => container.endpoints.some((endpoint) => endpoint.networkId === network.id));
    members.forEach((container, index) => lines.push(...branch(container, { last: index === members.length - 1, network, topology })));
  }
  const alone = topology.containers.filter((container) => container.endpoints.length === 0);
  if (alone.length > 0) {
    lines.push('on no network');
    alone.forEach((container, index) => lines.push(...branch(container, { last: index === alone.length - 1, network: undefined, topology })));
  }
  return lines.map((line) => `${line}\n`).join('');
}

function heading(network: TopologyNetwork): string {
  const facts = [network.driver, ...network.subnets, ...network.gateways.map((gateway) => `gateway ${gateway}`), ...(network.internal ? ['internal'] : [])];
  return `${network.name}  (${facts.join(' · ')})`;
}

function branch(container: TopologyContainer, place: { last: boolean; network: TopologyNetwork | undefined; topology: Topology }): string[] {
  const { last, network, topology } = place;
  const here = container.endpoints.find((endpoint) => endpoint.networkId === network?.id);
  const elsewhere = container.endpoints.filter((endpoint) => endpoint !== here).map((endpoint) => topology.networks.find((candidate) => candidate.id === endpoint.networkId)?.name ?? '');
  const facts = [
    ...(here?.addresses ?? []), ...(here === undefined || here.aliases.length === 0 ? [] : [`also called ${here.aliases.join(', ')}`]),
    ...(elsewhere.length === 0 ? [] : [`also on ${elsewhere.join(', ')}`]), ...(container.shares === undefined ? [] : [`shares the network of ${container.shares}`]),
    ...(container.state === 'running' ? [] : [container.state]),
  ];
  const stem = last ? '   ' : '│  ';
  const ports = container.ports.map((port, index) => `${stem}${index === container.ports.length - 1 ? '└╴' : '├╴'}${port}`);
  return [`${last ? '└─ ' : '├─ '}${container.name}${facts.length === 0 ? '' : `  ${facts.join(' · ')}`}`, ...ports];
}
