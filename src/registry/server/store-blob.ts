import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { claimBlob, linkBlob, mountBlob } from './metadata/blobs.ts';
import type { Metadata } from './metadata/open-metadata.ts';
import { asStorageError } from './storage/as-storage-error.ts';
import type { BlobStorage, StagedBlob } from './storage/blob-storage.ts';

const COLLECTION_WAIT_MS = 10_000;

/**
 * Moves a verified upload into the storage and shows it in the repository: claims the digest, puts the bytes, links. Only what is
 * linked can be seen, so whatever is seen is whole. A collection that has hold of the same digest is waited for, and one that came
 * between claim and link makes it all be done again: bytes found in the storage may have been those that it removed.
 */
export async function storeBlob({ metadata, storage }: { metadata: Metadata; storage: BlobStorage }, name: RepositoryName, { staged, quota }: { staged: StagedBlob; quota: number | undefined }): Promise<void> {
  const deadline = performance.now() + COLLECTION_WAIT_MS;
  try {
    if (mountBlob(metadata, name, staged.digest, { now: Date.now(), quota })) return;
    for (;;) {
      const claim = claimBlob(metadata, staged, Date.now());
      if (claim !== undefined) {
        await storage.put(staged);
        if (linkBlob(metadata, name, { digest: staged.digest, claim }, { now: Date.now(), quota }) === 'linked') return;
      }
      if (performance.now() > deadline) throw registryError('UNAVAILABLE', `blob ${staged.digest} is just being removed`, { hint: 'try again', headers: { 'Retry-After': '1' } });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } catch (error) {
    throw asStorageError(error, `blob ${staged.digest} could not be stored`);
  }
}
