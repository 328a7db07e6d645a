import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Digest } from '#spec/ids.ts';
import { chainIds, digestOf, digester, isDigest, parseDigest } from './digest.ts';

test('only sha256 and sha512 in lower-case hex', () => {
  const hex = 'ab'.repeat(32);
  assert.equal(parseDigest(`sha256:${hex}`), `sha256:${hex}`);
  assert.ok(isDigest(`sha512:${hex}${hex}`));
  for (const bad of [hex, `sha256:${hex}0`, `sha256:${hex.toUpperCase()}`, `sha512:${hex}`, `md5:${hex}`, 'sha256:../x', '', null, 7, {}]) {
    assert.equal(isDigest(bad), false);
    assert.throws(() => parseDigest(bad), /invalid digest/);
  }
});

test('the chain of the image specification', () => {
  const a = digestOf('a');
  const b = digestOf('b');
  assert.deepEqual(chainIds([]), []);
  assert.deepEqual(chainIds([a, b]) as unknown, [a, digestOf(`${a} ${b}`)]);
  assert.notDeepEqual(chainIds([b, a]), chainIds([a, b]));
});

test('a digest while bytes pass', () => {
  const running = digester();
  for (const part of ['he', '', 'llo']) running.update(Buffer.from(part));
  assert.equal(running.digest(), digestOf('hello') satisfies Digest);
});
