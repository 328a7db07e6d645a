import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DROP, FORWARD, answerQuery } from './answer-query.ts';
import { Client } from './client.ts';
import { nameBytes } from './message.ts';
import { NameDirectory } from './name-directory.ts';
import type { DnsConfiguration } from './port.ts';

const configuration: DnsConfiguration = {
  name: 'web', upstreams: [],
  networks: [{ networkId: 'n', networkName: 'front', addresses: Array.from({ length: 200 }, (_, i) => `10.1.0.${i + 2}`).concat('fd00::2'), names: ['web'], subnets: ['10.1.0.0/16', 'fd00::/64'] }],
};
const ROOM = 4096, BEFORE = 7, GUARD = 0xa5;
const query = (name: Uint8Array, type: number, edns: boolean): Uint8Array =>
  Uint8Array.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0, ...name, type >> 8, type & 255, 0, 1, ...(edns ? [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0] : [])]);

const names = fc.oneof(fc.constantFrom('web', 'WEB.front', 'nobody', 'x.example', '2.0.1.10.in-addr.arpa', `2.${'0.'.repeat(31)}ip6.arpa`, '999.1.in-addr.arpa', '.ip6.arpa', 'web..front'), fc.string({ maxLength: 60 }))
  .map((text) => nameBytes(text) ?? Uint8Array.of(0));
const asked = fc.tuple(names, fc.constantFrom(1, 12, 28, 255, 16, 0), fc.boolean()).map(([name, type, edns]) => query(name, type, edns));
const bent = fc.tuple(asked, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }), fc.option(fc.nat(80))).map(([bytes, changes, cut]) => {
  const copy = bytes.slice(0, cut ?? undefined);
  for (const [at, value] of changes) if (at < copy.byteLength) copy[at] = value;
  return copy;
});

test('whatever a container sends, and wherever it lies, is answered within its room, forwarded or dropped, and nothing else is touched', () => {
  const directory = new NameDirectory();
  directory.set('w', configuration);
  const client = new Client('w', configuration);
  fc.assert(fc.property(fc.oneof(asked, bent, fc.uint8Array({ maxLength: 300 })), fc.nat(30), fc.boolean(), (bytes, at, stream) => {
    const datagram = Buffer.alloc(at + bytes.byteLength + 40, 0xc0);
    datagram.set(bytes, at);
    const into = new Uint8Array(BEFORE + ROOM + 40).fill(GUARD);
    const length = answerQuery(client, directory, { bytes: datagram, at, end: at + bytes.byteLength, into, intoAt: BEFORE, stream });
    if (length === DROP || length === FORWARD) return;
    assert.ok(length >= 12 && length <= ROOM, String(length));
    assert.ok(into.subarray(0, BEFORE).every((each) => each === GUARD) && into.subarray(BEFORE + length).every((each) => each === GUARD), 'beyond the answer');
    assert.deepEqual([into[BEFORE], into[BEFORE + 1], into[BEFORE + 2]! & 0x80], [bytes[0], bytes[1], 0x80]);
  }), { numRuns: 1500 });
  assert.ok(client.counters.local > 30 && client.counters.withheld > 30 && client.counters.refused > 100, JSON.stringify(client.counters));
});
