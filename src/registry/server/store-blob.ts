import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { linkBlob, mountBlob } from './metadata/blobs.ts';
import type { Metadata } from './metadata/open-metadata.ts';
import { asStorageError } from './storage/as-storage-error.ts';
import type { BlobStorage, StagedBlob } from './storage/blob-storage.ts';

const COLLECTION_WAIT_MS = 10_000;

/**
 * Moves a verified upload into the storage and shows it in the repository. The row comes after the bytes, so whatever has a row
 * is whole; a collection that has hold of the same digest is waited for, and the bytes are stored once more after it.
 */
export async function storeBlob({ metadata, storage }: { metadata: Metadata; storage: BlobStorage }, name: RepositoryName, { staged, quota }: { staged: StagedBlob; quota: number | undefined }): Promise<void> {
  const deadline = Date.now() + COLLECTION_WAIT_MS;
  try {
    if (mountBlob(metadata, name, staged.digest, { now: Date.now(), quota })) return;
    for (;;) {
      await storage.put(staged);
      if (linkBlob(metadata, name, staged, { now: Date.now(), quota }) === 'linked') return;
      if (Date.now() > deadline) throw registryError('UNAVAILABLE', `blob ${staged.digest} is just being removed`, { hint: 'try again', headers: { 'Retry-After': '1' } });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } catch (error) {
    throw asStorageError(error, `blob ${staged.digest} could not be stored`);
  }
}
