import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanPath, splitPath } from './clean-path.ts';

test('a cleaned path never climbs, and agrees with path.normalize', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom('a', 'b', '..', '.', '', 'c d', '...'), { maxLength: 10 }), fc.boolean(), (parts, absolute) => {
    const name = (absolute ? '/' : '') + parts.join('/');
    const normal = posix.normalize(name).replace(/^\/+|\/+$/g, '').replace(/^\.$/, '');
    const climbs = !name.startsWith('/') && (normal === '..' || normal.startsWith('../'));
    if (climbs) assert.throws(() => cleanPath(name), /outside/);
    else assert.equal(cleanPath(name), normal);
  }));
});

test('splitPath', () => {
  assert.deepEqual(splitPath('a/b/c'), { parent: 'a/b', base: 'c' });
  assert.deepEqual(splitPath('a'), { parent: '', base: 'a' });
});
