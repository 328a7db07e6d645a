import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuWeight, ioWeight } from './limits-v2.ts';

test('shares become weights: ends and default fit, and order is kept', () => {
  assert.deepEqual([0, 1, 2, 1024, 262_144, 1_000_000].map(cpuWeight), [1, 1, 1, 100, 10_000, 10_000]);
  for (let shares = 3; shares < 262_144; shares += 97) assert.ok(cpuWeight(shares) <= cpuWeight(shares + 97));
});

test('blkio weights', () => assert.deepEqual([10, 500, 1000].map(ioWeight), [1, 4950, 10_000]));
