import { createHash } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { ByteSource } from '../archive/byte-source.ts';
import { cleanPath } from '../archive/clean-path.ts';
import { decompressed, detectCompression } from '../archive/decompress.ts';
import type { TarEntry } from '../archive/tar-entry.ts';
import { looksLikeTar } from '../archive/tar-header.ts';
import { TarReader } from '../archive/tar-reader.ts';
import type { Digester } from '../content/digest.ts';
import { freeBytes } from '../data-root.ts';
import { ArchiveContents, MAX_DOCUMENT, MAX_DOCUMENTS, type LayerBlob } from './archive-contents.ts';
import { stageLayer } from './stage-layer.ts';
import { asNaruError } from './as-naru-error.ts';

export interface LayerProgress { readonly name: string; readonly done: number; readonly total: number; readonly complete: boolean }

export interface ReadOptions {
  readonly incoming: string;
  readonly onProgress: (progress: LayerProgress) => void;
  /** For the layers' diffIds. */
  readonly hash?: Digester;
}

/** Disk space that unpacking leaves free, bytes; looked at every so many bytes. */
const RESERVE = 128 << 20;
const LOOK_EVERY = 32 << 20;

/**
 * Reads an image archive from a stream that cannot be rewound, in one pass and without a copy of it: whatever may be a layer is
 * unpacked while it passes, into a directory of its own below `incoming`; manifests and configs, which may come after, are
 * kept in memory. Only what a manifest names and a digest confirms is used later.
 */
export async function readArchive(...[archive, options]: Parameters<typeof read>): Promise<ArchiveContents> {
  try {
    return await read(archive, options);
  } catch (error) {
    throw error instanceof BrokenArchive ? error.cause : error;
  }
}

async function read(archive: AsyncIterable<Uint8Array>, options: ReadOptions): Promise<ArchiveContents> {
  const contents = new ArchiveContents();
  const reader = new TarReader(new ByteSource(decompressed(archive)));
  let documents = 0;
  let count = 0;
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const path = cleanPath(entry.name);
    if (entry.type === 'symlink' || entry.type === 'link') contents.addLink(path, entry.linkName, entry.type === 'link');
    if (entry.type !== 'file') continue;
    const source = new ByteSource(contentOf(reader));
    const head = await source.peek(Math.min(512, entry.size));
    if (isLayer(head, path)) {
      contents.layers.set(path, await unpack(source, { entry, path, name: String(count++), ...options }));
    } else if (entry.size <= MAX_DOCUMENT) {
      documents += entry.size;
      if (documents > MAX_DOCUMENTS) throw new NaruError('too-large', `invalid archive: more than ${MAX_DOCUMENTS} bytes of documents`);
      contents.documents.set(path, Buffer.from((await source.read(entry.size)) ?? new Uint8Array(0)));
    }
  }
  await reader.drain();
  return contents;
}

/** The archive itself is broken (cut, a bomb, aborted): not just the blob that was being unpacked. */
class BrokenArchive extends Error {}

async function* contentOf(reader: TarReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    let bytes: Uint8Array | undefined;
    try {
      bytes = reader.tryContent() ?? (await reader.content());
    } catch (error) {
      throw new BrokenArchive('archive is broken', { cause: error });
    }
    if (bytes === undefined) return;
    yield bytes;
  }
}

function isLayer(head: Uint8Array, path: string): boolean {
  try {
    return looksLikeTar(head) || detectCompression(head) !== 'none' || (head.byteLength === 0 && (path.endsWith('.tar') || path.startsWith('blobs/')));
  } catch {
    return true; // compressed in a way that we do not read: unpack says so when it matters
  }
}

interface Unpacking extends ReadOptions { entry: TarEntry; path: string; name: string }

async function unpack(source: ByteSource, { entry, path, name, incoming, onProgress, hash: layerHash }: Unpacking): Promise<LayerBlob> {
  const algorithm = path.startsWith('blobs/sha512/') ? 'sha512' : 'sha256';
  const head = await source.peek(6);
  const plain = isPlain(head);
  // A plain sha256 blob is its own diffId: hashed once, by whoever unpacks it.
  const hash = plain && algorithm === 'sha256' ? undefined : createHash(algorithm);
  const label = /[0-9a-f]{64}/.exec(path)?.[0].slice(0, 12) ?? `layer ${name}`;
  let done = 0;
  let look = LOOK_EVERY;
  async function* passing(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source.rest()) {
      hash?.update(chunk);
      done += chunk.byteLength;
      onProgress({ name: label, done, total: entry.size, complete: false });
      yield chunk;
    }
  }
  const watchSpace = (bytes: number): void => {
    if (bytes < look) return;
    look = bytes + LOOK_EVERY;
    if (freeBytes(incoming) < RESERVE) throw new NaruError('no-space', 'no space left on device while unpacking a layer');
  };
  const stream = passing();
  let result: LayerBlob['result'];
  try {
    result = await stageLayer(decompressed(stream), { incoming, name, onProgress: watchSpace, ...(layerHash === undefined ? {} : { hash: layerHash }) });
  } catch (error) {
    if (error instanceof BrokenArchive) throw error;
    result = asNaruError(error);
    // The disk, the caller, ourselves: not the archive's fault, and not healed by going on.
    if (result.kind === 'no-space' || result.kind === 'internal' || result.kind === 'canceled') throw result;
  }
  // A decompressor may stop before the blob ends: the digest is of all of it.
  for await (const chunk of source.rest()) {
    hash?.update(chunk);
    done += chunk.byteLength;
  }
  onProgress({ name: label, done, total: entry.size, complete: true });
  const digest = hash !== undefined ? (`${algorithm}:${hash.digest('hex')}` as Digest) : result instanceof NaruError ? ('' as Digest) : result.diffId;
  return { digest, size: entry.size, result };
}

function isPlain(head: Uint8Array): boolean {
  try {
    return detectCompression(head) === 'none';
  } catch {
    return false;
  }
}
