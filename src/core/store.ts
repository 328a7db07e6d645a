import type { Readable } from 'node:stream';
import type { ChainId, Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';

/**
 * What core offers to the engine for images and file systems. One data root, one SQLite database (core/db), blobs and
 * snapshots as plain files named by digest. Opened by `openStore(dataRoot)` (core/open-store.ts), closed by `close()`.
 * All methods may be called concurrently; each mutation is one transaction or a journal entry.
 */
export interface Store {
  readonly images: ImageStore;
  readonly snapshots: SnapshotStore;
  readonly transfers: import('./transfers/transfer-store.ts').TransferStore;
  /** Looks at everything that is stored (core/check/check-store.ts). */
  check(signal: AbortSignal): AsyncIterable<import('./check/check-store.ts').CheckStep>;
  /** Deletes what `check` called an orphan. */
  discardOrphan(path: string): Promise<void>;
  /** Takes a directory of ours away from where it lies below the data root, at once; its bytes go behind the caller's back. No program
   *  may be able to change it any more. Missing is fine. */
  discard(directory: string): Promise<void>;
  /** Names of an image whose config may not be readable. */
  imageNames(id: Digest): { readonly tags: string[]; readonly digests: string[] };
  readonly documents: import('./documents/document-store.ts').DocumentStore;
  /** The database, for the engine's own tables (engine/schema). */
  readonly db: import('./db/database.ts').Database;
  close(): void;
}

export interface ImageRecord {
  /** Digest of the config blob: the image's id. */
  readonly id: Digest;
  readonly config: ImageConfig;
  /** `name:tag` in Docker's familiar form (`busybox:latest`). */
  readonly tags: readonly string[];
  /** `name@sha256:...`. */
  readonly digests: readonly string[];
  /** Tags behind which it stands for another platform (`variants`). */
  readonly variantOf: readonly string[];
  readonly chainIds: readonly ChainId[];
  /** Unpacked bytes of all layers. */
  readonly size: number;
  /** Per layer, bottom first. */
  readonly layerSizes: readonly number[];
  /** Nanoseconds since the epoch of the last tag, 0n when never. */
  readonly lastTagged: bigint;
}

/** Progress of a load or import, in the store's own terms. */
export type LoadEvent =
  | { readonly kind: 'layer'; readonly id: string; readonly done: number; readonly total: number; readonly complete: boolean }
  | { readonly kind: 'image'; readonly id: Digest; readonly tag: string | undefined };

/** An archive that a process of its own writes, once: one of the two is called. */
export interface SavedArchive {
  /** Bytes of the whole. */
  readonly size: number;
  /** Fails when the archive cannot be written whole; the process ends when it is destroyed. */
  stream(): Readable;
  /** The process writes to a blocking descriptor, and nothing passes through here. Rejects when it could not write all; the signal
   *  ends it. */
  writeTo(fd: number, signal: AbortSignal): Promise<void>;
}

export interface ImageStore {
  /** By `name[:tag]`, `name@digest`, `sha256:…`, full hex or an unambiguous hex prefix. undefined: there is none. Fast: it is on
   *  the way of every `run` (prepared statements, parsed configs cached). */
  find(name: string): ImageRecord | undefined;
  get(id: Digest): ImageRecord | undefined;
  list(): ImageRecord[];
  tag(id: Digest, reference: string): void;
  /** When it was last pulled, tagged or run; milliseconds since the epoch. */
  lastUsed(id: Digest): number;
  /** Images of other platforms behind a tag: they came by the same index. */
  variants(reference: string): ImageRecord[];
  /** Puts one more behind a tag; they stay until the tag means something else. */
  addVariant(reference: string, id: Digest): void;
  /** True when the tag existed. Removing the last tag does not delete the image. */
  untag(reference: string): boolean;
  /** Deletes the image and every layer that nothing refers to any more. Throws conflict while a container refers to it. Returns
   *  what was deleted (image id, then chain ids of removed layers) and the bytes that came back. */
  delete(id: Digest): { deleted: string[]; bytes: number };
  /** Deletion of files goes on after `delete`: resolves when the space is back (with a deadline). */
  reclaimed(): Promise<void>;
  /** docker-archive or OCI layout; plain, gzip or zstd outside and per layer. Nothing half made on failure. */
  load(archive: Readable, signal: AbortSignal, options?: { readonly platform?: { readonly os: string; readonly architecture: string } }): AsyncIterable<LoadEvent>;
  /** One docker-archive that is an OCI layout too, deterministic. */
  save(selection: readonly { id: Digest; tags: readonly string[] }[]): SavedArchive;
  /** A root file system tar as a one-layer image. */
  import(archive: Readable, options: { config: ImageConfig['config']; comment: string; platform: { os: string; architecture: string; variant?: string }; reference?: string }, signal: AbortSignal): Promise<ImageRecord>;
  /** A new image: `base`'s layers plus the difference that a snapshot holds. */
  commit(options: { snapshot: string; base: Digest | undefined; config: ImageConfig; reference?: string }): Promise<ImageRecord>;
  history(id: Digest): { layer: number | undefined; created: string; createdBy: string; comment: string; size: number }[];
  /** Make an image from directories of files in memory (built-in images: `hello`). Idempotent. */
  builtin(reference: string, files: readonly { path: string; mode: number; data: Uint8Array }[], config: ImageConfig['config']): Promise<ImageRecord>;
  /** Total bytes of layers on disk. */
  layersSize(): number;
}

export interface SnapshotStore {
  /** A writable snapshot over an image's layers, or over a host directory (`run --rootfs`). Survives a power cut once returned
   *  when durable. */
  create(id: string, base: { image: Digest } | { directory: string }, options: { durable: boolean }): SnapshotMount;
  mount(id: string): SnapshotMount | undefined;
  remove(id: string): Promise<void>;
  /** Bytes and inodes of the writable part. */
  usage(id: string): Promise<{ size: number; inodes: number }>;
  /** What `docker diff` shows: kind 0 modified, 1 added, 2 deleted; sorted by path. */
  changes(id: string): Promise<{ path: string; kind: 0 | 1 | 2 }[]>;
  /** The merged tree as a detached mount: a directory descriptor that the caller closes. Not in any mount table. readOnly: the
   *  upper directory cannot be changed through it. */
  open(id: string, options: { readOnly: boolean }): number;
  /** Only the lower layers (image content), detached and read-only: volume population. */
  openImage(image: Digest): number;
  /** The whole tree as a tar (docker export). */
  exportTar(id: string): Readable;
}

export interface SnapshotMount {
  /** Directories, top first (absolute paths). */
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly work: string;
}
