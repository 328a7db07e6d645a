import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attributeString, attributeU32, parseAttributes, parseMessages } from './message-parser.ts';
import { MessageWriter } from './message-writer.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import * as R from './route-constants.ts';
import { writeAddress, writeCreateVeth, writeDefaultRoute, writeDump, writeGetLink } from './route-messages.ts';
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
