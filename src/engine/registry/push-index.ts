import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Index, Platform } from '#spec/oci-image.ts';
import { familiarName } from '#core/images/reference.ts';
import type { ImageRecord } from '#core/store.ts';
import { digestOf } from '#registry/protocol/digest.ts';
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX } from '#registry/protocol/media-types.ts';
import type { EngineContext } from '../engine-context.ts';
import type { PushedManifest } from './compose-manifest.ts';
import { sendDocument, sendReferrers } from './copy-documents.ts';
import type { Push } from './push.ts';
import { pushOne } from './push-one.ts';

interface Member { readonly image: ImageRecord; readonly manifest: PushedManifest }

/**
 * Pushes all platforms that stand behind a tag, and under the tag an index of them: the one that they came by when all that it lists is
 * here (so its digest stays), else a new one of what is here.
 */
export async function pushIndex(push: Omit<Push, 'image'>, images: readonly ImageRecord[], signal: AbortSignal): Promise<PushedManifest> {
  const { engine, repository, feed, place, tag } = push;
  const members: Member[] = [];
  for (const image of images) members.push({ image, manifest: await pushOne({ ...push, image, tag: undefined }, signal) });
  const original = indexOf(engine, members);
  for (const { digest } of original === undefined ? [] : listedIn(original.bytes)) {
    const document = members.some(({ manifest }) => manifest.digest === digest) ? undefined : engine.store.documents.get(digest);
    if (document !== undefined) await sendDocument(engine, document, { repository, feed, signal });
  }
  const index = original ?? composeIndex(members);
  await repository.putManifest(tag!, index, signal);
  await sendReferrers(engine, index.digest, { repository, feed, signal, place });
  if (original === undefined) {
    using intake = engine.store.documents.intake();
    intake.put([{ ...index, artifactType: undefined, subject: undefined, blobs: [], children: members.map(({ manifest }) => manifest.digest) }]);
    const [front] = members as [Member, ...Member[]];
    engine.store.transfers.adopt(front.image.id, front.manifest, [`${familiarName(place)}@${index.digest}`]);
  }
  return index;
}

const listedIn = (index: Uint8Array): Descriptor[] => (JSON.parse(Buffer.from(index).toString('utf8')) as Index).manifests;

/** What lists all of them, and nothing that is not here. */
function indexOf({ store }: EngineContext, members: readonly Member[]): PushedManifest | undefined {
  const pushed = new Set<Digest>(members.map(({ manifest }) => manifest.digest));
  return store.documents.parents(members[0]!.manifest.digest).find(({ bytes }) => {
    const listed = listedIn(bytes).map(({ digest }) => digest);
    return [...pushed].every((digest) => listed.includes(digest)) && listed.every((digest) => pushed.has(digest) || store.documents.get(digest) !== undefined);
  });
}

function composeIndex(members: readonly Member[]): PushedManifest {
  const mediaType = members.every(({ manifest }) => manifest.mediaType === DOCKER_MANIFEST) ? DOCKER_MANIFEST_LIST : OCI_INDEX;
  const manifests = members.map(({ image, manifest }): Descriptor => ({ mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.byteLength, platform: platformOf(image) }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests } satisfies Index, undefined, 3));
  return { mediaType, bytes, digest: digestOf(bytes) };
}

const platformOf = ({ config }: ImageRecord): Platform => ({
  architecture: config.architecture, os: config.os,
  ...(config['os.version'] === undefined ? {} : { 'os.version': config['os.version'] }), ...(config.variant === undefined ? {} : { variant: config.variant }),
});
