import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NaruError } from '#spec/errors.ts';
import { openMetadata, type Metadata } from './metadata/open-metadata.ts';
import type { RegistryOptions } from './options.ts';
import type { BlobStorage } from './storage/blob-storage.ts';
import { fileStorage } from './storage/file-storage.ts';
import { s3Storage } from './storage/s3-storage.ts';

export interface RegistryData { root: string; uploads: string; metadata: Metadata; storage: BlobStorage }

/** Opens (and makes) the data directory: for the server, and for the verbs that work beside it. */
export function openRegistryData({ data, s3 }: Pick<RegistryOptions, 'data' | 's3'>): RegistryData {
  const uploads = join(data, 'uploads');
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
    mkdirSync(uploads, { recursive: true, mode: 0o700 });
    return {
      root: data, uploads, metadata: openMetadata(join(data, 'registry.db')),
      storage: s3 === undefined ? fileStorage(join(data, 'blobs')) : s3Storage(s3),
    };
  } catch (error) {
    throw new NaruError('invalid', `the data directory ${data} cannot be used: ${(error as Error).message}`, { cause: error, hint: 'choose another with --data' });
  }
}
