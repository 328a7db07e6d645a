import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Digest } from '#spec/ids.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { findBlob } from './metadata/blobs.ts';
import { openMetadata, type Metadata } from './metadata/open-metadata.ts';
import type { BlobStorage } from './storage/blob-storage.ts';
import { storeBlob } from './store-blob.ts';

const digest = `sha256:${'a'.repeat(64)}` as Digest;
const name = 'one' as RepositoryName;
const staged = { digest, size: 3, path: '/unused' } as Parameters<typeof storeBlob>[2]['staged'];
const remark = (metadata: Metadata): number => metadata.run('UPDATE blobs SET deleting = 1 WHERE digest = ?', digest);
const forget = (metadata: Metadata): number => metadata.run('DELETE FROM blobs WHERE digest = ? AND deleting', digest);

/** Stores the blob while `during` runs inside each put, after the storage found out whether it has the bytes. */
async function store(prepare: (metadata: Metadata) => void, during: (round: number, metadata: Metadata, held: Set<Digest>) => void): Promise<{ held: Set<Digest>; puts: number; size: number | undefined }> {
  const directory = mkdtempSync(join(tmpdir(), 'naru-store-blob.'));
  const metadata = openMetadata(join(directory, 'db'));
  try {
    const held = new Set<Digest>([digest]);
    let puts = 0;
    const storage = {
      async put() {
        const there = held.has(digest);
        during(puts++, metadata, held);
        if (!there) held.add(digest);
      },
    } as unknown as BlobStorage;
    prepare(metadata);
    await storeBlob({ metadata, storage }, name, { staged, quota: undefined });
    return { held, puts, size: findBlob(metadata, name, digest)?.size };
  } finally {
    metadata.close();
    rmSync(directory, { recursive: true });
  }
}

test('bytes that a collection removes while they are put again are stored once more', async () => {
  const { held, puts, size } = await store(() => undefined, (round, metadata, bytes) => {
    if (round > 0) return;
    remark(metadata);
    bytes.delete(digest);
    forget(metadata);
  });
  assert.deepEqual([held.has(digest), puts, size], [true, 2, 3]);
});

test('… even when another push has claimed the digest since', async () => {
  const { held, puts } = await store(() => undefined, (round, metadata, bytes) => {
    if (round > 0) return;
    remark(metadata);
    bytes.delete(digest);
    forget(metadata);
    metadata.run('INSERT INTO blobs (digest, size, touched, stored, born) VALUES (?, 3, ?, 0, 1)', digest, Date.now());
  });
  assert.deepEqual([held.has(digest), puts], [true, 2]);
});

test('a collection that has hold of the digest is waited for', async () => {
  const { held, puts } = await store((metadata) => {
    metadata.run('INSERT INTO blobs (digest, size, touched, deleting) VALUES (?, 3, 0, 1)', digest);
    setTimeout(() => forget(metadata), 30);
  }, () => undefined);
  assert.deepEqual([held.has(digest), puts], [true, 1]);
});
