import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POOLS, chooseSubnet } from './choose-subnet.ts';
import { formatCidr, parseCidr } from './ipv4.ts';

test('the first of Docker\'s pools that overlaps with nothing', () => {
  const choose = (...used: string[]): string => formatCidr(chooseSubnet(used.map(parseCidr)));
  assert.equal(choose(), '172.17.0.0/16');
  assert.equal(choose('172.17.4.0/24', '172.18.0.0/15'), '172.20.0.0/16');
  assert.equal(choose('172.16.0.0/12'), '192.168.0.0/20');
  assert.throws(() => choose('172.16.0.0/12', '192.168.0.0/16'), { kind: 'conflict', message: /fully subnetted/ });
  assert.equal(DEFAULT_POOLS.length, 31);
});
