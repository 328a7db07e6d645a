import type { Readable } from 'node:stream';
import type { Digest } from '#spec/ids.ts';

/**
 * Manifests and indexes that are no images of this machine: artifacts, signatures, attestations, indexes that images came by. A
 * document is kept while a name leads to it, while its subject is kept, while a kept index lists it, and an index while an
 * image is known by it. Blobs lie in `artifacts/<algorithm>-<hex>`; `collect` is a query and deletes the rest.
 */
export interface DocumentStore {
  get(digest: Digest): StoredDocument | undefined;
  /** By `name:tag`, `name@digest` (familiar forms) or a digest. */
  find(name: string): StoredDocument | undefined;
  /** Those that have a name, with all of them. */
  list(): readonly (StoredDocument & { readonly names: readonly string[] })[];
  names(digest: Digest): string[];
  referrers(subject: Digest): StoredDocument[];
  /** Indexes that list this manifest. */
  parents(child: Digest): StoredDocument[];
  name(digest: Digest, reference: string): void;
  /** True when there was such a name. Call `collect` when all is done. */
  untag(reference: string): boolean;
  /** Deletes it, whatever keeps it. */
  remove(digest: Digest): void;
  blobs(document: Digest): StoredBlob[];
  readBlob(digest: Digest): Buffer;
  openBlob(digest: Digest): Readable;
  /** What is brought through one intake is safe from `collect` until it is disposed. */
  intake(): DocumentIntake;
  /** Deletes what nothing keeps. Returns bytes. */
  collect(): number;
  /** Bytes of blobs and documents. */
  size(): number;
}

export interface StoredDocument {
  readonly digest: Digest; readonly mediaType: string; readonly artifactType: string | undefined; readonly bytes: Uint8Array;
  /** Digest of the manifest that it is about. */
  readonly subject: Digest | undefined;
}
export interface StoredBlob { readonly digest: Digest; readonly size: number; readonly mediaType: string }

export interface DocumentIntake extends Disposable {
  has(digest: Digest): boolean;
  /** Writes a blob, checked, synced. Throws `corrupt` when digest or size are not those announced, `no-space`. */
  putBlob(blob: { readonly digest: Digest; readonly size: number }, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
  /** All at once and durable; the blobs must be there. `children`: what an index lists. */
  put(documents: readonly NewDocument[]): void;
}

export interface NewDocument extends StoredDocument {
  readonly blobs: readonly StoredBlob[];
  readonly children?: readonly Digest[];
  /** Familiar `name:tag` and `name@digest`. */
  readonly names?: readonly string[];
}
