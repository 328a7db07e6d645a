import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerSummary, NetworkInspect } from '#spec/engine-api.ts';
import { drawSvg } from './draw-svg.ts';
import { drawText } from './draw-text.ts';
import { buildTopology, describePorts } from './topology.ts';

const network = (Name: string, Subnet: string, more: Partial<NetworkInspect> = {}): NetworkInspect => ({
  Name, Id: `id-${Name}`, Created: '', Scope: 'local', Driver: 'bridge', EnableIPv4: true, EnableIPv6: false, IPAM: { Driver: 'default', Config: Subnet === '' ? [] : [{ Subnet, Gateway: Subnet.replace(/0\/.*/, '1') }], Options: null },
  Internal: false, Attachable: false, Ingress: false, ConfigFrom: { Network: '' }, ConfigOnly: false, Options: {}, Labels: {}, ...more,
});
const container = (name: string, networks: Record<string, string>, more: Partial<ContainerSummary> = {}): ContainerSummary => ({
  Id: `id-of-${name}`, Names: [`/${name}`], Image: 'busybox', ImageID: '', Command: '', Created: 0, Ports: [], Labels: {}, State: 'running', Status: '', HostConfig: { NetworkMode: 'bridge' },
  NetworkSettings: { Networks: Object.fromEntries(Object.entries(networks).map(([on, IPAddress]) => [on, { IPAddress, NetworkID: `id-${on}` }])) }, Mounts: [], ...more,
});

const networks = [network('front', '10.2.0.0/24'), network('back', '10.1.0.0/24', { Internal: true }), network('none', '', { Driver: 'null' })];
const containers = [
  container('web', { front: '10.2.0.2', back: '10.1.0.2' }, { Ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] }),
  container('db', { back: '10.1.0.3' }),
  container('probe', {}, { HostConfig: { NetworkMode: 'container:id-of-web' }, State: 'exited' }),
];

test('the text shows each network with its containers, addresses and ports', () => {
  assert.equal(drawText(buildTopology(networks, containers, { used: true })), [
    'back  (bridge · 10.1.0.0/24 · gateway 10.1.0.1 · internal)', '├─ db  10.1.0.3', '└─ web  10.1.0.2 · also on front', '   └╴0.0.0.0:8080 → 80/tcp',
    'front  (bridge · 10.2.0.0/24 · gateway 10.2.0.1)', '└─ web  10.2.0.2 · also on back', '   └╴0.0.0.0:8080 → 80/tcp',
    'on no network', '└─ probe  shares the network of web · exited', '',
  ].join('\n'));
});

test('a run of ports is one line', () => {
  const ports = [8001, 8000, 8002, 9000].map((port) => ({ IP: '::', PrivatePort: port, PublicPort: port, Type: 'tcp' as const }));
  assert.deepEqual(describePorts([...ports, { PrivatePort: 443, Type: 'tcp' }]), ['[::]:8000-8002 → 8000-8002/tcp', '[::]:9000 → 9000/tcp']);
});

test('the drawing has a line for each network and a dot for each endpoint, and names cannot break out of it', () => {
  const svg = drawSvg(buildTopology(networks, [...containers, container('<script>"', { front: '10.2.0.9' })], { used: false }));
  assert.equal(svg.match(/<circle /g)?.length, 4);
  assert.equal(svg.match(/stroke-linecap="round"/g)?.length, 3);
  assert.doesNotMatch(svg, /<script/);
  assert.match(svg, /&#60;script&#62;&#34;/);
  assert.match(svg, />10\.1\.0\.3</);
});
