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
  const advertisements = (): number => Number(/Icmp6InRouterAdvertisements\s+(\d+)/.exec(victim.exec('cat', '/proc/net/snmp6'))![1]);
  const meet = async (): Promise<void> => {
    for (const space of [host, victim, attacker]) space.ip('neighbour', 'flush', 'all');
    victim.exec('ping', '-c', '1', '-W', '2', evil.gateway);
    attacker.exec('ping', '-c', '1', '-W', '2', good.address);
    await pause(10);
  };
  /** All attacks; what came of them. */
  const attack = async (): Promise<{ gateway: string; victim: string; routers: number; dhcp: string }> => {
    await meet();
    claim(evil.gateway);
    claim(good.address);
    const before = advertisements();
    attacker.within(() => sendRouterAdvertisement(index));
    const dhcp = await peers.attacker.ask('udp', good.address, 68, { localPort: 67, timeoutMs: 300 });
    await pause(50);
    return { gateway: neighbour(victim, evil.gateway), victim: neighbour(host, good.address), routers: advertisements() - before, dhcp };
  };

  test('ARP in another\'s name, router advertisements and DHCP answers reach nobody; without the guard they would', async () => {
    const gateway = /ether (\S+)/.exec(host.ip('link', 'show', 'nrlink0'))![1]!;
    assert.deepEqual(await attack(), { gateway, victim: good.mac, routers: 0, dhcp: 'timeout' });
    host.exec('nft', 'delete', 'table', 'bridge', 'nrlink0');
    assert.deepEqual(await attack(), { gateway: evil.mac, victim: evil.mac, routers: 1, dhcp: `client ${evil.address}` });
    await host.within(() => service.reconcile([], [[evil], [good]]));
    assert.deepEqual(await attack(), { gateway, victim: good.mac, routers: 0, dhcp: 'timeout' });
  });

  test('a neighbour advertisement for another\'s IPv6 address is dropped, for one\'s own it is not', async () => {
    const spoof = (target: string): void => attacker.within(() => sendFrame(index, neighbourAdvertisement(evil.mac, evil.ipv6, target)));
    const told = (): number => Number(/Icmp6InNeighborAdvertisements\s+(\d+)/.exec(victim.exec('cat', '/proc/net/snmp6'))![1]);
    const before = told();
    spoof(evil.ipv6Gateway);
    spoof(good.ipv6);
    await pause(50);
    assert.equal(told(), before);
    spoof(evil.ipv6);
    await pause(50);
    assert.equal(told(), before + 1);
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
function neighbourAdvertisement(mac: string, source: string, target: string): Uint8Array {
  const all = 'ff020000000000000000000000000001';
  const body = `88 00 0000 20000000 ${groups(target)} 02 01 ${mac}`;
  const checked = Buffer.from(hex(`${groups(source)} ${all} 00000020 0000003a ${body}`));
  let sum = 0;
  for (let at = 0; at < checked.byteLength; at += 2) sum += checked.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = (~sum & 0xffff).toString(16).padStart(4, '0');
  return hex(`333300000001 ${mac} 86dd 60000000 0020 3a ff ${groups(source)} ${all} ${body.replace('88 00 0000', `88 00 ${checksum}`)}`);
}
