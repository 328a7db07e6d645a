import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../support/daemon.ts';
import { TestNamespace } from './net-namespaces.ts';
import { NetPeer } from './net-peer.ts';

/** What `ufw enable` with `allow 22/tcp` amounts to: everything in and through is dropped that no rule names. */
const UFW = `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
:ufw-before-forward - [0:0]
:ufw-user-input - [0:0]
:ufw-user-forward - [0:0]
-A INPUT -j ufw-before-input
-A FORWARD -j ufw-before-forward
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp --icmp-type echo-request -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp --icmp-type echo-request -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
-A ufw-user-input -p tcp --dport 22 -j ACCEPT
COMMIT
`;

/** What dockerd has made with one container, 172.17.0.2, that publishes 9090 (its bridge is docker0). */
const DOCKER = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:90
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 90 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -o docker0 -j DOCKER
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
`;

/** A zone of firewalld's: strict about where packets come from, what no zone wants is rejected; through it goes what comes from inside. */
const FIREWALLD = (bridge: string): string => `table inet firewalld {
  chain mangle_PREROUTING { type filter hook prerouting priority -140; policy accept; meta nfproto ipv6 fib saddr . mark . iif oif missing drop; }
  chain filter_INPUT { type filter hook input priority 10; policy accept; ct state established,related accept; iifname "lo" accept; tcp dport 22 accept; reject with icmpx admin-prohibited; }
  chain filter_FORWARD { type filter hook forward priority 10; policy accept; ct state established,related accept; ct status dnat accept; iifname "${bridge}" accept; reject with icmpx admin-prohibited; }
}
`;

/** The daemon's host is a namespace, 10.9.0.1 on the wire to `outside` (10.9.0.2); a: a container that publishes 8080; d: one of Docker's. */
describe('beside the rules of others, by the Docker CLI', () => {
  let host: TestNamespace, outside: TestNamespace, d: TestNamespace;
  let peers: Record<'host' | 'outside' | 'd', NetPeer>;
  let daemon: TestDaemon;

  before(async () => {
    [host, outside, d] = ['host', 'outside', 'd'].map((name) => new TestNamespace(`naru-next-${name}`)) as [TestNamespace, TestNamespace, TestNamespace];
    host.ip('link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', outside.name);
    for (const [space, number] of [[host, 1], [outside, 2]] as const) {
      space.ip('address', 'add', `10.9.0.${number}/24`, 'dev', 'wire');
      space.ip('link', 'set', 'wire', 'up');
    }
    host.ip('link', 'add', 'docker0', 'type', 'bridge');
    host.ip('address', 'add', '172.17.0.1/16', 'dev', 'docker0');
    host.ip('link', 'set', 'docker0', 'up');
    host.ip('link', 'add', 'vd', 'master', 'docker0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', d.name);
    host.ip('link', 'set', 'vd', 'up');
    d.ip('address', 'add', '172.17.0.2/16', 'dev', 'eth0');
    d.ip('link', 'set', 'eth0', 'up');
    d.ip('route', 'add', 'default', 'via', '172.17.0.1');
    peers = { host: new NetPeer(host), outside: new NetPeer(outside), d: new NetPeer(d) };
    await peers.outside.serve('tcp', 80, 'o80');
    await peers.d.serve('tcp', 90, 'd90');
    daemon = await TestDaemon.start({ namespace: host });
  });
  after(async () => {
    for (const peer of Object.values(peers ?? {})) peer.close();
    await daemon?.destroy();
    for (const space of [host, outside, d]) space?.remove();
  });

  const restore = (text: string): string => host.exec('sh', '-c', `iptables-nft-restore <<'END'\n${text}END`);
  const load = (text: string): string => host.exec('sh', '-c', `nft -f - <<'END'\n${text}END`);
  /** Without counters, which traffic changes. */
  const theirs = (): string => host.exec('nft', '-s', 'list', 'ruleset').split(/^(?=table )/m).filter((table) => !table.split('\n')[0]!.includes(` ${daemon.scope.nftTable} `)).join('');
  const warnings = (log: string): string[] => log.split('\n').filter((line) => / warn .*firewall of another program/.test(line));

  interface Own { readonly address: string; readonly a: NetPeer }

  /** The whole life of a daemon and a container of ours beside these rules, from its start on, through one that is killed. */
  async function beside(work: (own: Own) => Promise<void>): Promise<void> {
    const before = theirs();
    assert.notEqual(before, '');
    await daemon.restart();
    daemon.ok('run', '-d', '--name', 'aa', '-p', '8080:80', '-p', '8081:81', 'busybox', 'sleep', '600');
    const space = new TestNamespace('naru-next-a', Number(daemon.ok('inspect', '-f', '{{.State.Pid}}', 'aa')));
    const a = new NetPeer(space);
    try {
      await a.serve('tcp', 80, 'a80');
      assert.equal(theirs(), before, 'published');
      await work({ address: daemon.ok('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'aa'), a });
      await daemon.restart('SIGKILL');
      await reaches(peers.host, '127.0.0.1', 8080, 'a80 172.18.0.1');
    } finally {
      await a.end();
      space.remove();
      daemon.ok('rm', '-f', 'aa');
    }
    const added = (text: string): string => text.split('\n').filter((line) => !line.includes(`"${daemon.scope.bridge}" counter`) && !line.endsWith(`"${daemon.scope.bridge}" accept`)).join('\n'); // by the test, to let ours through
    assert.equal(added(theirs()), added(before), 'gone');
    host.exec('nft', 'flush', 'ruleset');
    assert.equal(await daemon.leaked(), '');
  }
  const reaches = async (from: NetPeer, address: string, number: number, answer: string): Promise<void> => assert.equal(await from.ask('tcp', address, number), answer);
  const dropped = async (from: NetPeer, address: string, number: number): Promise<void> => assert.equal(await from.ask('tcp', address, number, { timeoutMs: 300 }), 'timeout');

  test('ufw: the host reaches its ports; who forwards nothing forwards nothing of ours, is told of with what to do, and does after that', async () => {
    restore(UFW);
    const earlier = warnings(daemon.log()).length;
    await beside(async ({ a }) => {
      await reaches(peers.host, '127.0.0.1', 8080, 'a80 172.18.0.1');
      await reaches(peers.host, '10.9.0.1', 8080, 'a80 10.9.0.1');
      await dropped(peers.outside, '10.9.0.1', 8080);
      await dropped(a, '10.9.0.2', 80);
      const said = warnings(daemon.log()).slice(earlier);
      assert.equal(said.length, 1, daemon.log());
      assert.match(said[0]!, /nftables table ip filter, chain FORWARD, policy drop/);
      for (const command of said[0]!.matchAll(/nft (insert [^;]*)/g)) host.exec('nft', command[1]!);
      await reaches(peers.outside, '10.9.0.1', 8080, 'a80 10.9.0.2');
      await reaches(a, '10.9.0.2', 80, 'o80 10.9.0.1');
      await dropped(peers.outside, '10.9.0.1', 8082); // what is not published still meets their input rules
    });
  });

  test('Docker: each publishes, each its own; neither sees the other\'s containers', async () => {
    restore(DOCKER);
    host.exec('iptables-nft', '-A', 'DOCKER-USER', '-o', daemon.scope.bridge, '-j', 'ACCEPT');
    host.exec('iptables-nft', '-A', 'DOCKER-USER', '-i', daemon.scope.bridge, '-j', 'ACCEPT');
    await beside(async ({ address, a }) => {
      assert.match(address, /^172\.18\./, 'docker0 has 172.17.0.0/16');
      await reaches(peers.outside, '10.9.0.1', 8080, 'a80 10.9.0.2');
      await reaches(peers.outside, '10.9.0.1', 9090, 'd90 10.9.0.2');
      await reaches(peers.host, '127.0.0.1', 8080, 'a80 172.18.0.1');
      await reaches(a, '10.9.0.2', 80, 'o80 10.9.0.1');
      await reaches(peers.d, '10.9.0.2', 80, 'o80 10.9.0.1');
      await reaches(peers.d, '10.9.0.1', 8080, 'a80 172.18.0.1'); // Docker hides its own from whoever is not on docker0
      await dropped(peers.d, address, 80);
    });
  });

  test('firewalld: published ports pass its forward rules, its reload touches nothing of ours (CVE-2025-54388, CVE-2025-54410)', async () => {
    load(FIREWALLD(daemon.scope.bridge));
    await beside(async ({ address, a }) => {
      const works = async (): Promise<void> => {
        await reaches(peers.outside, '10.9.0.1', 8080, 'a80 10.9.0.2');
        await reaches(a, '10.9.0.2', 80, 'o80 10.9.0.1');
        await reaches(peers.host, '127.0.0.1', 8080, 'a80 172.18.0.1');
      };
      await works();
      const ours = host.exec('nft', '-s', 'list', 'table', 'inet', daemon.scope.nftTable);
      host.exec('nft', 'delete', 'table', 'inet', 'firewalld');
      outside.ip('route', 'add', address, 'via', '10.9.0.1');
      await dropped(peers.outside, address, 80); // while it is away ours alone keep the container
      outside.ip('route', 'del', address);
      load(FIREWALLD(daemon.scope.bridge));
      assert.equal(host.exec('nft', '-s', 'list', 'table', 'inet', daemon.scope.nftTable), ours);
      await works();
    });
  });
});
