import { isKind } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Manifest } from '#spec/oci-image.ts';
import type { DocumentStore, NewDocument, StoredDocument } from '#core/documents/document-store.ts';
import type { Repository } from '#registry/client/repository.ts';
import { readSignatures } from '#registry/signatures/read-signatures.ts';
import { isSignatureType, SIGNATURE_LAYER, signatureTag, type SignatureDocument, type SignatureForm } from '#registry/signatures/signature.ts';

/** A payload, larger than any that means well. */
const MAX_BLOB = 1 << 20;
const MAX_DOCUMENTS = 64;

export interface FoundSignatures { readonly subject: Digest; readonly document: SignatureDocument }

/** Signatures of these manifests in their registry, in all three forms. */
export async function signaturesInRegistry(repository: Repository, digests: readonly Digest[], signal: AbortSignal): Promise<FoundSignatures[]> {
  const found: FoundSignatures[] = [];
  for (const subject of digests) {
    const byTag = await repository.manifest(signatureTag(subject), signal).catch((error: unknown) => {
      if (isKind(error, 'not-found')) return undefined;
      throw error;
    });
    if (byTag !== undefined) found.push({ subject, document: await complete(repository, { ...byTag, artifactType: undefined, form: 'tag' }, signal) });
    for (const entry of (await repository.referrers(subject, signal)).filter(({ artifactType }) => isSignatureType(artifactType)).slice(0, MAX_DOCUMENTS)) {
      const manifest = await repository.manifest(entry.digest, signal);
      found.push({ subject, document: await complete(repository, { ...manifest, artifactType: manifest.parsed.artifactType, form: formOf(manifest.parsed.artifactType) }, signal) });
    }
  }
  return found;
}

const formOf = (artifactType: string | undefined): SignatureForm => (artifactType?.includes('sigstore.bundle') === true ? 'bundle' : 'referrer');

const layersOf = (bytes: Uint8Array): Descriptor[] => {
  const { layers } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Manifest;
  return Array.isArray(layers) ? layers.slice(0, MAX_DOCUMENTS) : [];
};

async function complete(repository: Repository, { digest, mediaType, bytes, artifactType, form }: Omit<SignatureDocument, 'blobs'>, signal: AbortSignal): Promise<SignatureDocument> {
  const blobs = new Map<Digest, Uint8Array>();
  const { config } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Manifest;
  for (const blob of [config, ...layersOf(bytes)]) if (blob !== undefined && blob.size <= MAX_BLOB && !blobs.has(blob.digest)) blobs.set(blob.digest, await repository.document(blob, signal));
  return { digest, mediaType, bytes, artifactType, form, blobs };
}

/** Signatures that were kept here. */
export function signaturesInStore(documents: DocumentStore, digests: readonly Digest[]): FoundSignatures[] {
  return digests.flatMap((subject) => documents.referrers(subject).flatMap((stored) => documentIn(documents, stored)).map((document) => ({ subject, document })));
}

/** What the signatures of a kept document claim. */
export const signaturesIn = (documents: DocumentStore, stored: StoredDocument): ReturnType<typeof readSignatures> => documentIn(documents, stored).flatMap(readSignatures);

function documentIn(documents: DocumentStore, { digest, mediaType, artifactType, bytes }: StoredDocument): SignatureDocument[] {
  const blobs = documents.blobs(digest);
  const tagged = artifactType === undefined && blobs.some((blob) => blob.mediaType === SIGNATURE_LAYER);
  if (!tagged && !isSignatureType(artifactType)) return [];
  const small = blobs.filter(({ size }) => size <= MAX_BLOB).flatMap((blob): [Digest, Uint8Array][] => {
    try {
      return [[blob.digest, documents.readBlob(blob.digest)]];
    } catch {
      return []; // said by readSignatures
    }
  });
  return [{ digest, mediaType, artifactType, bytes, form: tagged ? 'tag' : formOf(artifactType), blobs: new Map(small) }];
}

/** As the store keeps it. */
export async function keepSignatures(documents: DocumentStore, found: readonly FoundSignatures[]): Promise<void> {
  if (found.length === 0) return;
  using intake = documents.intake();
  const kept: NewDocument[] = [];
  for (const { subject, document } of found) {
    const { config } = JSON.parse(Buffer.from(document.bytes).toString('utf8')) as Manifest;
    const blobs = [config, ...layersOf(document.bytes)].filter(({ digest }) => document.blobs.has(digest));
    for (const blob of blobs) await intake.putBlob(blob, [document.blobs.get(blob.digest)!]);
    kept.push({ digest: document.digest, mediaType: document.mediaType, artifactType: document.artifactType, bytes: document.bytes, subject, blobs });
  }
  intake.put(kept);
}
