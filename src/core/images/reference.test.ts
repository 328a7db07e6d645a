import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familiarTag, parseReference, parseTag } from './reference.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

test('Docker’s familiar names', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['busybox', 'docker.io library/busybox', 'busybox:latest'],
    ['library/busybox:1', 'docker.io library/busybox', 'busybox:1'],
    ['docker.io/library/busybox', 'docker.io library/busybox', 'busybox:latest'],
    ['index.docker.io/busybox', 'docker.io library/busybox', 'busybox:latest'],
    ['user/app:v2', 'docker.io user/app', 'user/app:v2'],
    ['docker.io/user/app', 'docker.io user/app', 'user/app:latest'],
    ['localhost/app', 'localhost app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000 app', 'localhost:5000/app:latest'],
    ['localhost:5000/a/b/c:x', 'localhost:5000 a/b/c', 'localhost:5000/a/b/c:x'],
    ['quay.io/a/b', 'quay.io a/b', 'quay.io/a/b:latest'],
    ['[::1]:5000/app', '[::1]:5000 app', '[::1]:5000/app:latest'],
    ['Host/app', 'Host app', 'Host/app:latest'],
    ['a__b/c--d.e_f', 'docker.io a__b/c--d.e_f', 'a__b/c--d.e_f:latest'],
    ['foo:5000', 'docker.io library/foo', 'foo:5000'],
  ];
  for (const [text, where, familiar] of cases) {
    const reference = parseReference(text);
    assert.equal(`${reference.domain} ${reference.path}`, where, text);
    assert.equal(familiarTag(reference), familiar, text);
  }
});

test('digests', () => {
  assert.equal(parseReference(`busybox@${DIGEST}`).digest, DIGEST);
  const both = parseReference(`localhost:5000/a:1@${DIGEST}`);
  assert.deepEqual([both.tag, both.digest], ['1', DIGEST]);
  assert.throws(() => parseTag(`busybox@${DIGEST}`), /digest reference/);
  for (const bad of ['sha256:0', `md5:${'0'.repeat(32)}`, '', 'sha256:']) assert.throws(() => parseReference(`busybox@${bad}`), /invalid reference format/);
});

test('what is no reference', () => {
  for (const bad of ['', ':', 'a:', 'a b', '/a', 'a//b', 'a/', '-a', 'a-', 'a..b', 'a:b:c d', `a:${'t'.repeat(129)}`, 'a@', 'https://x/y', '../a', 'a/../b', 'x:_-^', 'é', 'a\0b']) {
    assert.throws(() => parseReference(bad), /invalid reference format/, bad);
  }
  assert.throws(() => parseReference('Busybox'), /must be lowercase/);
  assert.throws(() => parseReference('f'.repeat(64)), /64-byte hexadecimal/);
  assert.throws(() => parseReference(`${'a/'.repeat(130)}b`), /255/);
});
