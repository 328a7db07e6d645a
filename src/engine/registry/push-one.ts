import { createHash } from 'node:crypto';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor } from '#spec/oci-image.ts';
import { familiarName } from '#core/images/reference.ts';
import { createSlots, type Slots } from '#core/transfers/slots.ts';
import type { OutgoingLayer } from '#core/transfers/transfer-store.ts';
import { composeManifest, DOCKER_CONFIG, type PushedManifest } from './compose-manifest.ts';
import { sendReferrers } from './copy-documents.ts';
import type { Push } from './push.ts';
import { pushLayer } from './push-layer.ts';

/** Layers that travel at the same time. */
const UPLOADS = 3;

/** One image with its layers, its config, its manifest and what refers to it. */
export async function pushOne(push: Push, signal: AbortSignal): Promise<PushedManifest> {
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
  const digest = `sha256:${createHash('sha256').update(manifest.bytes).digest('hex')}` as Digest;
  await repository.putManifest(tag ?? digest, manifest, signal);
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
      pushed.set(layer.diffId, await pushLayer(layer, { ...push, slots, original, signal: until, alone: layers.length === 1 }));
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
