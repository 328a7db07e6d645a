import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, mock, test } from 'node:test';
import { createNetworkService } from '#net/create-network-service.ts';
import type { EndpointRecord, NetworkService, PortRequest } from '#net/port.ts';
import { removeNetwork } from '#net/remove-network.ts';
import { NaruError } from '#spec/errors.ts';
import type { MessageWriter } from '#sys/netlink/message-writer.ts';
import { type Describe, NetlinkSocket } from '#sys/netlink/netlink-socket.ts';
import { TestNamespace, runSteps } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';
import { sendFrame } from '#test/system/net-router-advertisement.ts';

const NAMES = { bridge: 'nrsix0', tableName: 'nrsix0' };
/** Of this table's name. */
const STAND_IN = 'fd6e:6172:75::c68c:6006';
const port = (hostPort: number, containerPort: number, more: Partial<PortRequest> = {}): PortRequest =>
  ({ containerPort, protocol: 'tcp', hostIp: '', hostPort, hostPortEnd: hostPort, ...more });

/** host: with the bridge; a: a container that publishes; b: its neighbour, an attacker. */
describe('published ports at ::1', () => {
  let host: TestNamespace, a: TestNamespace, b: TestNamespace;
  let peers: Record<'host' | 'a' | 'b', NetPeer>;
  let service: NetworkService;
  let attacker: EndpointRecord;

  before(async () => {
    [host, a, b] = ['host', 'a', 'b'].map((name) => new TestNamespace(`naru-six-${name}`)) as [TestNamespace, TestNamespace, TestNamespace];
    service = host.within(() => createNetworkService({ ...NAMES, ownTable: false, ipv6: 'fd0c::/64' }));
    await host.within(() => service.reconcile([], []));
    const ports = [
      port(8080, 80), port(8081, 81, { hostIp: '[::1]' }), port(5353, 53, { protocol: 'udp' }), port(7000, 7000), port(7001, 7001), port(9000, 8000), port(9001, 8001),
    ];
    for (const [space, list] of [[a, ports], [b, []]] as const) {
      const record = host.within(() => service.reserve({ containerId: space.name.padEnd(64, '0'), networks: [{ networkId: service.bridge.id }], ports: list }));
      runSteps(service.steps(record), host, space);
      await host.within(() => service.publish(record));
      attacker = record[0]!;
    }
    peers = { host: new NetPeer(host), a: new NetPeer(a), b: new NetPeer(b) };
    for (const number of [80, 81, 7001]) await peers.a.serve('tcp', number, `a${number}`, '::');
    await peers.a.serve('tcp', 8001, 'echo', '::');
    await peers.a.serve('udp', 53, 'a53', '::');
    await peers.host.serve('tcp', 9999, 'the host', '::1');
  });
  after(() => {
    for (const peer of Object.values(peers ?? {})) peer.close();
    service?.close();
    try {
      host.within(() => removeNetwork(NAMES));
      assert.equal(host.exec('nft', 'list', 'ruleset'), '');
      assert.doesNotMatch(host.ip('link') + host.ip('-6', 'route', 'show', 'table', 'local'), /nrsix0|ng[0-9a-f]{8}/);
    } finally {
      for (const space of [host, a, b]) space?.remove();
    }
  });

  // The module br_netfilter has answers rewritten before the kernel looks at them: it would drop ::1 then
  for (const netfilter of existsSync('/proc/sys/net/bridge') ? ['0', '1'] : ['absent']) {
    test(`tcp, udp, ranges, one address alone (bridge-nf-call-ip6tables=${netfilter}); another's firewall that forwards nothing does not matter`, async () => {
      if (netfilter !== 'absent') host.exec('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-ip6tables=${netfilter}`);
      host.exec('nft', 'add table ip6 other; add chain ip6 other FORWARD { type filter hook forward priority 0 ; policy drop ; }');
      try {

        assert.equal(await peers.host.ask('tcp', '::1', 8080), `a80 ${STAND_IN}`);
        assert.equal(await peers.host.ask('tcp', '::1', 8081), `a81 ${STAND_IN}`);
        assert.equal(await peers.host.ask('udp', '::1', 5353), `a53 ${STAND_IN}`);
        assert.equal(await peers.host.ask('tcp', '::1', 7001), `a7001 ${STAND_IN}`);
        assert.equal(await peers.host.open('::1', 9001), 'ok');
        const word = 'x'.repeat(30_000);
        assert.equal((await peers.host.say(word)).slice(0, 1000), word.slice(0, 1000));
      } finally {
        host.exec('nft', 'delete', 'table', 'ip6', 'other');
      }
    });
  }

  test('daemons side by side do not take one another\'s answers', async () => {
    const other = { bridge: 'nrsix1', tableName: 'nrsix1' };
    const c = new TestNamespace('naru-six-c');
    const beside = host.within(() => createNetworkService({ ...other, ipv6: 'fd0f::/64' }));
    const peer = new NetPeer(c);
    try {
      await host.within(() => beside.reconcile([], []));
      const record = host.within(() => beside.reserve({ containerId: 'c'.repeat(64), networks: [{ networkId: beside.bridge.id }], ports: [port(8090, 80)] }));
      runSteps(beside.steps(record), host, c);
      await host.within(() => beside.publish(record));
      await peer.serve('tcp', 80, 'c80', '::');
      assert.match(await peers.host.ask('tcp', '::1', 8090), /^c80 fd6e:6172:75::/);
      assert.equal(await peers.host.ask('tcp', '::1', 8080), `a80 ${STAND_IN}`);
    } finally {
      peer.close();
      beside.close();
      host.within(() => removeNetwork(other));
      c.remove();
    }
    assert.equal(await peers.host.ask('tcp', '::1', 8080), `a80 ${STAND_IN}`);
  });

  test('a packet to the stand-in that answers nobody ends there, even where the host would have a way for it', async () => {
    host.ip('-6', 'address', 'add', `${STAND_IN}/128`, 'dev', 'lo', 'nodad');
    try {
      await peers.host.serve('tcp', 9998, 'the host', '::');
      assert.match(await peers.b.ask('tcp', 'fd0c::1', 9998), /^the host /);
      assert.equal(await peers.b.ask('tcp', STAND_IN, 9998, { timeoutMs: 300 }), 'timeout');
    } finally {
      host.ip('-6', 'address', 'del', `${STAND_IN}/128`, 'dev', 'lo');
    }
  });

  test('a kernel without `dup`: it is said, the rest is there, ::1 is refused at once, and nothing of the loop is left', async () => {
    const other = { bridge: 'nrsix2', tableName: 'nrsix2' };
    const c = new TestNamespace('naru-six-c');
    const request = NetlinkSocket.prototype.request;
    // What such a kernel answers to a batch with the expression in it
    const lacking = mock.method(NetlinkSocket.prototype, 'request', function (this: NetlinkSocket, batch: MessageWriter, describe: Describe) {
      if (Buffer.from(batch.finish()).includes('dup\0')) throw new NaruError('not-found', `${describe(1)}: no such file or directory`, { errno: 2 });
      return request.call(this, batch, describe);
    });
    const said: string[] = [];
    let less: NetworkService | undefined;
    const peer = new NetPeer(c);
    try {
      less = host.within(() => createNetworkService({ ...other, ipv6: 'fd1f::/64', log: (text) => said.push(text) }));
      await host.within(() => less!.reconcile([], []));
      const record = host.within(() => less!.reserve({ containerId: 'd'.repeat(64), networks: [{ networkId: less!.bridge.id }], ports: [port(8095, 80)] }));
      runSteps(less.steps(record), host, c);
      await host.within(() => less!.publish(record));
      await peer.serve('tcp', 80, 'c80', '::');
      assert.match(await peers.host.ask('tcp', '127.0.0.1', 8095), /^c80 /);
      assert.match(await peers.host.ask('tcp', 'fd1f::1', 8095), /^c80 /);
      assert.equal(await peers.host.ask('tcp', '::1', 8095), 'ECONNREFUSED');
      assert.equal(said.length, 1, said.join('\n'));
      assert.match(said[0]!, /^published ports are not reached at ::1: nftables table nrsix2: .*no such file or directory$/);
      assert.ok(lacking.mock.calls.some(({ error }) => error !== undefined));
      assert.equal(host.exec('nft', 'list', 'tables').match(/ip6 nrsix2/), null);
      assert.equal(new Set(host.ip('-o', 'link').match(/ng[0-9a-f]{8}/g)).size, 1, 'the other service\'s pair alone');
    } finally {
      lacking.mock.restore();
      peer.close();
      less?.close();
      host.within(() => removeNetwork(other));
      c.remove();
    }
  });

  test('what nobody published there is as it was', async () => {
    assert.equal(await peers.host.ask('tcp', '::1', 8082), 'ECONNREFUSED');
    assert.equal(await peers.host.ask('tcp', '::1', 9999), 'the host ::1');
    assert.equal(await peers.host.ask('tcp', 'fd0c::1', 8080), 'a80 fd0c::1');
    assert.equal(await peers.host.ask('tcp', 'fd0c::1', 8081), 'ECONNREFUSED', 'published at ::1 alone');
  });

  test('a container reaches nothing by the name of ::1, nor by that of its stand-in', async () => {
    assert.notEqual(await peers.b.ask('tcp', STAND_IN, 8080, { timeoutMs: 200 }), `a80 ${attacker.ipv6}`);
    assert.notEqual(await peers.b.ask('tcp', STAND_IN, 9999, { timeoutMs: 200 }), 'the host ::1');
    host.exec('nft', 'add table ip6 seen; add chain ip6 seen asked { type filter hook postrouting priority 300 ; }');
    host.exec('nft', 'add', 'rule', 'ip6', 'seen', 'asked', 'tcp', 'dport', '{ 81, 9999 }', 'counter', 'comment', '"to the target"');
    // A frame to ::1, as from the attacker, and one as from ::1
    const bridge = host.ip('link', 'show', 'nrsix0').match(/link\/ether (\S+)/)![1]!;
    const index = Number(/^(\d+):/.exec(b.ip('-o', 'link', 'show', 'eth0'))![1]);
    const before = published();
    try {
      for (const [source, destination, number] of [[attacker.ipv6, '::1', 8081], [attacker.ipv6, '::1', 9999], ['::1', 'fd0c::1', 8080]] as const) {
        b.within(() => sendFrame(index, synFrame({ from: attacker.mac, to: bridge, source, destination, number })));
      }
      assert.match(await peers.b.ask('tcp', 'fd0c::1', 8080), /^a80 /); // the bridge has dealt with the frames before this
      assert.match(host.exec('nft', 'list', 'chain', 'ip6', 'seen', 'asked'), /counter packets 0 bytes 0/);
      assert.equal(published(), before, 'no tracked connection was made of them');
    } finally {
      host.exec('nft', 'delete', 'table', 'ip6', 'seen');
    }
  });

  /** Tracked connections that were rewritten, from or to ::1. */
  const published = (): string => host.exec('sh', '-c', 'grep -c "0000:0000:0000:0000:0000:0000:0000:0001 .*sport=4242 " /proc/net/nf_conntrack || true');
});

const groups = (address: string): string => {
  const [head = '', tail = ''] = address.split('::');
  const left = head.split(':').filter((each) => each !== ''), right = tail.split(':').filter((each) => each !== '');
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right].map((each) => each.padStart(4, '0')).join('');
};

/** The first packet of a connection, from port 4242. */
function synFrame({ from, to, source, destination, number }: { from: string; to: string; source: string; destination: string; number: number }): Uint8Array {
  const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(/[ :]/g, ''), 'hex');
  const tcp = bytes(`1092 ${number.toString(16).padStart(4, '0')} 00000001 00000000 5002 ffff 0000 0000`);
  const checked = Buffer.concat([bytes(`${groups(source)} ${groups(destination)} 00000014 00000006`), tcp]);
  let sum = 0;
  for (let at = 0; at < checked.byteLength; at += 2) sum += checked.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  tcp.writeUInt16BE(~sum & 0xffff, 16);
  return Buffer.concat([bytes(`${to} ${from} 86dd 60000000 0014 06 40 ${groups(source)} ${groups(destination)}`), tcp]);
}
