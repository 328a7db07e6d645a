import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { extractTree } from '#cli/tar/extract-tree.ts';
import { encodeHeader, padded, type TarHeader } from '#cli/tar/tar-header.ts';

/**
 * `cp` from a container unpacks an archive that the container's owner chose, with the rights of whoever runs the client: the
 * class of CVE-2018-15664, CVE-2019-14271, CVE-2022-24769 and every unpacker's "zip slip". Nothing outside of the destination may
 * be written, removed, or have its mode changed.
 */
let directory = '';
let target = '';
let victim = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'naru-hostile-'));
  target = join(directory, 'target');
  victim = join(directory, 'victim');
  mkdirSync(target);
  mkdirSync(victim, { mode: 0o700 });
  writeFileSync(join(victim, 'secret'), 'untouched', { mode: 0o600 });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const entry = (fields: Partial<TarHeader> & { path: string }, body = ''): Uint8Array => {
  const header: TarHeader = { type: 'file', mode: 0o777, uid: 0, gid: 0, size: body.length, mtime: 0, link: '', deviceMajor: 0, deviceMinor: 0, ...fields };
  return new Uint8Array(Buffer.concat([encodeHeader(header), Buffer.from(body.padEnd(padded(body.length), '\0'))]));
};

async function attack(...entries: Uint8Array[]): Promise<unknown> {
  async function* archive(): AsyncGenerator<Uint8Array> {
    for (const part of entries) yield part;
    yield new Uint8Array(1024);
  }
  let failure: unknown;
  try {
    await extractTree(archive(), target, { rebase: undefined, skipped: () => {} });
  } catch (error) {
    failure = error;
  }
  assert.deepEqual(readdirSync(victim), ['secret'], 'something was made or removed outside');
  assert.equal(readFileSync(join(victim, 'secret'), 'utf8'), 'untouched');
  assert.equal(lstatSync(victim).mode & 0o777, 0o700, 'a mode was changed outside');
  assert.equal(lstatSync(join(victim, 'secret')).mode & 0o777, 0o600, 'a mode was changed outside');
  assert.deepEqual(readdirSync(directory).sort(), ['target', 'victim']);
  return failure;
}

describe('a hostile archive cannot write outside of the destination', () => {
  for (const path of ['../victim/new', 'a/../../victim/new', './../victim/new', '..', 'a/..', '../victim/secret']) {
    test(`name ${path}`, async () => assert.equal(((await attack(entry({ path }, 'x'))) as { kind: string }).kind, 'corrupt'));
  }

  test('an absolute name stays inside', async () => {
    assert.equal(await attack(entry({ path: `${victim}/new` }, 'x')), undefined);
    assert.ok(existsSync(join(target, victim, 'new')));
  });

  test('through a symbolic link of the archive', async () => {
    for (const link of [victim, '../victim']) {
      const failure = await attack(entry({ path: 'door', type: 'symlink', link }), entry({ path: 'door/new' }, 'x'));
      assert.equal((failure as { kind: string }).kind, 'forbidden');
    }
  });

  test('through a link to a link', async () => {
    assert.notEqual(await attack(entry({ path: 'a', type: 'symlink', link: '..' }), entry({ path: 'b', type: 'symlink', link: 'a/victim' }), entry({ path: 'b/new' }, 'x')), undefined);
  });

  test('through a symbolic link that was there before', async () => {
    symlinkSync(victim, join(target, 'old'));
    assert.notEqual(await attack(entry({ path: 'old/new' }, 'x')), undefined);
  });

  test('a file over a symbolic link replaces the link, not what it names', async () => {
    assert.equal(await attack(entry({ path: 's', type: 'symlink', link: '../victim/secret' }), entry({ path: 's' }, 'new')), undefined);
    assert.equal(readFileSync(join(target, 's'), 'utf8'), 'new');
  });

  test('a directory over a symbolic link is refused', async () => {
    assert.notEqual(await attack(entry({ path: 'd', type: 'symlink', link: '../victim' }), entry({ path: 'd/', type: 'directory', mode: 0o777 })), undefined);
  });

  test('a directory that becomes a link before its mode is set', async () => {
    await attack(entry({ path: 'd/', type: 'directory', mode: 0o777 }), entry({ path: 'd', type: 'symlink', link: '../victim' }));
  });

  test('a hard link to what is outside', async () => {
    for (const link of ['../victim/secret', `${victim}/secret`]) assert.notEqual(await attack(entry({ path: 'h', type: 'link', link }), entry({ path: 'h' }, 'x')), undefined);
  });

  test('a hard link through a symbolic link', async () => {
    assert.notEqual(await attack(entry({ path: 'door', type: 'symlink', link: '../victim' }), entry({ path: 'h', type: 'link', link: 'door/secret' })), undefined);
  });

  test('a hard link to a symbolic link, then written', async () => {
    await attack(entry({ path: 's', type: 'symlink', link: '../victim/secret' }), entry({ path: 'h', type: 'link', link: 's' }), entry({ path: 'h' }, 'x'));
  });

  test('set-user-id bits do not come along', async () => {
    await attack(entry({ path: 'su', mode: 0o6755 }, 'x'));
    assert.equal(lstatSync(join(target, 'su')).mode & 0o7000, 0);
  });

  test('a name with a null, an empty name', async () => {
    await attack(entry({ path: 'a' }, 'x'), entry({ path: './' , type: 'directory' }));
    assert.notEqual(await attack(entry({ path: '/' }, 'x')), null);
  });
});
