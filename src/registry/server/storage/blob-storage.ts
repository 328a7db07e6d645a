import type { Digest } from '#spec/ids.ts';
import type { ByteRange } from '#registry/protocol/byte-range.ts';

/** A finished upload on the local disk, verified and synced; `put` leaves it where it is. */
export interface StagedBlob { digest: Digest; size: number; path: string }

/**
 * Where the bytes of blobs lie, each digest once. It knows nothing of repositories; the metadata says what exists, so
 * everything here may be repeated: `put` of what is there and `remove` of what is not are successes.
 */
export interface BlobStorage {
  /** The blob is durable when this returns. Throws `no-space` or `unavailable`. */
  put(blob: StagedBlob): Promise<void>;
  /** Its bytes in pieces. A piece is valid until the next one is asked for. Throws `not-found`. */
  read(digest: Digest, range: ByteRange): AsyncIterable<Uint8Array>;
  remove(digest: Digest): Promise<void>;
  /** Every digest that is held, in no order: for the check that finds blobs without a row. */
  list(): AsyncIterable<{ digest: Digest; modified: number }>;
  /** Ends what a process that died was storing, begun before that time (milliseconds since 1970): it takes space that nothing shows. */
  sweep?(before: number): Promise<void>;
}
