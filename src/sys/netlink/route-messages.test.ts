import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attributeString, attributeU32, parseAttributes, parseMessages } from './message-parser.ts';
import { MessageWriter } from './message-writer.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import * as R from './route-constants.ts';
import { writeAddress, writeCreateIpvlan, writeCreateVeth, writeDefaultRoute, writeDeviceRoute, writeDump, writeGetLink } from './route-messages.ts';
import { parseAddress, parseLink } from './route-objects.ts';

const NETLINK_ROUTE = 0;

describe('rtnetlink messages', () => {
  test('a veth pair: what is filled in later is where the labels say', () => {
    const w = new MessageWriter();
    writeCreateVeth(w, { name: 'nv1', master: { label: 'br0' }, mtu: 1400, peer: { name: 'eth0', mac: new Uint8Array([2, 0x42, 172, 17, 0, 2]), namespaceLabel: 'ns' } }, 0);
    const bytes = w.finish();
    for (const { name, offset } of w.labels) new DataView(bytes.buffer).setUint32(offset, name === 'ns' ? 77 : 5, true);
    const message = parseMessages(bytes)[0]!;
    const link = parseLink(message);
    assert.deepEqual([link.name, link.master, link.mtu, link.kind, link.up], ['nv1', 5, 1400, 'veth', true]);
    const data = parseAttributes(parseAttributes(parseAttributes(message.payload, 16).get(R.IFLA_LINKINFO)!).get(R.IFLA_INFO_DATA)!);
    const peer = parseAttributes(data.get(R.VETH_INFO_PEER)!, 16);
    assert.equal(attributeString(peer.get(R.IFLA_IFNAME)), 'eth0');
    assert.equal(attributeU32(peer.get(R.IFLA_NET_NS_FD)), 77);
  });

  test('an address on an interface known by name only', () => {
    const w = new MessageWriter();
    writeAddress(w, { link: { label: 'eth0' }, address: new Uint8Array([172, 17, 0, 2]), prefixLength: 16 });
    const bytes = w.finish();
    new DataView(bytes.buffer).setUint32(w.labels[0]!.offset, 9, true);
    assert.deepEqual({ ...parseAddress(parseMessages(bytes)[0]!), address: 0 }, { index: 9, prefixLength: 16, address: 0 });
  });

  test('bytes of the default route, as iproute2 sends them', () => {
    const w = new MessageWriter();
    writeDefaultRoute(w, new Uint8Array([172, 17, 0, 1]));
    assert.equal(Buffer.from(w.finish()).toString('hex'), '2400000018000106010000000000000002000000fe030001000000000800' + '0500ac110001');
  });

  test('bytes of an ipvlan, the data of its link as iproute2 sends it', () => {
    const w = new MessageWriter();
    writeCreateIpvlan(w, { name: 'eth0', parent: { label: 'parent' }, mtu: 1400, mode: R.IPVLAN_MODES.l3s, flags: R.IPVLAN_FLAGS.vepa, namespaceLabel: 'ns' }, 0);
    const bytes = w.finish();
    for (const { name, offset } of w.labels) new DataView(bytes.buffer).setUint32(offset, name === 'ns' ? 77 : 5, true);
    assert.equal(Buffer.from(bytes).toString('hex'), '68000000100001060100000000000000' + '00000000'.repeat(4) + '0900030065746830000000000800050005000000' + '080004007805000008001c004d000000'
      + '240012800b0001006970766c616e0000' + '140002800600010002000000' + '0600020002000000');
    const none = new MessageWriter();
    writeCreateIpvlan(none, { name: 'eth0', parent: { label: 'parent' }, mtu: 0, mode: R.IPVLAN_MODES.l2, flags: R.IPVLAN_FLAGS.bridge, namespaceLabel: 'ns' }, 0);
    assert.equal(none.finish().byteLength, bytes.byteLength - 8, 'the parent\'s MTU');
  });

  test('bytes of the default route by an interface itself', () => {
    const hex = (family: 4 | 6): string => {
      const w = new MessageWriter();
      writeDeviceRoute(w, { label: 'eth0', family });
      const bytes = w.finish();
      new DataView(bytes.buffer).setUint32(w.labels[0]!.offset, 9, true);
      return Buffer.from(bytes).toString('hex');
    };
    assert.equal(hex(4), '2400000018000106010000000000000002000000fe03fd01000000000800' + '040009000000');
    assert.equal(hex(6), '240000001800010601000000000000000a000000fe03000100000000' + '0800040009000000');
  });

  test('the kernel answers: loopback is there, nothing is not', () => {
    const socket = new NetlinkSocket(NETLINK_ROUTE);
    try {
      const dump = new MessageWriter();
      writeDump(dump, 'links');
      assert.ok(socket.dump(dump, 'links').map(parseLink).some((link) => link.name === 'lo' && link.index === 1));
      const addresses = new MessageWriter();
      writeDump(addresses, 'addresses');
      socket.dump(addresses, 'addresses').map(parseAddress);
      const missing = new MessageWriter();
      writeGetLink(missing, { name: 'no-such-link' });
      assert.throws(() => socket.request(missing, () => 'look up no-such-link'), { kind: 'not-found', errno: 19, message: /^look up no-such-link: no such device/ });
    } finally {
      socket.close();
    }
  });
});
