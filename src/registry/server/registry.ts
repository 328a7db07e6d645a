import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { Metadata } from './metadata/open-metadata.ts';
import type { Metrics } from './metrics.ts';
import type { EventSink } from './notify/event.ts';
import type { BlobStorage } from './storage/blob-storage.ts';
import type { UploadBook } from './uploads/upload-book.ts';
import type { PullThrough } from './upstream/pull-through.ts';

/** What the handlers work on; made in one place, serve-registry.ts. */
export interface Registry {
  metadata: Metadata;
  storage: BlobStorage;
  uploads: UploadBook;
  auth: Authenticator;
  events: EventSink;
  metrics: Metrics;
  /** Set when this is a pull-through cache: then nothing can be pushed. */
  upstream: PullThrough | undefined;
  limits: RegistryLimits;
}

export interface RegistryLimits {
  /** Bytes that a repository may hold; undefined: any. */
  quotaOf(name: RepositoryName): number | undefined;
  maxBlobBytes: number;
  /** Milliseconds without a byte after which an upload's request is given up. */
  uploadIdle: number;
  /** See GarbageOptions. */
  grace: number;
  /** Manifests may name blobs and manifests that never were here; those that were and have gone are refused either way. */
  sparse: boolean;
}
