import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type TestNamespace } from '#test/system/net-namespaces.ts';
import { sendFrame, sendRouterAdvertisement } from '#test/system/net-router-advertisement.ts';
import { OwnHost } from '../support/own-host.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/[ :]/g, ''), 'hex'));
const ipv4 = (address: string): string => address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0')).join('');

interface Endpoint { readonly space: TestNamespace; readonly mac: string; readonly address: string; readonly ipv6: string }
/** A network with somebody evil and somebody good on it. */
interface Lan { readonly bridge: string; readonly gateway: string; readonly gateway6: string; readonly evil: Endpoint; readonly good: Endpoint; readonly index: number; readonly name: string }

/** Attack 45: a container with a raw socket (Docker's default) claims to be its neighbour, the gateway, a router, a DHCP server. By the Docker CLI, on a network as
 *  it is, and on one without the guard, where the same attacks succeed. */
describe('what a container says on the bridge', () => {
  let own: OwnHost;
  const lans: Record<'guarded' | 'open', Lan> = {} as never;

  before(async () => {
    own = await OwnHost.start('link');
    for (const [name, number, flags] of [['guarded', 1, []], ['open', 2, ['-o', 'naru.guard=false']]] as const) {
      const id = own.daemon.ok('network', 'create', '--ipv6', '--subnet', `10.45.${number}.0/24`, '--subnet', `fd45:${number}::/64`, ...flags, name);
      const join = (who: string): Endpoint => {
        own.sleeper(`${who}-${name}`, '--network', name);
        const space = own.space(`${who}-${name}`);
        space.exec('sysctl', '-q', '-w', 'net.ipv4.neigh.eth0.locktime=0');
        const [mac, address, ipv6] = own.inspect(`${who}-${name}`, `{{with index .NetworkSettings.Networks "${name}"}}{{.MacAddress}} {{.IPAddress}} {{.GlobalIPv6Address}}{{end}}`).split(' ') as [string, string, string];
        return { space, mac, address, ipv6 };
      };
      const bridge = `br-${id.slice(0, 12)}`;
      own.host.exec('sysctl', '-q', '-w', `net.ipv4.neigh.${bridge}.locktime=0`);
      const [evil, good] = [join('evil'), join('good')];
      lans[name] = { bridge, gateway: `10.45.${number}.1`, gateway6: `fd45:${number}::1`, evil, good, index: Number(/^(\d+):/.exec(evil.space.ip('-o', 'link', 'show', 'eth0'))![1]), name };
      await own.in(`good-${name}`).serve('udp', 68, 'client');
      await own.in(`good-${name}`).serve('udp', 546, 'client6', '::');
    }
  });
  after(async () => {
    try {
      await own.clear();
    } finally {
      await own.end();
    }
  });

  /** `address` is at `mac`, it says to everybody. */
  const claim = ({ evil, good, index }: Lan, address: string): void => {
    const arp = hex(`ffffffffffff ${evil.mac} 0806 0001 0800 06 04 0002 ${evil.mac} ${ipv4(address)} ${good.mac} ${ipv4(good.address)}`);
    for (let i = 0; i < 3; i++) evil.space.within(() => sendFrame(index, arp));
  };
  const neighbour = (space: TestNamespace, address: string): string => /lladdr (\S+)/.exec(space.ip('neighbour', 'show', address))?.[1] ?? '';
  /** ICMPv6 messages that the good one was told. */
  const told = ({ good }: Lan, kind: 'RouterAdvertisements' | 'NeighborAdvertisements' | 'Redirects'): number => Number(new RegExp(`Icmp6In${kind}\\s+(\\d+)`).exec(good.space.exec('cat', '/proc/net/snmp6'))![1]);
  /** All attacks; what came of them. */
  const attack = async (lan: Lan): Promise<{ gateway: string; good: string; routers: number; redirects: number; dhcp: string; dhcp6: string }> => {
    const { evil, good, index, gateway, name } = lan;
    for (const space of [own.host, good.space, evil.space]) space.ip('neighbour', 'flush', 'all');
    good.space.exec('ping', '-c', '1', '-W', '2', gateway);
    evil.space.exec('ping', '-c', '1', '-W', '2', good.address);
    await pause(10);
    claim(lan, gateway);
    claim(lan, good.address);
    const routers = told(lan, 'RouterAdvertisements'), redirects = told(lan, 'Redirects');
    evil.space.within(() => sendRouterAdvertisement(index));
    // "To get to 2001:db8::1 there is somebody better than I"
    evil.space.within(() => sendFrame(index, toAllNodes(evil.mac, evil.ipv6, `89 00 0000 00000000 ${groups(evil.ipv6)} ${groups('2001:db8::1')}`)));
    const from = own.in(`evil-${name}`);
    const dhcp6 = await from.ask('udp', good.ipv6, 546, { localPort: 547, timeoutMs: 300 });
    const dhcp = await from.ask('udp', good.address, 68, { localPort: 67, timeoutMs: 300 });
    await pause(50);
    return {
      gateway: neighbour(good.space, gateway), good: neighbour(own.host, good.address),
      routers: told(lan, 'RouterAdvertisements') - routers, redirects: told(lan, 'Redirects') - redirects, dhcp, dhcp6,
    };
  };

  test('attack 45: ARP in another\'s name, router advertisements, redirects and answers of DHCP and DHCPv6 reach nobody; without the guard they would (CVE-2020-13401)', async () => {
    const { guarded, open } = lans;
    const mac = /ether (\S+)/.exec(own.host.ip('link', 'show', guarded.bridge))![1]!;
    assert.deepEqual(await attack(guarded), { gateway: mac, good: guarded.good.mac, routers: 0, redirects: 0, dhcp: 'timeout', dhcp6: 'timeout' });
    assert.deepEqual(await attack(open), { gateway: open.evil.mac, good: open.evil.mac, routers: 1, redirects: 1, dhcp: `client ${open.evil.address}`, dhcp6: `client6 ${open.evil.ipv6}` });
    // A daemon that comes back guards as before
    await own.daemon.restart('SIGKILL');
    assert.deepEqual(await attack(guarded), { gateway: mac, good: guarded.good.mac, routers: 0, redirects: 0, dhcp: 'timeout', dhcp6: 'timeout' });
  });

  test('attack 45: a neighbour advertisement for another\'s IPv6 address is dropped, for one\'s own it is not', async () => {
    const { guarded } = lans, { evil, good, index } = guarded;
    const spoof = (target: string): void => evil.space.within(() => sendFrame(index, neighbourAdvertisement(evil.mac, evil.ipv6, target)));
    const before = told(guarded, 'NeighborAdvertisements');
    spoof(guarded.gateway6);
    spoof(good.ipv6);
    await pause(50);
    assert.equal(told(guarded, 'NeighborAdvertisements'), before);
    spoof(evil.ipv6);
    await own.until('its own is heard', () => told(guarded, 'NeighborAdvertisements') === before + 1);
  });

  test('addresses that nobody was given are a container\'s own affair, and its own are', () => {
    const { evil, good } = lans.guarded;
    evil.space.ip('address', 'add', '10.45.1.99/24', 'dev', 'eth0');
    assert.match(good.space.exec('ping', '-c', '1', '-W', '2', '10.45.1.99'), /1 received/);
    good.space.ip('neighbour', 'flush', 'all');
    assert.match(good.space.exec('ping', '-c', '1', '-W', '2', evil.address), /1 received/);
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
