import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { sendRouterAdvertisement } from '#test/system/net-router-advertisement.ts';
import { TestDaemon } from '../support/daemon.ts';
import { OwnHost } from '../support/own-host.ts';
import { TestNamespace } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';

/** What must not get through. `aa` is on one daemon's bridge and `bb` on another's, `cc` on an internal network of the first; all by the Docker CLI. */
describe('isolation', () => {
  let own: OwnHost;
  let second: TestDaemon;
  let bb: TestNamespace, inB: NetPeer;
  const at = { a: '', b: '', c: '' };

  before(async () => {
    own = await OwnHost.start('iso');
    second = await TestDaemon.start({ namespace: own.host });
    own.daemon.mark();
    own.sleeper('aa', '-p', '8080:80', '-p', '127.0.0.1:8081:81');
    second.ok('run', '-d', '--name', 'bb', '-p', '8090:80', '-p', '127.0.0.1:8091:81', 'busybox', 'sleep', '600');
    // Its containers may say what they like to one another
    own.daemon.ok('network', 'create', '--internal', '--subnet', '10.77.0.0/24', '-o', 'naru.guard=false', 'inner');
    own.sleeper('cc', '--network', 'inner');
    Object.assign(at, { a: own.address('aa'), b: second.ok('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'bb'), c: own.address('cc', 'inner') });
    bb = new TestNamespace('naru-iso-bb', Number(second.ok('inspect', '-f', '{{.State.Pid}}', 'bb')));
    inB = new NetPeer(bb);
    for (const port of [80, 81, 82]) await own.in('aa').serve('tcp', port, `a${port}`);
    await own.in('host').serve('tcp', 9999, 'secret of the host');
    await own.in('cc').serve('tcp', 80, 'c80');
    await own.in('outside').serve('tcp', 80, 'the world');
  });

  after(async () => {
    try {
      await inB?.end();
      bb?.remove();
      await second?.removeAll();
      await own.clear();
      assert.equal(await second?.leaked(), '');
    } finally {
      await second?.destroy();
      await own.end();
    }
  });

  const unreached = async (from: NetPeer, address: string, port: number): Promise<void> => {
    const answer = await from.ask('tcp', address, port, { timeoutMs: 200 });
    assert.ok(['timeout', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EINVAL'].includes(answer), `got through: ${answer}`);
  };

  test('two daemons choose different subnets', () => {
    assert.deepEqual([own.daemon, second].map((each) => each.ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', 'bridge')), ['172.17.0.0/16', '172.18.0.0/16']);
  });

  test('attack 46: a neighbour on the wire that routes to the containers reaches no port, published or not', async () => {
    own.outside.ip('route', 'add', '172.17.0.0/16', 'via', '10.9.0.1');
    for (const port of [80, 81, 82]) await unreached(own.in('outside'), at.a, port);
    assert.equal(await own.in('outside').ask('tcp', '10.9.0.1', 8080), 'a80 10.9.0.2');
  });

  test('attack 46: a container of another bridge reaches only what is published on every address', async () => {
    for (const port of [80, 82]) await unreached(inB, at.a, port);
    assert.match(await inB.ask('tcp', '10.9.0.1', 8080), /^a80 /);
  });

  test('attack 46: what is published on 127.0.0.1 is for the host alone, whatever a neighbour or a container forges', async () => {
    assert.match(await own.in('host').ask('tcp', '127.0.0.1', 8081), /^a81 /);
    await unreached(own.in('outside'), '10.9.0.1', 8081);
    await unreached(inB, '10.9.0.1', 8081);
    // 127.0.0.1 sent over the wire: by the neighbour, and by containers that may change their own routes
    const forgers = [[own.outside, own.in('outside'), 'wire', '10.9.0.1'], [own.space('aa'), own.in('aa'), 'eth0', '172.17.0.1'], [bb, inB, 'eth0', '172.18.0.1']] as const;
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
    const gateway = /inet (10\.77\.0\.\d+)/.exec(own.host.ip('-4', '-o', 'address'))![1]!;
    own.space('cc').ip('route', 'add', 'default', 'via', gateway);
    own.outside.ip('route', 'add', '10.77.0.0/24', 'via', '10.9.0.1');
    own.space('aa').ip('route', 'replace', '10.77.0.0/24', 'via', '172.17.0.1');
    assert.equal(await own.in('host').ask('tcp', at.c, 80), `c80 ${gateway}`, 'it serves');
    await unreached(own.in('cc'), '10.9.0.2', 80);
    await Promise.all([unreached(own.in('cc'), at.a, 80), unreached(own.in('outside'), at.c, 80), unreached(own.in('aa'), at.c, 80)]);
  });

  test('attack 47: flushing all rules, or deleting ours, opens nothing while the daemon runs (CVE-2025-54388, CVE-2025-54410)', async () => {
    const { nftTable } = own.daemon.scope;
    own.outside.ip('route', 'replace', '172.17.0.0/16', 'via', '10.9.0.1');
    own.host.exec('nft', 'add table inet firewalld');
    for (const command of [['flush', 'ruleset'], ['delete', 'table', 'inet', nftTable], ['flush', 'chain', 'inet', nftTable, 'into'], ['delete', 'table', 'bridge', nftTable]]) {
      try {
        own.host.exec('nft', ...command);
      } catch (error) {
        assert.match(String(error), /Operation not permitted|No such file/);
      }
      await Promise.all([own.in('outside'), inB, own.in('cc')].map((each) => unreached(each, at.a, 80)));
    }
    assert.doesNotMatch(own.host.exec('nft', 'list', 'tables'), /firewalld/, 'the flush was one');
    assert.match(await own.in('host').ask('tcp', '10.9.0.1', 8080), /^a80 /);
  });

  test('attack 48: no IPv6, even when a neighbour advertises itself as a router (CVE-2024-32473)', async () => {
    own.sleeper('dd', '--network', 'inner');
    const neighbour = own.space('dd');
    const index = Number(/^(\d+):/.exec(neighbour.ip('-o', 'link', 'show', 'eth0'))![1]);
    neighbour.within(() => sendRouterAdvertisement(index));
    await pause(100);
    assert.equal(own.space('cc').ip('-6', 'address', 'show', 'dev', 'eth0'), '');
    for (const space of [own.space('cc'), own.host]) assert.doesNotMatch(space.ip('-6', 'address') + space.ip('-6', 'route'), /2001:db8|eth0|default|dev br-/);
  });
});
