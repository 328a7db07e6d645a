import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { createNetworkService } from '#net/create-network-service.ts';
import type { NetworkService, PortRequest } from '#net/port.ts';
import { removeNetwork } from '#net/remove-network.ts';
import { TestNamespace, runSteps } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';

const NAMES = { bridge: 'nrgate0', tableName: 'nrgate0' };
const port = (hostPort: number, containerPort: number, protocol: 'tcp' | 'udp' = 'tcp'): PortRequest => ({ containerPort, protocol, hostIp: '', hostPort, hostPortEnd: hostPort });

/** host: 10.9.0.1 (fd09::1) on the wire to `outside`; a: a container that publishes; b: its neighbour. */
describe('published ports that obey the host\'s input rules', () => {
  let host: TestNamespace, outside: TestNamespace, a: TestNamespace, b: TestNamespace;
  let peers: Record<'host' | 'outside' | 'a' | 'b', NetPeer>;
  let service: NetworkService;

  before(async () => {
    [host, outside, a, b] = ['host', 'outside', 'a', 'b'].map((name) => new TestNamespace(`naru-gate-${name}`)) as [TestNamespace, TestNamespace, TestNamespace, TestNamespace];
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', outside.name);
    for (const [space, number] of [[host, 1], [outside, 2]] as const) {
      space.ip('address', 'add', `10.9.0.${number}/24`, 'dev', 'wire');
      space.ip('address', 'add', `fd09::${number}/64`, 'dev', 'wire', 'nodad');
      space.ip('link', 'set', 'wire', 'up');
      space.exec('sysctl', '-q', '-w', 'net.ipv4.conf.all.rp_filter=1');
    }
    host.ip('route', 'add', 'default', 'via', '10.9.0.2');
    service = host.within(() => createNetworkService({ ...NAMES, firewall: 'host', ipv6: 'fd0a::/64' }));
    await host.within(() => service.reconcile([], []));
    for (const [space, ports] of [[a, [port(8080, 80), port(8081, 81), port(5353, 53, 'udp')]], [b, []]] as const) {
      const record = host.within(() => service.reserve({ containerId: space.name.padEnd(64, '0'), networks: [{ networkId: service.bridge.id }], ports }));
      runSteps(service.steps(record), host, space);
      await host.within(() => service.publish(record));
    }
    peers = { host: new NetPeer(host), outside: new NetPeer(outside), a: new NetPeer(a), b: new NetPeer(b) };
    await peers.a.serve('tcp', 80, 'a80', '::');
    await peers.a.serve('tcp', 81, 'a81');
    await peers.a.serve('udp', 53, 'a53');
  });
  afterEach(() => {
    host.exec('nft', 'add table inet firewall ; delete table inet firewall');
  });
  after(() => {
    for (const peer of Object.values(peers ?? {})) peer.close();
    service?.close();
    host.within(() => removeNetwork(NAMES));
    assert.equal(host.exec('nft', 'list', 'ruleset'), '');
    assert.doesNotMatch(host.ip('link'), /nrgate0|ng[0-9a-f]{8}/);
    for (const space of [host, outside, a, b]) space?.remove();
  });

  /** A host's own firewall: what it does not name is dropped. */
  const rules = (...lines: string[]): string => host.exec('nft', [
    'add table inet firewall', 'add chain inet firewall input { type filter hook input priority 0 ; policy drop ; }',
    ...['ct state established,related accept', 'iif lo accept', 'meta l4proto { icmp, icmpv6 } accept', ...lines].map((line) => `add rule inet firewall input ${line}`),
  ].join(' ; '));
  const refused = async (from: NetPeer, protocol: 'tcp' | 'udp', number: number): Promise<void> => assert.equal(await from.ask(protocol, '10.9.0.1', number, { timeoutMs: 300 }), 'timeout');

  test('without rules everybody reaches them at once, and is seen as himself', async () => {
    assert.match(await peers.outside.ask('tcp', 'fd09::1', 8080), /^a80/); // neighbours are known from now on
    const start = performance.now();
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 8080), 'a80 ::ffff:10.9.0.2');
    assert.equal(await peers.outside.ask('tcp', 'fd09::1', 8080), 'a80 fd09::2');
    assert.equal(await peers.outside.ask('udp', '10.9.0.1', 5353), 'a53 10.9.0.2');
    assert.ok(performance.now() - start < 900, 'a packet was lost and sent again');
  });

  test('a policy of drop closes them; a rule for one opens that one alone, for whom it names', async () => {
    rules();
    await refused(peers.outside, 'tcp', 8080);
    await refused(peers.outside, 'udp', 5353);
    assert.equal(await peers.outside.ask('tcp', 'fd09::1', 8080, { timeoutMs: 300 }), 'timeout');
    host.exec('nft', 'add table inet firewall ; delete table inet firewall');
    rules('ip saddr 10.9.0.2 tcp dport 8080 accept', 'udp dport 5353 accept');
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 8080), 'a80 ::ffff:10.9.0.2');
    assert.equal(await peers.outside.ask('udp', '10.9.0.1', 5353), 'a53 10.9.0.2');
    await refused(peers.outside, 'tcp', 8081);
    assert.equal(await peers.b.ask('tcp', '10.9.0.1', 8080, { timeoutMs: 300 }), 'timeout', 'the rule names another');
  });

  test('the host itself reaches them, and neighbours whom the rules let through', async () => {
    rules('iifname "nrgate0" tcp dport 8080 accept');
    assert.match(await peers.host.ask('tcp', '127.0.0.1', 8081), /^a81 /);
    assert.match(await peers.b.ask('tcp', '10.9.0.1', 8080), /^a80 /);
    await refused(peers.b, 'tcp', 8081);
  });

  test('nothing else of the host is opened, nor is the pair a way in', async () => {
    await peers.host.serve('tcp', 9999, 'the host');
    rules();
    await refused(peers.outside, 'tcp', 9999);
    outside.ip('route', 'replace', '169.254.0.0/16', 'via', '10.9.0.1');
    assert.notEqual(await peers.outside.ask('tcp', '169.254.110.97', 8080, { timeoutMs: 300 }), 'a80 ::ffff:10.9.0.2');
  });
});
