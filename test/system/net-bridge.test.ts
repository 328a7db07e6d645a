import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { createNetworkService } from '#net/create-network-service.ts';
import type { EndpointRecord, PortRequest, NetworkService } from '#net/port.ts';
import { TestNamespace, runSteps } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';

type Port = PortRequest;
const port = (hostPort: number, containerPort: number, more: Partial<Port> = {}): Port =>
  ({ containerPort, protocol: 'tcp', hostIp: '', hostPort, hostPortEnd: hostPort, ...more });

/** host: 10.9.0.1 on the wire to `outside` (10.9.0.2), with the bridge; a and b: containers. */
describe('the default bridge', () => {
  let host: TestNamespace, outside: TestNamespace, a: TestNamespace, b: TestNamespace;
  let peers: Record<'host' | 'outside' | 'a' | 'b', NetPeer>;
  let service: NetworkService;
  const records: EndpointRecord[] = [];

  before(async () => {
    [host, outside, a, b] = ['host', 'outside', 'a', 'b'].map((name) => new TestNamespace(`naru-net-${name}`)) as [TestNamespace, TestNamespace, TestNamespace, TestNamespace];
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', outside.name);
    for (const [namespace, address] of [[host, '10.9.0.1/24'], [outside, '10.9.0.2/24']] as const) {
      namespace.ip('address', 'add', address, 'dev', 'wire');
      namespace.ip('link', 'set', 'wire', 'up');
    }
    host.ip('route', 'add', 'default', 'via', '10.9.0.2');
    service = host.within(() => createNetworkService({ bridge: 'naru-t' }));
    await host.within(() => service.reconcile([], []));
    for (const [container, ports] of [[a, [
      port(8080, 80), port(8081, 81, { hostIp: '127.0.0.1' }), port(5353, 53, { protocol: 'udp' }),
      port(7000, 7000), port(7001, 7001), port(7002, 7002), port(9000, 8000), port(9001, 8001), port(3000, 4000), port(3001, 4001),
    ]], [b, []]] as const) {
      const record = host.within(() => service.reserve({ containerId: container.name.padEnd(64, container === a ? '0' : '1').replace(/^naru-net-/, ''), networks: [{ networkId: service.bridge.id }], ports }));
      runSteps(service.steps(record), host, container);
      await host.within(() => service.publish(record));
      records.push(...record);
    }
    peers = { host: new NetPeer(host), outside: new NetPeer(outside), a: new NetPeer(a), b: new NetPeer(b) };
    for (const number of [80, 81, 7001, 8000, 8001, 4001]) await peers.a.serve('tcp', number, `a${number}`);
    await peers.a.serve('udp', 53, 'a53');
    await peers.b.serve('tcp', 80, 'b80');
    await peers.outside.serve('tcp', 80, 'o80');
  });

  after(() => {
    for (const peer of Object.values(peers ?? {})) peer.close();
    service?.close();
    for (const namespace of [host, outside, a, b]) namespace?.remove();
  });

  test('avoids nothing on an empty host: 172.17.0.0/16', () => {
    assert.deepEqual([service.bridge.pools[0]!.subnet, service.bridge.pools[0]!.gateway], ['172.17.0.0/16', '172.17.0.1']);
    assert.deepEqual([records[0]!.address, records[0]!.mac], ['172.17.0.2', '02:42:ac:11:00:02']);
    assert.equal(records[1]!.address, '172.17.0.3');
    // The bridge's ports have none, and no routes of IPv6 with it.
    for (const { hostInterface } of records) assert.equal(host.ip('-6', 'address', 'show', 'dev', hostInterface), '');
  });

  test('containers reach each other and, masqueraded, the world', async () => {
    assert.equal(await peers.a.ask('tcp', '172.17.0.3', 80), 'b80 172.17.0.2');
    assert.equal(await peers.a.ask('tcp', '10.9.0.2', 80), 'o80 10.9.0.1');
  });

  test('a published port is reached from another host, which is seen as itself', async () => {
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 8080), 'a80 10.9.0.2');
    assert.equal(await peers.outside.ask('udp', '10.9.0.1', 5353), 'a53 10.9.0.2');
  });

  test('from the host: by its address and by localhost', async () => {
    assert.equal(await peers.host.ask('tcp', '10.9.0.1', 8080), 'a80 10.9.0.1');
    assert.equal(await peers.host.ask('tcp', '127.0.0.1', 8080), 'a80 172.17.0.1');
    assert.equal(await peers.host.ask('udp', '127.0.0.1', 5353), 'a53 172.17.0.1');
    assert.equal(await peers.host.ask('tcp', '127.0.0.1', 8081), 'a81 172.17.0.1');
    assert.equal(await peers.host.ask('tcp', '172.17.0.1', 8080), 'a80 172.17.0.1');
  });

  test('ranges, with the same numbers and with others', async () => {
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 7001), 'a7001 10.9.0.2');
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 9000), 'a8000 10.9.0.2');
    assert.equal(await peers.outside.ask('tcp', '10.9.0.1', 9001), 'a8001 10.9.0.2');
    assert.equal(await peers.host.ask('tcp', '127.0.0.1', 3001), 'a4001 172.17.0.1');
  });

  // The module br_netfilter sends bridged frames through the rules too, which takes another way back to the sender
  for (const netfilter of existsSync('/proc/sys/net/bridge') ? ['0', '1'] : ['absent']) {
    test(`hairpin, from itself and from a neighbour (bridge-nf-call-iptables=${netfilter})`, async () => {
      if (netfilter !== 'absent') host.exec('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-iptables=${netfilter}`);
      assert.equal(await peers.a.ask('tcp', '10.9.0.1', 8080), 'a80 172.17.0.1');
      assert.equal(await peers.b.ask('tcp', '10.9.0.1', 8080), 'a80 172.17.0.1');
      assert.equal(await peers.b.ask('udp', '172.17.0.1', 5353), 'a53 172.17.0.1');
      assert.equal(await peers.a.ask('tcp', '172.17.0.3', 80), 'b80 172.17.0.2');
    });
  }
});
