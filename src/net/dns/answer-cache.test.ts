import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { AnswerCache } from './answer-cache.ts';
import { Client } from './client.ts';
import { TYPE, endOfName, lifetimeOf, nameBytes } from './message.ts';

const asked = Uint8Array.from([0, 7, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, ...nameBytes('x.test')!, 0, 1, 0, 1]);
const nameEnd = asked.byteLength - 4;
const record = fc.tuple(fc.constantFrom(TYPE.a, TYPE.opt, TYPE.txt, TYPE.soa, TYPE.cname), fc.nat(0xffffffff), fc.uint8Array({ maxLength: 30 })).map(([type, ttl, data]) =>
  [0xc0, 12, type >> 8, type & 255, 0, 1, ttl >>> 24, (ttl >> 16) & 255, (ttl >> 8) & 255, ttl & 255, 0, data.byteLength, ...data]);
const sections = fc.tuple(fc.array(record, { maxLength: 3 }), fc.array(record, { maxLength: 2 }), fc.array(record, { maxLength: 2 }));

const times = (message: Uint8Array): number[] => {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const found: number[] = [];
  let count = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  for (let at = nameEnd + 4; count > 0; count--) {
    const fixed = endOfName(message, at, message.byteLength);
    if (view.getUint16(fixed) !== TYPE.opt) found.push(view.getUint32(fixed + 4));
    at = fixed + 10 + view.getUint16(fixed + 8);
  }
  return found;
};

test('whatever answer is whole comes out of the cache as it went in, but for its times, which run down; then it is gone', () => {
  let now = 1000;
  const clock = mock.method(performance, 'now', () => now);
  const client = new Client('a', { name: 'a', networks: [], upstreams: [] });
  let kept = 0;
  try {
    fc.assert(fc.property(sections, fc.nat(29_000), fc.uint8Array({ maxLength: 6 }), ([answers, authority, additional], later, noise) => {
      const message = Uint8Array.from([...asked, ...[answers, authority, additional].flat(2), ...noise]);
      [message[7], message[9], message[11]] = [answers.length, authority.length, additional.length];
      const cache = new AnswerCache();
      const seconds = lifetimeOf(message, nameEnd, cache.longest);
      if (seconds === undefined) return;
      cache.put(client, 'x', { message, nameEnd, seconds });
      const before = times(message);
      now += later;
      const got = cache.get(client, 'x');
      assert.equal(got === undefined, later >= seconds * 1000);
      if (got === undefined) return;
      kept++;
      assert.deepEqual(times(got), before.map((ttl) => Math.max(0, ttl - Math.floor(later / 1000))));
      assert.equal(got.byteLength, message.byteLength);
      now += 31_000;
      assert.equal(cache.get(client, 'x'), undefined);
    }), { numRuns: 1000 });
  } finally {
    clock.mock.restore();
  }
  assert.ok(kept > 20, `${kept} were kept`);
});
