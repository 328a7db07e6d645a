import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#spec/errors.ts';
import { DEFAULT_POOLS, chooseSubnet } from './choose-subnet.ts';
import { formatPrefix, parsePrefix } from './ip.ts';

const choose = (used: string[], pools = DEFAULT_POOLS): string => formatPrefix(chooseSubnet(4, used.map(parsePrefix), pools));

test('the first default pool that overlaps with nothing in use', () => {
  assert.equal(choose([]), '172.17.0.0/16');
  assert.equal(choose(['172.17.4.0/24', '172.18.0.0/15']), '172.20.0.0/16');
  assert.equal(choose(['172.16.0.0/12', '192.168.0.0/17']), '192.168.128.0/20');
  assert.throws(() => choose(['172.16.0.0/12', '192.168.0.0/16']), (error) => isKind(error, 'invalid') && /fully subnetted/.test(String(error)));
});

test('pools of both families, cut to size', () => {
  const pools = [{ base: parsePrefix('10.200.0.0/22'), size: 24 }, { base: parsePrefix('fd01::/48'), size: 64 }];
  assert.equal(choose(['10.200.0.0/23', '10.200.3.7/32'], pools), '10.200.2.0/24');
  assert.equal(formatPrefix(chooseSubnet(6, [parsePrefix('fd01::/64')], pools)), 'fd01:0:0:1::/64');
});
