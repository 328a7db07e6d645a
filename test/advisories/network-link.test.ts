import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createNetworkService } from '#net/create-network-service.ts';
import type { EndpointRecord, NetworkService } from '#net/port.ts';
import { removeNetwork } from '#net/remove-network.ts';
import { TestNamespace, runSteps } from '#test/system/net-namespaces.ts';
import { NetPeer } from '#test/system/net-peer.ts';
import { sendFrame, sendRouterAdvertisement } from '#test/system/net-router-advertisement.ts';

const NAMES = { bridge: 'nrlink0', tableName: 'nrlink0' };
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/[ :]/g, ''), 'hex'));
const ipv4 = (address: string): string => address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0')).join('');

/** Attack 45: a container with a raw socket (Docker's default) claims to be its neighbour, the gateway, a router, a DHCP server. */
describe('what a container says on the bridge', () => {
  let host: TestNamespace, attacker: TestNamespace, victim: TestNamespace;
  let service: NetworkService;
  let evil: EndpointRecord, good: EndpointRecord;
  let peers: { attacker: NetPeer; victim: NetPeer };
  let index: number;

  before(async () => {
    [host, attacker, victim] = ['host', 'attacker', 'victim'].map((name) => new TestNamespace(`naru-link-${name}`)) as [TestNamespace, TestNamespace, TestNamespace];
    service = host.within(() => createNetworkService({ ...NAMES, ownTable: false, ipv6: 'fd0b::/64' }));
    await host.within(() => service.reconcile([], []));
    const join = (space: TestNamespace, id: string): EndpointRecord => {
      const [record] = host.within(() => service.reserve({ containerId: id.repeat(64), networks: [{ networkId: service.bridge.id }], ports: [] }));
      runSteps(service.steps([record!]), host, space);
      space.exec('sysctl', '-q', '-w', 'net.ipv4.neigh.eth0.locktime=0', 'net.ipv6.conf.eth0.accept_ra=0');
      return record!;
    };
    [evil, good] = [join(attacker, '1'), join(victim, '2')];
    host.exec('sysctl', '-q', '-w', 'net.ipv4.neigh.nrlink0.locktime=0');
    index = Number(/^(\d+):/.exec(attacker.ip('-o', 'link', 'show', 'eth0'))![1]);
    peers = { attacker: new NetPeer(attacker), victim: new NetPeer(victim) };
    await peers.victim.serve('udp', 68, 'client');
    await peers.victim.serve('udp', 546, 'client6', '::');
  });
  after(() => {
    for (const peer of Object.values(peers ?? {})) peer.close();
    service?.close();
    host.within(() => removeNetwork(NAMES));
    assert.equal(host.exec('nft', 'list', 'ruleset'), '');
    for (const space of [host, attacker, victim]) space?.remove();
  });

  /** `address` is at `mac`, it says to everybody. */
  const claim = (address: string, mac = evil.mac): void => {
    const arp = hex(`ffffffffffff ${mac} 0806 0001 0800 06 04 0002 ${mac} ${ipv4(address)} ${good.mac} ${ipv4(good.address)}`);
    for (let i = 0; i < 3; i++) attacker.within(() => sendFrame(index, arp));
  };
  const neighbour = (space: TestNamespace, address: string): string => /lladdr (\S+)/.exec(space.ip('neighbour', 'show', address))?.[1] ?? '';
  /** ICMPv6 messages that the victim was told. */
  const told = (kind: 'RouterAdvertisements' | 'NeighborAdvertisements' | 'Redirects'): number => Number(new RegExp(`Icmp6In${kind}\\s+(\\d+)`).exec(victim.exec('cat', '/proc/net/snmp6'))![1]);
  const meet = async (): Promise<void> => {
    for (const space of [host, victim, attacker]) space.ip('neighbour', 'flush', 'all');
    victim.exec('ping', '-c', '1', '-W', '2', evil.gateway);
    attacker.exec('ping', '-c', '1', '-W', '2', good.address);
    await pause(10);
  };
  /** All attacks; what came of them. */
  const attack = async (): Promise<{ gateway: string; victim: string; routers: number; redirects: number; dhcp: string; dhcp6: string }> => {
    await meet();
    claim(evil.gateway);
    claim(good.address);
    const routers = told('RouterAdvertisements'), redirects = told('Redirects');
    attacker.within(() => sendRouterAdvertisement(index));
    // "To get to 2001:db8::1 there is somebody better than I"
    attacker.within(() => sendFrame(index, toAllNodes(evil.mac, evil.ipv6, `89 00 0000 00000000 ${groups(evil.ipv6)} ${groups('2001:db8::1')}`)));
    const dhcp6 = await peers.attacker.ask('udp', good.ipv6, 546, { localPort: 547, timeoutMs: 300 });
    const dhcp = await peers.attacker.ask('udp', good.address, 68, { localPort: 67, timeoutMs: 300 });
    await pause(50);
    return { gateway: neighbour(victim, evil.gateway), victim: neighbour(host, good.address), routers: told('RouterAdvertisements') - routers, redirects: told('Redirects') - redirects, dhcp, dhcp6 };
  };

  test('ARP in another\'s name, router advertisements, redirects and answers of DHCP and DHCPv6 reach nobody; without the guard they would', async () => {
    const gateway = /ether (\S+)/.exec(host.ip('link', 'show', 'nrlink0'))![1]!;
    assert.deepEqual(await attack(), { gateway, victim: good.mac, routers: 0, redirects: 0, dhcp: 'timeout', dhcp6: 'timeout' });
    host.exec('nft', 'delete', 'table', 'bridge', 'nrlink0');
    assert.deepEqual(await attack(), { gateway: evil.mac, victim: evil.mac, routers: 1, redirects: 1, dhcp: `client ${evil.address}`, dhcp6: `client6 ${evil.ipv6}` });
    await host.within(() => service.reconcile([], [[evil], [good]]));
    assert.deepEqual(await attack(), { gateway, victim: good.mac, routers: 0, redirects: 0, dhcp: 'timeout', dhcp6: 'timeout' });
  });

  test('a neighbour advertisement for another\'s IPv6 address is dropped, for one\'s own it is not', async () => {
    const spoof = (target: string): void => attacker.within(() => sendFrame(index, neighbourAdvertisement(evil.mac, evil.ipv6, target)));
    const before = told('NeighborAdvertisements');
    spoof(evil.ipv6Gateway);
    spoof(good.ipv6);
    await pause(50);
    assert.equal(told('NeighborAdvertisements'), before);
    spoof(evil.ipv6);
    await pause(50);
    assert.equal(told('NeighborAdvertisements'), before + 1);
  });

  test('addresses that nobody was given are a container\'s own affair, and its own are', () => {
    attacker.ip('address', 'add', '172.17.9.9/16', 'dev', 'eth0');
    assert.match(victim.exec('ping', '-c', '1', '-W', '2', '172.17.9.9'), /1 received/);
    victim.ip('neighbour', 'flush', 'all');
    assert.match(victim.exec('ping', '-c', '1', '-W', '2', evil.address), /1 received/);
  });
});

const groups = (address: string): string => {
  const [head = '', tail = ''] = address.split('::');
  const left = head.split(':').filter((each) => each !== ''), right = tail.split(':').filter((each) => each !== '');
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right].map((each) => each.padStart(4, '0')).join('');
};

/** To all nodes, overriding what they know. */
const neighbourAdvertisement = (mac: string, source: string, target: string): Uint8Array => toAllNodes(mac, source, `88 00 0000 20000000 ${groups(target)} 02 01 ${mac}`);

/** An ICMPv6 message, written with a checksum of zeros. */
function toAllNodes(mac: string, source: string, message: string): Uint8Array {
  const all = 'ff020000000000000000000000000001';
  const body = hex(message), length = body.byteLength.toString(16).padStart(4, '0');
  const checked = Buffer.concat([hex(`${groups(source)} ${all} 0000${length} 0000003a`), body]);
  let sum = 0;
  for (let at = 0; at < checked.byteLength; at += 2) sum += checked.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  new DataView(body.buffer, body.byteOffset).setUint16(2, ~sum & 0xffff);
  return Buffer.concat([hex(`333300000001 ${mac} 86dd 60000000 ${length} 3a ff ${groups(source)} ${all}`), body]);
}
