import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_ACCOUNT_FILE } from './account-files.ts';
import { resolveGroups, resolveUser } from './resolve-user.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const files = {
  passwd: bytes('root:x:0:0:root:/root:/bin/sh\n# comment\nbad:x:zero:0::/:/bin/sh\nwww:x:33:34:web:/var/www:/bin/false\n1000:x:7:7::/seven:\nshort:x:5'),
  group: bytes('root:x:0:\nbin:x:1:root,www\nwww:x:34:\naudio:x:29:www,root\n'),
};

test('names, numbers, groups', () => {
  assert.deepEqual(resolveUser('', files), { uid: 0, gid: 0, additionalGids: [0, 1, 29], home: '/root' });
  assert.deepEqual(resolveUser('www', files), { uid: 33, gid: 34, additionalGids: [34, 1, 29], home: '/var/www' });
  assert.deepEqual(resolveUser('33', files), resolveUser('www', files));
  assert.deepEqual(resolveUser('www:audio', files), { uid: 33, gid: 29, additionalGids: [29], home: '/var/www' });
  assert.deepEqual(resolveUser('4242:4343', files), { uid: 4242, gid: 4343, additionalGids: [4343], home: '/' });
  assert.deepEqual(resolveUser(':bin', files), { uid: 0, gid: 1, additionalGids: [1], home: '/root' });
  assert.deepEqual(resolveUser('12', { passwd: undefined, group: undefined }), { uid: 12, gid: 0, additionalGids: [0], home: '/' });
  assert.deepEqual(resolveGroups(['audio', '9'], files), [29, 9]);
});

test('a number is never taken for a name, a broken line never for root', () => {
  assert.equal(resolveUser('1000', files).uid, 1000);
  assert.throws(() => resolveUser('bad', files), /unable to find user bad: no matching entries in passwd file/);
  assert.throws(() => resolveUser('short', files), /unable to find user short/);
});

test('unknown names and ids out of range', () => {
  assert.throws(() => resolveUser('nobody', files), /^NaruError: unable to find user nobody: no matching entries in passwd file$/);
  assert.throws(() => resolveUser('www:nogroup', files), /unable to find group nogroup: no matching entries in group file/);
  for (const spec of ['2147483648', '4294967296', '99999999999999999999', '0:4294967295', '-1', '0:-1']) {
    assert.throws(() => resolveUser(spec, files), /uids and gids must be in range 0-2147483647/, spec);
  }
});

test('files that an image made huge', () => {
  const huge = new Uint8Array(MAX_ACCOUNT_FILE + 1);
  assert.throws(() => resolveUser('x', { passwd: huge, group: undefined }), /more than 8388608/);
  assert.throws(() => resolveUser('x', { passwd: new Uint8Array(70_000).fill(97), group: undefined }), /has a line of 70000 bytes/);
});
