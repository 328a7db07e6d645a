import type { Digest } from '#spec/ids.ts';
import type { ImageRecord } from '../store.ts';

/**
 * What core offers for images that travel. It knows nothing of registries: bytes come from, and go to, whoever calls.
 *
 * Pulling: `begin` with the config and the layers' blobs; `stage` each layer that is `missing`; `publish`. What came of a blob
 * lies in `pulls/<algorithm>-<hex>.partial` of the data root until its image is published, so that a pull goes on where it
 * stopped, also after a crash; what nobody came back for is deleted after KEEP_PARTIAL.
 */
export interface TransferStore {
  begin(image: IncomingImage): PullSession;
  /** Layers of an image, bottom first, with what is known of their compressed forms. Throws not-found. */
  layersOf(image: Digest): OutgoingLayer[];
  /** The config blob. */
  configOf(image: Digest): Buffer;
  /** The manifest that the image was last pulled by, if it was. */
  manifestOf(image: Digest): StoredManifest | undefined;
  /** All manifests that it is known by, newest first. */
  manifestsOf(image: Digest): StoredManifest[];
  /** The layer compressed, in a process of its own: always the same bytes. Open or send it as often as needed. */
  compress(layer: OutgoingLayer, how: { readonly compression: 'gzip' | 'zstd'; /** 0: the usual one. */ readonly level: number; /** The image has no other layer. */ readonly alone: boolean }, signal: AbortSignal): CompressedLayer;
  /** The image has this manifest now, under these names (`name@digest`). */
  adopt(image: Digest, manifest: StoredManifest, digests: readonly string[]): void;
  /** Deletes what came of blobs that no pull brings just now. Returns bytes. */
  prunePartials(): number;
  /** Remember that a compressed form of a layer exists, and where. */
  learn(diffId: Digest, blob: KnownBlob): void;
}

export interface IncomingImage {
  readonly config: Uint8Array;
  /** One for each layer of the config. Throws `corrupt` when their number is not the config's. */
  readonly layers: readonly { readonly digest: Digest; readonly size: number; readonly mediaType: string }[];
}

export type StageEvent =
  | { readonly phase: 'downloading'; readonly done: number }
  | { readonly phase: 'downloaded' }
  | { readonly phase: 'extracting'; readonly done: number };

export interface StageOptions {
  /** Opens the blob's bytes from `offset` on; a chunk is used until the next is asked for. Not called when another pull brings the same blob just now. */
  open(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  onEvent(event: StageEvent): void;
  readonly signal: AbortSignal;
  /** No other layer of the image is missing. */
  readonly alone: boolean;
}

export interface PullSession {
  /** Positions of layers that are neither in the store nor staged. */
  missing(): number[];
  /** Brings one layer. Waits while enough others are on their way; pulls of the same blob share the work. */
  stage(position: number, options: Omit<StageOptions, 'alone'>): Promise<void>;
  /** Makes the image with its names, all at once and durable. Throws `conflict` when layers vanished meanwhile (an image was
   *  removed): look at `missing` again. */
  publish(names: { readonly tags: readonly string[]; /** `name@digest` */ readonly digests: readonly string[]; readonly manifest: StoredManifest; /** registry and path */ readonly repository: string }): Promise<ImageRecord>;
  /** Lets go of what is staged; partial files stay unless the image was published. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StoredManifest { readonly digest: Digest; readonly mediaType: string; readonly bytes: Uint8Array }

export interface KnownBlob {
  readonly digest: Digest; readonly size: number; readonly mediaType: string;
  /** registry and path, where it was seen */
  readonly repositories: readonly string[];
}

export interface OutgoingLayer {
  readonly diffId: Digest;
  /** Bytes uncompressed. */
  readonly tarSize: number;
  readonly dir: number;
  readonly blobs: readonly KnownBlob[];
}

export interface CompressedLayer {
  open(): AsyncIterable<Uint8Array>;
  /** Sends the bytes from the process that makes them. The request is for Send (jobs/job.ts), and so is what it answers;
   *  undefined: there is no such process. */
  readonly send: ((request: unknown, onProgress: (done: number) => void) => Promise<unknown>) | undefined;
  /** What passed, once the last opened stream was read to its end, or the last was sent. */
  finish(): Promise<{ readonly digest: Digest; readonly size: number }>;
}
