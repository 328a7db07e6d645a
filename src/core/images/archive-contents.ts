import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { cleanPath, splitPath } from '../archive/clean-path.ts';
import { digestOf, isDigest } from '../content/digest.ts';
import type { StagedLayer } from './publish-images.ts';

/** A blob that was unpacked while it passed, before anybody could say whether it is a layer. */
export interface LayerBlob {
  /** Digest and length of the blob as it lay in the archive (compressed). */
  readonly digest: Digest;
  readonly size: number;
  /** Or why it could not be unpacked: matters only when a manifest names it. */
  readonly result: StagedLayer | NaruError;
}

/** Largest JSON document (manifest, index, config) that is taken, and all of them together. */
export const MAX_DOCUMENT = 8 << 20;
export const MAX_DOCUMENTS = 64 << 20;
const MAX_LINKS = 8;

/** What an image archive held, by cleaned path inside it. */
export class ArchiveContents {
  readonly documents = new Map<string, Uint8Array>();
  readonly layers = new Map<string, LayerBlob>();
  readonly links = new Map<string, string>();

  document(path: string): Uint8Array | undefined {
    return this.#follow(path, this.documents);
  }

  /** Parsed JSON. Throws `corrupt` when it is missing or no JSON. */
  json(path: string): unknown {
    const bytes = this.document(path);
    if (bytes === undefined) throw new NaruError('corrupt', `invalid archive: ${path} is missing`);
    return parseJson(bytes, path);
  }

  /** Throws `corrupt` when it is missing, and what went wrong when it was unpacked. */
  layer(path: string): LayerBlob & { result: StagedLayer } {
    const blob = this.#follow(path, this.layers);
    if (blob === undefined) throw new NaruError('corrupt', `invalid archive: layer ${path} is missing or is no layer`);
    if (blob.result instanceof NaruError) throw blob.result;
    return blob as LayerBlob & { result: StagedLayer };
  }

  /** A document addressed by digest. Its bytes are checked. */
  blobDocument(descriptor: { digest: unknown; size?: unknown }): Uint8Array | undefined {
    const path = blobPath(descriptor.digest);
    const bytes = this.document(path);
    if (bytes !== undefined) checkBlob(descriptor, { digest: digestOf(bytes, path.startsWith('blobs/sha512') ? 'sha512' : 'sha256'), size: bytes.byteLength });
    return bytes;
  }

  #follow<T>(path: string, among: ReadonlyMap<string, T>): T | undefined {
    let at = cleanPath(path);
    for (let i = 0; i < MAX_LINKS; i++) {
      const found = among.get(at);
      if (found !== undefined) return found;
      const link = this.links.get(at);
      if (link === undefined) return undefined;
      at = link;
    }
    return undefined;
  }

  /** Symbolic links are followed within the archive only (old `docker save` had them for equal layers). */
  addLink(path: string, target: string, hard: boolean): void {
    const parts = hard || target.startsWith('/') ? [] : splitPath(path).parent.split('/').filter((part) => part !== '');
    for (const part of target.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    this.links.set(path, parts.join('/'));
  }
}

/** https://github.com/opencontainers/image-spec/blob/main/image-layout.md#blobs. A digest that is none never becomes a path. */
export function blobPath(digest: unknown): string {
  if (!isDigest(digest)) throw new NaruError('corrupt', `invalid archive: ${JSON.stringify(digest)?.slice(0, 100)} is no digest`);
  return `blobs/${digest.replace(':', '/')}`;
}

export function checkBlob(descriptor: { digest: unknown; size?: unknown }, actual: { digest: Digest; size: number }): void {
  if (descriptor.digest !== actual.digest) throw new NaruError('corrupt', `invalid archive: content of ${String(descriptor.digest)} has digest ${actual.digest}`);
  if (descriptor.size !== undefined && descriptor.size !== actual.size) {
    throw new NaruError('corrupt', `invalid archive: ${actual.digest} has ${actual.size} bytes, its descriptor says ${String(descriptor.size)}`);
  }
}

export function parseJson(bytes: Uint8Array, path: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (error) {
    throw new NaruError('corrupt', `invalid archive: ${path} is not JSON`, { cause: error });
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
