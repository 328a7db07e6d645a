import { NaruError } from '#spec/errors.ts';
import type { ProgressMessage } from '#spec/engine-api.ts';
import { createHash } from 'node:crypto';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor } from '#spec/oci-image.ts';
import { familiarName, parseReference } from '#core/images/reference.ts';
import type { ImageRecord } from '#core/store.ts';
import { createSlots, type Slots } from '#core/transfers/slots.ts';
import type { OutgoingLayer } from '#core/transfers/transfer-store.ts';
import { parseRegistryAuth } from '#registry/client/credentials.ts';
import { openRepository, type Repository } from '#registry/client/repository.ts';
import type { EngineContext } from '../engine-context.ts';
import { findForPlatform, platformAsked } from '../images/image-platforms.ts';
import { imageEvent } from '../images/image-event.ts';
import { composeManifest, DOCKER_CONFIG, type PushedManifest } from './compose-manifest.ts';
import { sendDocument, sendReferrers } from './copy-documents.ts';
import { ProgressFeed } from './progress-feed.ts';
import { pushLayer } from './push-layer.ts';
import { registryOptions } from './registry-options.ts';

/** Layers that travel at the same time. */
const UPLOADS = 3;

/** `POST /images/{name}/push`: one tag, or without a tag all tags of the repository that are here. */
export async function* pushImage(engine: EngineContext, name: string, options: { auth: string; platform: string; compression: string; level: number }, signal: AbortSignal): AsyncGenerator<ProgressMessage, void, undefined> {
  const reference = parseReference(name);
  const familiar = familiarName(reference);
  if (reference.digest !== undefined) throw new NaruError('invalid', 'cannot push a digest reference');
  const artifact = reference.tag === undefined ? undefined : engine.store.documents.find(`${familiar}:${reference.tag}`);
  const platform = platformAsked(options.platform);
  const selection = artifact !== undefined ? [] : tagsOf(engine, { familiar, tag: reference.tag }).map(({ tag, image }) => ({ tag, image: platform === undefined ? image : findForPlatform(engine, `${familiar}:${tag}`, platform) }));
  const compression = compressionAsked(options);
  const credentials = parseRegistryAuth(options.auth);
  const repository = openRepository({ ...reference, familiar }, credentials, registryOptions(engine));
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal, engine.closing]);
  try {
    yield { status: `The push refers to repository [${reference.domain}/${reference.path}]` };
    if (artifact !== undefined) {
      const feed = new ProgressFeed();
      const copy = { repository, feed, signal: until };
      yield* feed.during(sendDocument(engine, artifact, { ...copy, tag: reference.tag! }).then(() => sendReferrers(engine, artifact.digest, { ...copy, place: reference })), () => stop.abort());
      engine.store.documents.name(artifact.digest, `${familiar}@${artifact.digest}`);
      yield { status: `${reference.tag}: digest: ${artifact.digest} size: ${artifact.bytes.byteLength}` };
      yield { progressDetail: {}, aux: { Tag: reference.tag!, Digest: artifact.digest, Size: artifact.bytes.byteLength } };
    }
    for (const { tag, image } of selection) {
      const feed = new ProgressFeed();
      const place = { domain: reference.domain, path: reference.path };
      const manifest = yield* feed.during(pushOne({ engine, repository, image, tag, place, feed, compression }, until), () => stop.abort());
      imageEvent(engine, { id: `${familiar}:${tag}`, name: familiar }, 'push');
      yield { status: `${tag}: digest: ${manifest.digest} size: ${manifest.bytes.byteLength}` };
      yield { progressDetail: {}, aux: { Tag: tag, Digest: manifest.digest, Size: manifest.bytes.byteLength } };
    }
  } finally {
    repository.close();
  }
}

/** `--compression` and its level. Throws `invalid`. undefined: as the registry's file says, and what is there in another form will do. */
function compressionAsked({ compression, level }: { compression: string; level: number }): Push['compression'] {
  if (compression === '') {
    if (level !== 0) throw new NaruError('invalid', 'a compression level needs a compression', { hint: 'give --compression gzip or zstd' });
    return undefined;
  }
  if (compression !== 'gzip' && compression !== 'zstd') throw new NaruError('invalid', `unknown compression ${JSON.stringify(compression)}`, { hint: 'gzip or zstd' });
  const most = compression === 'gzip' ? 9 : 22;
  if (level < 0 || level > most) throw new NaruError('invalid', `compression level ${level} is outside the range of 1 to ${most} of ${compression}`);
  return { compression, level };
}

function tagsOf({ store }: EngineContext, { familiar, tag }: { familiar: string; tag: string | undefined }): { tag: string; image: ImageRecord }[] {
  const all = tag === undefined
    ? store.images.list().flatMap((image) => image.tags.filter((own) => own.startsWith(`${familiar}:`) && !own.slice(familiar.length + 1).includes('/')).map((own) => ({ tag: own.slice(familiar.length + 1), image })))
    : [store.images.find(`${familiar}:${tag}`)].flatMap((image) => (image === undefined ? [] : [{ tag, image }]));
  if (all.length > 0) return all.sort((a, b) => (a.tag < b.tag ? -1 : 1));
  throw new NaruError('not-found', tag === undefined ? `An image does not exist locally with the tag: ${familiar}` : `tag does not exist: ${familiar}:${tag}`);
}

export interface Push { engine: EngineContext; repository: Repository; image: ImageRecord; tag: string; place: { domain: string; path: string }; feed: ProgressFeed; /** What layers must be compressed with. */ compression: { compression: 'gzip' | 'zstd'; level: number } | undefined }

async function pushOne(push: Push, signal: AbortSignal): Promise<PushedManifest> {
  const { engine, repository, image, tag, feed } = push;
  const { transfers } = engine.store;
  const layers = transfers.layersOf(image.id);
  const original = transfers.manifestOf(image.id);
  const unique = new Map<Digest, OutgoingLayer>(layers.map((layer) => [layer.diffId, layer]));
  // Docker lists the topmost first.
  const order = [...unique.values()].reverse();
  for (const layer of order) feed.step(shortId(layer.diffId), 'Preparing');
  for (const layer of order.slice(UPLOADS + 2)) feed.step(shortId(layer.diffId), 'Waiting');

  const slots = createSlots(UPLOADS);
  const pushed = await pushAll([...unique.values()], { push, slots, original: layersIn(original?.bytes), signal });
  const config = transfers.configOf(image.id);
  const manifest = composeManifest({ config: { digest: image.id, size: config.byteLength, mediaType: DOCKER_CONFIG }, layers: layers.map(({ diffId }) => pushed.get(diffId)!), original });
  if ((await repository.blobSize(image.id, signal)) === undefined) await repository.uploadBytes({ digest: image.id, bytes: config }, signal);
  await repository.putManifest(tag, manifest, signal);
  const digest = `sha256:${createHash('sha256').update(manifest.bytes).digest('hex')}` as Digest;
  await sendReferrers(engine, digest, { repository, feed, signal, place: push.place });
  transfers.adopt(image.id, { ...manifest, digest }, [`${familiarName(push.place)}@${digest}`]);
  return { ...manifest, digest };
}

async function pushAll(layers: readonly OutgoingLayer[], { push, slots, original, signal }: { push: Push; slots: Slots; original: readonly string[]; signal: AbortSignal }): Promise<Map<Digest, Descriptor>> {
  const failed = new AbortController();
  const until = AbortSignal.any([signal, failed.signal]);
  const pushed = new Map<Digest, Descriptor>();
  let cause: unknown;
  await Promise.all(layers.map(async (layer) => {
    try {
      pushed.set(layer.diffId, await pushLayer(layer, { ...push, slots, original, signal: until }));
    } catch (error) {
      cause ??= error;
      failed.abort();
    }
  }));
  if (cause !== undefined) throw cause;
  return pushed;
}

const layersIn = (manifest: Uint8Array | undefined): string[] =>
  manifest === undefined ? [] : ((JSON.parse(Buffer.from(manifest).toString('utf8')) as { layers?: Descriptor[] }).layers ?? []).map(({ digest }) => digest);

export const shortId = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);
