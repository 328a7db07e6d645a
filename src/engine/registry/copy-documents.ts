import { createHash } from 'node:crypto';
import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Index, Manifest } from '#spec/oci-image.ts';
import type { DocumentIntake, NewDocument, StoredDocument } from '#core/documents/document-store.ts';
import { createSlots } from '#core/transfers/slots.ts';
import type { FetchedManifest } from '#registry/client/fetch-manifest.ts';
import type { Repository } from '#registry/client/repository.ts';
import { MAX_LAYER_BYTES } from '#registry/client/resolve-image.ts';
import { parseManifest } from '#registry/protocol/manifest.ts';
import { isIndexType } from '#registry/protocol/media-types.ts';
import { signatureTag } from '#registry/signatures/signature.ts';
import { repositoryOf } from '../policy/admit-image.ts';
import { signaturesIn } from '../policy/collect-signatures.ts';
import type { EngineContext } from '../engine-context.ts';
import type { ProgressFeed } from './progress-feed.ts';

/** Blobs that travel at the same time. */
const TRANSFERS = 3;
/** How deep indexes lead, and what refers to what refers to an image. */
const MAX_DEPTH = 4;
/** Documents that one pull brings. */
const MAX_DOCUMENTS = 500;

export interface Copy { readonly repository: Repository; readonly feed: ProgressFeed; readonly signal: AbortSignal }

const shortId = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);
const subjectOf = (bytes: Uint8Array): Digest | undefined => (JSON.parse(Buffer.from(bytes).toString('utf8')) as Manifest).subject?.digest;

/** Brings a manifest or an index that is no image, with its blobs and all it lists. The one asked for comes last. */
export async function bringDocument(top: FetchedManifest, intake: DocumentIntake, { repository, feed, signal }: Copy): Promise<NewDocument[]> {
  const documents: NewDocument[] = [];
  const slots = createSlots(TRANSFERS);
  const seen = new Set<Digest>();

  async function bring(found: FetchedManifest, depth: number): Promise<void> {
    if (seen.has(found.digest)) return;
    seen.add(found.digest);
    if (depth > MAX_DEPTH || seen.size > MAX_DOCUMENTS) throw new NaruError('too-large', `${top.digest} leads through too many manifests`);
    const { parsed, bytes, digest, mediaType } = found;
    const blobs = parsed.blobs.filter(({ elsewhere }) => !elsewhere);
    await Promise.all(blobs.map((blob) => bringBlob(blob)));
    for (const child of parsed.manifests) {
      const next = await repository.manifest(child.digest, signal);
      if (next.bytes.byteLength !== child.size) throw new NaruError('corrupt', `manifest ${child.digest} has ${next.bytes.byteLength} bytes, its descriptor says ${child.size}`);
      await bring(next, depth + 1);
    }
    documents.push({ digest, mediaType, artifactType: parsed.artifactType, bytes, subject: parsed.subject, blobs, children: parsed.manifests.map((child) => child.digest) });
  }

  async function bringBlob(blob: { digest: Digest; size: number; mediaType: string }): Promise<void> {
    if (blob.size > MAX_LAYER_BYTES) throw new NaruError('too-large', `blob ${blob.digest} has ${blob.size} bytes, more than ${MAX_LAYER_BYTES}`);
    const id = shortId(blob.digest);
    if (intake.has(blob.digest)) return feed.step(id, 'Already exists');
    const free = await slots.take(signal);
    try {
      let current = 0;
      async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
        for await (const chunk of repository.blob(blob as Descriptor, { signal })) {
          feed.count(id, 'Downloading', { current: (current += chunk.byteLength), total: blob.size });
          yield chunk;
        }
      }
      await intake.putBlob(blob, blob.size === 0 ? [] : counted());
      feed.step(id, 'Pull complete');
    } finally {
      free();
    }
  }

  await bring(top, 0);
  return documents;
}

/** Brings what refers to these manifests, and what refers to that. */
export async function bringReferrers(subjects: readonly Digest[], intake: DocumentIntake, copy: Copy): Promise<NewDocument[]> {
  const found = new Map<Digest, NewDocument>();
  let level = [...new Set(subjects)];
  for (let depth = 0; depth < MAX_DEPTH && level.length > 0; depth++) {
    const next: Digest[] = [];
    for (const subject of level) {
      for (const { digest } of await copy.repository.referrers(subject, copy.signal)) {
        if (found.has(digest)) continue;
        const documents = await bringDocument(await copy.repository.manifest(digest, copy.signal), intake, copy);
        const top = documents.at(-1)!;
        if (top.subject !== subject) continue; // the registry lists what does not say so itself
        for (const document of documents) found.set(document.digest, document);
        if (found.size > MAX_DOCUMENTS) throw new NaruError('too-large', `more than ${MAX_DOCUMENTS} documents refer to ${subjects[0]}`);
        next.push(digest);
      }
    }
    level = next;
  }
  return [...found.values()];
}

/** Sees to it that the registry has a document with all that belongs to it; `tag`: under which name beside its digest. */
export async function sendDocument(engine: EngineContext, document: StoredDocument, { repository, feed, signal, tag }: Copy & { tag?: string }): Promise<void> {
  const { documents } = engine.store;
  if (isIndexType(document.mediaType)) {
    for (const { digest } of (JSON.parse(Buffer.from(document.bytes).toString('utf8')) as Index).manifests) {
      const child = documents.get(digest);
      if (child === undefined) throw new NaruError('not-found', `manifest ${digest}, which ${document.digest} lists, is not here`);
      await sendDocument(engine, child, { repository, feed, signal });
    }
  }
  for (const blob of documents.blobs(document.digest)) {
    const id = shortId(blob.digest);
    if ((await repository.blobSize(blob.digest, signal)) === blob.size) {
      feed.step(id, 'Layer already exists');
      continue;
    }
    if (blob.size === 0) await repository.uploadBytes({ digest: blob.digest, bytes: new Uint8Array(0) }, signal);
    else await repository.upload(sourceOf(engine, blob, (current) => feed.count(id, 'Pushing', { current, total: blob.size })), signal);
    feed.step(id, 'Pushed');
  }
  const { mediaType, bytes, digest, artifactType } = document;
  const subject = subjectOf(bytes);
  if (tag !== undefined) await repository.putManifest(tag, { mediaType, bytes }, signal);
  if (subject !== undefined) {
    const { annotations } = parseManifest(bytes, mediaType);
    await repository.putReferrer(subject, { entry: { mediaType, digest, size: bytes.byteLength, ...(artifactType === undefined ? {} : { artifactType }), ...(annotations === undefined ? {} : { annotations }) }, bytes }, signal);
  } else if (tag === undefined) await repository.putManifest(digest, { mediaType, bytes }, signal);
}

function sourceOf({ store }: EngineContext, { digest, size }: { digest: Digest; size: number }, onProgress: (sent: number) => void): { open(): AsyncIterable<Uint8Array>; finish(): Promise<{ digest: Digest; size: number }> } {
  let actual: Digest | undefined;
  return {
    async *open() {
      const hash = createHash(digest.slice(0, digest.indexOf(':')));
      let sent = 0;
      for await (const chunk of store.documents.openBlob(digest) as AsyncIterable<Uint8Array>) {
        hash.update(chunk);
        onProgress((sent += chunk.byteLength));
        yield chunk;
      }
      actual = `${digest.slice(0, digest.indexOf(':'))}:${hash.digest('hex')}` as Digest;
    },
    async finish() {
      if (actual !== digest) throw new NaruError('corrupt', `blob ${digest} in the store is damaged`, { hint: 'naru system check --repair removes it: pull it again then' });
      return { digest, size };
    },
  };
}

/** Signatures that say for which repository they are, and it is another one. */
function isForeignSignature({ store }: EngineContext, document: StoredDocument, repository: string): boolean {
  const names = signaturesIn(store.documents, document).map((claim) => ('name' in claim && claim.name !== undefined ? repositoryOf(claim.name) : repository));
  return names.length > 0 && !names.includes(repository);
}

/** Sends what is kept here about a manifest: referrers by their subject, cosign's signatures under their tag unless that is taken. */
export async function sendReferrers(engine: EngineContext, subject: Digest, copy: Copy & { place: { domain: string; path: string } }, depth = 0): Promise<void> {
  if (depth >= MAX_DEPTH) return;
  for (const document of engine.store.documents.referrers(subject)) {
    if (isForeignSignature(engine, document, `${copy.place.domain}/${copy.place.path}`)) continue;
    if (subjectOf(document.bytes) !== undefined) {
      await sendDocument(engine, document, copy);
      await sendReferrers(engine, document.digest, copy, depth + 1);
      continue;
    }
    const tag = signatureTag(subject);
    const taken = await copy.repository.manifest(tag, copy.signal).then(() => true, (error: unknown) => {
      if (isKind(error, 'not-found')) return false;
      throw error;
    });
    if (!taken) await sendDocument(engine, document, { ...copy, tag });
  }
}
