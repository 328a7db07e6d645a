import assert from 'node:assert/strict';
import { test } from 'node:test';
import { interfaceCounters, parseNetDev } from './interface-counters.ts';

test('counters of /proc/net/dev, without loopback', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0
  eth0: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18
`;
  assert.deepEqual(parseNetDev(text), { eth0: { rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4, txBytes: 11, txPackets: 12, txErrors: 13, txDropped: 14 } });
});

test('a process that is gone is not found', async () => {
  await assert.rejects(interfaceCounters(2 ** 22 + 1), { kind: 'not-found' });
});
