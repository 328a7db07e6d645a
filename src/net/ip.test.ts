import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatIp, formatPrefix, inPrefix, ipBytes, ipFromBytes, parsePrefix, prefixesOverlap, tryParseIp, tryParsePrefix } from './ip.ts';

describe('addresses of both families', () => {
  test('what was formatted is what is parsed, and bytes there and back', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
      const text = formatIp({ family: 6, value });
      assert.ok(isIPv6(text), text);
      assert.deepEqual(tryParseIp(text), { family: 6, value });
      assert.deepEqual(ipFromBytes(ipBytes({ family: 6, value })), { family: 6, value });
    }));
  });

  test('any text is an address for us exactly when it is one for Node (zones aside)', () => {
    fc.assert(fc.property(fc.oneof(fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{0,20}$/)), (text) => {
      if (text.includes('%')) return;
      assert.equal(tryParseIp(text)?.family === 6, isIPv6(text), text);
    }), { numRuns: 1000 });
  });

  test('shortened as RFC 5952 says', () => {
    const of = (text: string): string => formatIp(tryParseIp(text)!);
    assert.equal(of('2001:DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
    assert.equal(of('::'), '::');
    assert.equal(of('1:0:2:3:4:5:6:7'), '1:0:2:3:4:5:6:7');
    assert.equal(of('::ffff:1.2.3.4'), '::ffff:102:304');
    assert.equal(of('1.2.3.4'), '1.2.3.4');
  });

  test('networks: host bits dropped, overlap, what is none', () => {
    assert.equal(formatPrefix(parsePrefix('fd00:1::7/64')), 'fd00:1::/64');
    assert.ok(prefixesOverlap(parsePrefix('10.0.0.0/8'), parsePrefix('10.255.0.0/16')));
    assert.ok(!prefixesOverlap(parsePrefix('::/0'), parsePrefix('10.0.0.0/8')));
    assert.ok(inPrefix(parsePrefix('fd00::/64'), tryParseIp('fd00::1')!));
    for (const text of ['', '1.2.3.4', '1.2.3.4/33', 'fd00::/129', '1.2.3.4/x', '1.2.3.4/8/8', 'fd00::/-1']) assert.equal(tryParsePrefix(text), undefined, text);
  });
});
