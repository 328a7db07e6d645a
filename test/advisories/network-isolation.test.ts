import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createNetworkService } from '#net/create-network-service.ts';
import type { NetworkRecord, NetworkService } from '#net/port.ts';
import { TestNamespace, runSteps } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';
import { sendRouterAdvertisement } from '#test/system/net-router-advertisement.ts';

const NAMES = ['host', 'outside', 'a', 'b', 'c'] as const;

/** What must not get through. `a` is on one daemon's bridge and `b` on another's, `c` on an internal network of the first. */
describe('isolation', () => {
  const spaces = {} as Record<(typeof NAMES)[number], TestNamespace>;
  const peers = {} as Record<(typeof NAMES)[number], NetPeer>;
  const services: NetworkService[] = [];
  /** Its containers may say what they like to one another. */
  let inner: NetworkRecord;

  before(async () => {
    for (const name of NAMES) spaces[name] = new TestNamespace(`naru-iso-${name}`);
    const { host, outside } = spaces;
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', outside.name);
    for (const [namespace, address] of [[host, '10.9.0.1/24'], [outside, '10.9.0.2/24']] as const) {
      namespace.ip('address', 'add', address, 'dev', 'wire');
      namespace.ip('link', 'set', 'wire', 'up');
    }
    for (const name of ['a', 'b'] as const) {
      const service = host.within(() => createNetworkService({ bridge: `naru-${name}` }));
      services.push(service);
      await host.within(() => service.reconcile([], []));
      const ports = [[8080, 80, ''], [8081, 81, '127.0.0.1']].map(([hostPort, containerPort, hostIp]) =>
        ({ containerPort, hostPort: Number(hostPort) + (name === 'a' ? 0 : 10), hostPortEnd: 0, hostIp, protocol: 'tcp' }) as never);
      const record = host.within(() => service.reserve({ containerId: name.repeat(64), networks: [{ networkId: service.bridge.id }], ports }));
      runSteps(service.steps(record), host, spaces[name]);
      await host.within(() => service.publish(record));
    }
    const request = { id: 'c'.repeat(64), name: 'inner', driver: 'bridge', created: '', ipv4: true, ipv6: false, internal: true, attachable: false, configOnly: false, configFrom: '', ipamOptions: {}, labels: {}, options: { 'naru.guard': 'false' }, pools: [{ subnet: '10.77.0.0/24', ipRange: '', gateway: '', auxiliary: {} }] } as const;
    inner = host.within(() => services[0]!.design(request));
    await host.within(() => services[0]!.make(inner));
    const record = host.within(() => services[0]!.reserve({ containerId: 'c'.repeat(64), networks: [{ networkId: inner.id }], ports: [] }));
    runSteps(services[0]!.steps(record), host, spaces.c);
    for (const name of NAMES) peers[name] = new NetPeer(spaces[name]);
    for (const port of [80, 81, 82]) await peers.a.serve('tcp', port, `a${port}`);
    await peers.host.serve('tcp', 9999, 'secret of the host');
    await peers.c.serve('tcp', 80, 'c80');
    await peers.outside.serve('tcp', 80, 'the world');
  });

  after(() => {
    for (const peer of Object.values(peers)) peer.close();
    for (const service of services) service.close();
    for (const space of Object.values(spaces)) space.remove();
  });

  const unreached = async (from: NetPeer, address: string, port: number): Promise<void> => {
    const answer = await from.ask('tcp', address, port, { timeoutMs: 200 });
    assert.ok(['timeout', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EINVAL'].includes(answer), `got through: ${answer}`);
  };

  test('two daemons choose different subnets', () => {
    assert.deepEqual(services.map((each) => each.bridge.pools[0]!.subnet), ['172.17.0.0/16', '172.18.0.0/16']);
  });

  test('attack 46: a neighbour on the wire that routes to the containers reaches no port, published or not', async () => {
    spaces.outside.ip('route', 'add', '172.17.0.0/16', 'via', '10.9.0.1');
    for (const port of [80, 81, 82]) await unreached(peers.outside, '172.17.0.2', port);
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 8080), 'a80 10.9.0.2');
  });

  test('attack 46: a container of another bridge reaches only what is published on every address', async () => {
    for (const port of [80, 82]) await unreached(peers.b, '172.17.0.2', port);
    assert.match(await peers.b.ask('tcp', '10.9.0.1', 8080), /^a80 /);
  });

  test('attack 46: what is published on 127.0.0.1 is for the host alone, whatever a neighbour or a container forges', async () => {
    assert.match(await peers.host.ask('tcp', '127.0.0.1', 8081), /^a81 /);
    await unreached(peers.outside, '10.9.0.1', 8081);
    await unreached(peers.b, '10.9.0.1', 8081);
    // 127.0.0.1 sent over the wire: by the neighbour, and by containers that may change their own routes
    const forgers = [[spaces.outside, peers.outside, 'wire', '10.9.0.1'], [spaces.a, peers.a, 'eth0', '172.17.0.1'], [spaces.b, peers.b, 'eth0', '172.18.0.1']] as const;
    for (const [space, peer, link, gateway] of forgers) {
      space.exec('sysctl', '-q', '-w', 'net.ipv4.conf.all.route_localnet=1', `net.ipv4.conf.${link}.rp_filter=0`);
      space.ip('address', 'del', '127.0.0.1/8', 'dev', 'lo');
      space.ip('route', 'add', '127.0.0.1', 'via', gateway, 'dev', link, 'src', space.ip('-4', '-o', 'address', 'show', link).match(/inet ([\d.]+)/)![1]!);
      await unreached(peer, '127.0.0.1', 8081);
      await unreached(peer, '127.0.0.1', 8080);
      await unreached(peer, '127.0.0.1', 9999);
    }
  });

  test('attack 46: who is on an internal network gets nowhere by routes of his own, and nobody gets to him', async () => {
    const { host, outside, a, c } = spaces;
    const gateway = /inet (10\.77\.0\.\d+)/.exec(host.ip('-4', '-o', 'address'))![1]!, own = /inet (10\.77\.0\.\d+)/.exec(c.ip('-4', '-o', 'address'))![1]!;
    c.ip('route', 'add', 'default', 'via', gateway);
    outside.ip('route', 'add', '10.77.0.0/24', 'via', '10.9.0.1');
    a.ip('route', 'replace', '10.77.0.0/24', 'via', '172.17.0.1');
    assert.equal(await peers.host.ask('tcp', own, 80), `c80 ${gateway}`, 'it serves');
    await unreached(peers.c, '10.9.0.2', 80);
    await Promise.all([unreached(peers.c, '172.17.0.2', 80), unreached(peers.outside, own, 80), unreached(peers.a, own, 80)]);
  });

  test('attack 47: flushing all rules, or deleting ours, opens nothing while the daemon runs (CVE-2025-54388, CVE-2025-54410)', async () => {
    const { host, outside } = spaces;
    outside.ip('route', 'replace', '172.17.0.0/16', 'via', '10.9.0.1');
    host.exec('nft', 'add table inet firewalld');
    for (const command of [['flush', 'ruleset'], ['delete', 'table', 'inet', 'naru-a'], ['flush', 'chain', 'inet', 'naru-a', 'into'], ['delete', 'table', 'bridge', 'naru-a']]) {
      try {
        host.exec('nft', ...command);
      } catch (error) {
        assert.match(String(error), /Operation not permitted|No such file/);
      }
      await Promise.all([peers.outside, peers.b, peers.c].map((each) => unreached(each, '172.17.0.2', 80)));
    }
    assert.doesNotMatch(host.exec('nft', 'list', 'tables'), /firewalld/, 'the flush was one');
    assert.match(await peers.host.ask('tcp', '10.9.0.1', 8080), /^a80 /);
  });

  test('attack 48: no IPv6, even when a neighbour advertises itself as a router', async () => {
    const { host, c } = spaces;
    const neighbour = new TestNamespace('naru-iso-d');
    try {
      const record = host.within(() => services[0]!.reserve({ containerId: 'd'.repeat(64), networks: [{ networkId: inner.id }], ports: [] }));
      runSteps(services[0]!.steps(record), host, neighbour);
      for (const [name, value] of Object.entries(services[0]!.sysctls(record))) c.exec('sysctl', '-q', '-w', `${name}=${value}`);
      const index = Number(/^(\d+):/.exec(neighbour.ip('-o', 'link', 'show', 'eth0'))![1]);
      neighbour.within(() => sendRouterAdvertisement(index));
      await pause(100);
      for (const space of [c, host]) assert.doesNotMatch(space.ip('-6', 'address') + space.ip('-6', 'route'), /2001:db8|eth0|default|br-c/);
    } finally {
      neighbour.remove();
    }
  });
});
