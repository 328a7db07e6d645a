import assert from 'node:assert/strict';
import { normalize } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isRepositoryName, isTag, parseManifestReference } from './repository-name.ts';

test('names', () => {
  for (const name of ['a', 'library/debian', 'a.b/c_d/e__f/g-h', 'a--b', '0/1', 'a'.repeat(255)]) assert.ok(isRepositoryName(name), name);
  for (const name of ['', '/', 'a/', '/a', 'a//b', '.', '..', 'a/../b', 'A', 'a..b', 'a___b', '-a', 'a-', 'a b', 'ä', 'a\n', 'a%2fb', 'a:b', 'a@b', 'a'.repeat(256)]) assert.ok(!isRepositoryName(name), JSON.stringify(name));
});
test('no name leads anywhere but below', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z./_-]{1,20}$/)), (text) => { if (isRepositoryName(text)) assert.equal(normalize(text), text); }));
});
test('references', () => {
  assert.ok(isTag('_A.b-1') && !isTag('.a') && !isTag('') && !isTag('a'.repeat(129)) && !isTag('a/b') && !isTag('a\n'));
  assert.deepEqual(parseManifestReference('v1'), { tag: 'v1' });
  assert.deepEqual(parseManifestReference(`sha256:${'0'.repeat(64)}`), { digest: `sha256:${'0'.repeat(64)}` });
  assert.throws(() => parseManifestReference('sha256:x'), /invalid digest/);
  assert.throws(() => parseManifestReference('..'), /invalid tag/);
});
