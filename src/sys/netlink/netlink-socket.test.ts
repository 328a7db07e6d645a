import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { NETLINK_ROUTE } from '#sys/numbers.ts';
import { NetlinkSocket } from './netlink-socket.ts';

test('an interface by its name and by its number', () => {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  try {
    assert.ok('lo' in networkInterfaces());
    assert.equal(socket.interfaceIndex('lo'), 1); // in every network namespace
    assert.equal(socket.interfaceIndex('no-such-link'), undefined);
    assert.equal(socket.seesInterface(1), true);
    assert.equal(socket.seesInterface(0x7fffffff), false);
  } finally {
    socket.close();
  }
});
