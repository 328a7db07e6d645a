import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NaruError } from '#spec/errors.ts';
import { type PortHold, PortReservations } from './port-reservations.ts';

const target = { address: '172.17.0.2', port: 80 };
const wish = (hostIp: string, port: number, owner = 'web'): Parameters<PortReservations['take']>[0] => ({ protocol: 'tcp', hostIp, first: port, last: port, target, owner });

test('a number is held for each address by itself; giving one back gives back no other', () => {
  const [ports, stranger] = [new PortReservations(), new PortReservations()];
  const refused = (hostIp: string, port: number): string => {
    try {
      ports.give(ports.take(wish(hostIp, port)));
      return '';
    } catch (error) {
      assert.ok(error instanceof NaruError && error.kind === 'conflict');
      return `${error.message}; ${error.hint}`;
    }
  };
  try {
    const first = ports.take(wish('127.0.0.1', 0));
    const { port } = first;
    const others: PortHold[] = ['127.0.0.2', '127.0.0.3', '::1'].map((hostIp) => ports.take(wish(hostIp, port, 'other')));
    assert.equal(refused('127.0.0.1', port), `Bind for 127.0.0.1:${port} failed: port is already allocated; container web publishes it`);
    assert.equal(refused('0.0.0.0', port), `Bind for 0.0.0.0:${port} failed: port is already allocated; container web publishes it`);
    assert.equal(refused('::', port), `Bind for :::${port} failed: port is already allocated; container other publishes it`);

    ports.give(first);
    const next = ports.take(wish('127.0.0.1', 0)); // under the same descriptor
    ports.give(first);
    assert.throws(() => stranger.take(wish('127.0.0.1', next.port)), /address already in use/);
    assert.equal(refused('127.0.0.1', port), '');
    assert.equal(refused('127.0.0.2', port), `Bind for 127.0.0.2:${port} failed: port is already allocated; container other publishes it`);
    for (const hold of others.slice(0, 2)) ports.give(hold);
    assert.equal(refused('0.0.0.0', port), '');
    assert.match(refused('::1', port), /already allocated/);
    ports.give(others[2]!);
    assert.equal(refused('::', port), '');
    assert.equal(refused('0.0.0.0', port), '');
  } finally {
    ports.closeAll();
    stranger.closeAll();
  }
});

test('a port of another program is named with the container\'s address', () => {
  const [mine, theirs] = [new PortReservations(), new PortReservations()];
  try {
    const { port } = theirs.take(wish('127.0.0.1', 0));
    const text = (address: string): RegExp => new RegExp(`^failed to bind host port for 127\\.0\\.0\\.1:${port}:${address}:80/tcp: address already in use$`);
    assert.throws(() => mine.take(wish('127.0.0.1', port)), { message: text('172\\.17\\.0\\.2') });
    assert.throws(() => mine.take({ ...wish('127.0.0.1', port), target: { address: 'fd00::2', port: 80 } }), { message: text('\\[fd00::2\\]') });
  } finally {
    mine.closeAll();
    theirs.closeAll();
  }
});
