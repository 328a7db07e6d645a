import type { ImageDeleteItem, ImageInspect } from '#spec/engine-api.ts';
import type { StoredDocument } from '#core/documents/document-store.ts';
import { familiarName, familiarTag, parseReference } from '#core/images/reference.ts';
import { parseManifest } from '#registry/protocol/manifest.ts';
import type { EngineContext } from '../engine-context.ts';
import { imageEvent } from './image-event.ts';
import { keptReferrers } from './image-signatures.ts';

/** An artifact as `image inspect` shows it: what is told of an image and it has not is empty; its descriptor says what it is. */
export function inspectArtifact(engine: EngineContext, artifact: StoredDocument): ImageInspect {
  const { documents } = engine.store;
  const { digest, mediaType, artifactType, bytes } = artifact;
  const names = documents.names(digest);
  const blobs = documents.blobs(digest);
  const annotations = parseManifest(bytes, mediaType).annotations;
  const referrers = names[0] === undefined ? [] : keptReferrers(engine, names[0]);
  return {
    Id: digest, RepoTags: names.filter((name) => !name.includes('@')), RepoDigests: names.filter((name) => name.includes('@')), Parent: '', Comment: '', DockerVersion: '', Author: '',
    Config: {}, Architecture: '', Os: '', Size: bytes.byteLength + blobs.reduce((sum, { size }) => sum + size, 0),
    GraphDriver: { Name: 'overlay2', Data: null }, RootFS: { Type: 'layers', Layers: [] }, Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
    Descriptor: { mediaType, digest, size: bytes.byteLength, ...(artifactType === undefined ? {} : { artifactType }), ...(annotations === undefined ? {} : { annotations }) },
    'naru.Blobs': blobs.map((blob) => ({ MediaType: blob.mediaType, Digest: blob.digest, Size: blob.size })),
    ...(referrers.length === 0 ? {} : { 'naru.Referrers': referrers }),
  };
}

/** Takes one name away; with the last tag the digests of the same repository go, and then nothing keeps it. */
export function removeArtifact(engine: EngineContext, name: string, { digest }: StoredDocument): ImageDeleteItem[] {
  const { documents } = engine.store;
  const reference = parseReference(name);
  const items: ImageDeleteItem[] = [];
  const untag = (one: string): void => {
    if (documents.untag(one)) items.push({ Untagged: one });
  };
  untag(reference.digest === undefined ? familiarTag(reference) : `${familiarName(reference)}@${reference.digest}`);
  if (documents.names(digest).every((one) => one.includes('@'))) documents.names(digest).forEach(untag);
  documents.collect();
  if (documents.get(digest) === undefined) items.push({ Deleted: digest });
  imageEvent(engine, { id: digest, name }, 'untag');
  return items;
}
