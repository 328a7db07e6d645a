import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AddressPool } from './address-pool.ts';
import { formatIpv4, parseCidr, parseIpv4 } from './ipv4.ts';

describe('the address pool', () => {
  test('lowest first; a returned one rests two seconds', () => {
    const pool = new AddressPool(parseCidr('172.17.0.0/16'));
    const take = (now: number): string => formatIpv4(pool.take(now));
    assert.deepEqual([take(0), take(0), take(0)], ['172.17.0.1', '172.17.0.2', '172.17.0.3']);
    pool.give(parseIpv4('172.17.0.2'), 0);
    pool.give(parseIpv4('172.17.0.2'), 1000);
    assert.equal(take(1999), '172.17.0.4');
    assert.equal(take(2000), '172.17.0.2');
    pool.cancel(parseIpv4('172.17.0.3'));
    assert.equal(take(2000), '172.17.0.3');
  });

  test('when all are in use, one that rests is taken early; then it is a conflict', () => {
    const pool = new AddressPool(parseCidr('10.0.0.0/29'));
    for (let i = 1; i <= 6; i++) assert.equal(formatIpv4(pool.take(0)), `10.0.0.${i}`);
    pool.give(parseIpv4('10.0.0.4'), 0);
    assert.equal(formatIpv4(pool.take(1)), '10.0.0.4');
    assert.throws(() => pool.take(1), { kind: 'conflict', message: /no available IPv4 addresses.*10\.0\.0\.0\/29/ });
  });

  test('a fixed address, even a resting one, but not one in use, nor the network\'s own', () => {
    const pool = new AddressPool(parseCidr('10.0.0.0/24'));
    pool.takeThis(parseIpv4('10.0.0.9'));
    assert.throws(() => pool.takeThis(parseIpv4('10.0.0.9')), /Address already in use/);
    pool.give(parseIpv4('10.0.0.9'), 0);
    pool.takeThis(parseIpv4('10.0.0.9'));
    for (const address of ['10.0.0.0', '10.0.0.255', '10.0.1.1']) assert.throws(() => pool.takeThis(parseIpv4(address)));
  });

  test('no address is given out twice, whatever the order', () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.constant('take' as const), fc.nat(20)), { maxLength: 200 }), (steps) => {
      const pool = new AddressPool(parseCidr('10.0.0.0/26'));
      const held: number[] = [];
      steps.forEach((step, now) => {
        if (step === 'take') {
          if (held.length === 62) return;
          const address = pool.take(now * 300);
          assert.ok(!held.includes(address));
          held.push(address);
        } else if (held.length > 0) pool.give(held.splice(step % held.length, 1)[0]!, now * 300);
      });
    }), { numRuns: 100 });
  });
});
