import { copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '#spec/ids.ts';
import type { ByteRange } from '#registry/protocol/byte-range.ts';
import { algorithmOf, hexOf, isDigest } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { asStorageError, codeOf } from './as-storage-error.ts';
import type { BlobStorage, StagedBlob } from './blob-storage.ts';

/** Large enough that system calls do not matter, small enough for hundreds of readers. */
const PIECE_BYTES = 512 << 10;

/** `<root>/<algorithm>/<first two digits>/<hex>`: names come from parsed digests only, so none can climb out. */
export function fileStorage(root: string): BlobStorage {
  const directoryOf = (digest: Digest): string => join(root, algorithmOf(digest), hexOf(digest).slice(0, 2));
  const pathOf = (digest: Digest): string => join(directoryOf(digest), hexOf(digest));

  return {
    async put(blob: StagedBlob) {
      const target = pathOf(blob.digest);
      try {
        await mkdir(directoryOf(blob.digest), { recursive: true, mode: 0o700 });
        await linkOrCopy(blob.path, target);
        await syncDirectory(directoryOf(blob.digest));
      } catch (error) {
        throw asStorageError(error, `blob ${blob.digest} could not be stored`);
      }
    },
    async *read(digest: Digest, range: ByteRange) {
      const file = await open(pathOf(digest)).catch((error: unknown) => {
        throw codeOf(error) === 'ENOENT' ? registryError('BLOB_UNKNOWN', `blob ${digest} is not in the storage`) : asStorageError(error, `blob ${digest} could not be read`);
      });
      try {
        const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, range.end - range.start + 1));
        for (let at = range.start; at <= range.end;) {
          const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, range.end - at + 1), at);
          if (bytesRead === 0) throw registryError('UNKNOWN', `blob ${digest} ends early in the storage`);
          at += bytesRead;
          yield piece.subarray(0, bytesRead);
        }
      } finally {
        await file.close();
      }
    },
    remove: (digest) => rm(pathOf(digest), { force: true }),
    async *list() {
      for (const algorithm of ['sha256', 'sha512']) {
        for (const shard of await readdir(join(root, algorithm)).catch(() => [])) {
          for (const hex of await readdir(join(root, algorithm, shard)).catch(() => [])) {
            const digest = `${algorithm}:${hex}`;
            if (!isDigest(digest)) continue;
            const found = await stat(join(root, algorithm, shard, hex)).catch(() => undefined);
            if (found !== undefined) yield { digest, modified: found.mtimeMs };
          }
        }
      }
    },
  };
}

/** A second name for the staged file: atomic, free, and repeatable while the first name stays. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return;
    if (!['EXDEV', 'EPERM', 'EOPNOTSUPP', 'EMLINK'].includes(codeOf(error) ?? '')) throw error;
    const partial = `${to}.${process.pid}.part`;
    await copyFile(from, partial);
    await syncDirectory(partial);
    await rename(partial, to);
  }
}

/** fsync(2) of a directory's entries, or of a file. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
