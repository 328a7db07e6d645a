import type { Digest } from '#spec/ids.ts';
import type { ErrorKind } from '#spec/errors.ts';

/**
 * Heavy work is done by a process of its own, so that the daemon's event loop goes on and its memory stays small: the daemon
 * runs itself as `internal core <job as JSON>`.
 *
 *     load    stdin: an image archive         stdout: lines of JobEvent, the last is `result`
 *     layer   stdin: one tar                  the same
 *     commit  an upper directory              the same
 *     save    blobs to write                  stdout: the archive
 *     blob    lengths of a growing file       the same: a layer is unpacked while it comes (transfers/take-blob.ts)
 *     relay   nothing                         the same: a layer of the store is unpacked once more, to be fitted to other parents
 *     verify  nothing                         the same: one progress line for each layer, with what is wrong with it
 *     sync    nothing                         the same: what was staged before is on disk now
 *     compress  a layer to compress           stdout: its bytes; stderr, at the end: their CompressedBlob
 *     send      a layer and where to           stdout: lines of JobEvent; it is compressed and sent from here
 *
 * `internal core serve` does one job after another that comes on stdin as a line of JSON (relay, sync, send, and blob, whose lengths follow
 * as decimal numbers, one a line); it ends with its first failure, which is its last line on stdout.
 *
 * A job writes below its `incoming` directory only; it exits 0, or 1 with a JobFailure as JSON on stderr. When the daemon dies,
 * stdin or stdout breaks and so the job ends; the next daemon sweeps what it left.
 */
/** What `internal core serve` does. */
export type ServedJob = Extract<Job, { kind: 'blob' | 'relay' | 'sync' | 'send' }>;

export type Job =
  | { readonly kind: 'load'; readonly incoming: string; /** Take the images of this platform only. */ readonly platform?: { readonly os: string; readonly architecture: string } }
  | { readonly kind: 'layer'; readonly incoming: string }
  | { readonly kind: 'commit'; readonly incoming: string; readonly upper: string }
  | { readonly kind: 'save'; readonly archive: SavePlan }
  | ({ readonly kind: 'blob'; readonly incoming: string } & BlobPlan)
  | { readonly kind: 'relay'; readonly incoming: string; readonly layer: string; readonly recipe: string; readonly diffId: Digest }
  | { readonly kind: 'sync'; readonly incoming: string }
  | { readonly kind: 'verify'; readonly incoming: string; readonly layers: readonly { readonly name: string; readonly layer: string; readonly recipe: string; readonly diffId: Digest }[] }
  | ({ readonly kind: 'compress' } & CompressPlan)
  | ({ readonly kind: 'send'; /** For Send. */ readonly request: unknown } & CompressPlan);

/** A layer of the store that is to be compressed. */
export interface CompressPlan {
  readonly layer: string; readonly recipe: string; readonly diffId: Digest; readonly compression: 'gzip' | 'zstd';
  /** 0: the usual one. */
  readonly level?: number;
  /** Nothing else is compressed beside it: use all processors. */
  readonly alone: boolean;
}

/** Sends bytes as the request says, which is JSON that core does not look into; returns JSON that tells what was answered. A chunk
 *  is valid until the next is asked for. */
export type Send = (request: unknown, bytes: AsyncIterable<Uint8Array>) => Promise<unknown>;

/** A layer's blob that comes from elsewhere. What came is kept in `partial`, so that the rest is enough when it is cut. */
export interface BlobPlan {
  readonly partial: string;
  /** Bytes that are there from the start. */
  readonly offset: number;
  readonly digest: Digest;
  readonly size: number;
  /** Hash in threads: worth it when no other job keeps the cores busy. */
  readonly threads: boolean;
}

export interface CompressedBlob { readonly digest: Digest; readonly size: number }

export type JobEvent =
  | { readonly kind: 'progress'; readonly name: string; readonly done: number; readonly total: number; readonly complete: boolean; readonly problem?: string }
  | { readonly kind: 'result'; readonly result: JobResult }
  | { readonly kind: 'failure'; readonly failure: JobFailure };

/** All staged things are synced to disk. */
export interface JobResult {
  readonly images: readonly { /** Base64. */ readonly config: string; readonly tags: readonly string[] }[];
  readonly layers: readonly StagedLayerJson[];
  /** Of `send`; without `blob` the answer came before all was sent. */
  readonly sent?: { readonly answer: unknown; readonly blob?: CompressedBlob };
}

export interface StagedLayerJson {
  readonly diffId: Digest; readonly tarSize: number; readonly size: number; readonly implicit: readonly string[];
  readonly directory: string; readonly recipe: string;
}

/** Members of the archive to write, in order. */
export interface SavePlan {
  /** Bytes of the whole archive. */
  readonly size: number;
  readonly members: readonly (
    | { readonly path: string; readonly directory: true }
    | { readonly path: string; /** Base64. */ readonly bytes: string }
    | { readonly path: string; readonly layer: string; readonly recipe: string; readonly size: number; readonly digest: Digest }
  )[];
}

export interface JobFailure { readonly kind: ErrorKind; readonly message: string; readonly hint?: string }
