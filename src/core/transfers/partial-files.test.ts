import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '#spec/ids.ts';
import { KEEP_PARTIAL, openPartialFiles } from './partial-files.ts';

const digest = `sha256:${'5'.repeat(64)}` as Digest;

test('what came is kept to where it is good, written on from there, and a file is never truncated that need not be', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-partials.'));
  try {
    const partials = openPartialFiles(directory);
    const path = partials.path(digest);
    writeFileSync(path, 'good and bad');
    const file = partials.open(digest, 4);
    await file.append(Buffer.from(' again'));
    assert.equal(partials.prune(), 0, 'what is written to stays');
    file.close();
    assert.equal(readFileSync(path, 'utf8'), 'good again');

    // truncate(2) is seen by the time it sets. On ext4 a file that was truncated to nothing is written to the disk at its close.
    for (const content of ['', 'good again']) {
      writeFileSync(path, content);
      const long = new Date(Date.now() - KEEP_PARTIAL / 2);
      utimesSync(path, long, long);
      partials.open(digest, content.length).close();
      assert.equal(statSync(path).mtimeMs, long.getTime(), `${content.length} bytes`);
    }
    assert.equal(partials.length(digest), 10);
    assert.equal(partials.prune(), 10);
    assert.equal(partials.length(digest), 0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('what nobody wrote on for a week goes when the directory is opened', () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-partials.'));
  try {
    const now = Date.now();
    const path = openPartialFiles(directory, now).path(digest);
    writeFileSync(path, 'x');
    utimesSync(path, new Date(now), new Date(now));
    assert.equal(openPartialFiles(directory, now + KEEP_PARTIAL - 1000).length(digest), 1);
    assert.equal(openPartialFiles(directory, now + KEEP_PARTIAL + 1000).length(digest), 0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
