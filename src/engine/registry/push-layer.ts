import type { Descriptor } from '#spec/oci-image.ts';
import type { Slots } from '#core/transfers/slots.ts';
import type { KnownBlob, OutgoingLayer } from '#core/transfers/transfer-store.ts';
import type { AnswerElsewhere } from '#registry/client/dispatch.ts';
import { GZIP_LAYER, ZSTD_LAYER } from './compose-manifest.ts';
import type { Push } from './push.ts';

/** Repositories of the same registry that are asked for a blob. */
const MAX_MOUNTS = 3;

interface LayerPush extends Omit<Push, 'image' | 'tag'> { slots: Slots; /** Digests of the manifest that the image came by. */ original: readonly string[]; signal: AbortSignal; /** The image has no other layer. */ alone: boolean }

/**
 * Sees to it that the registry has one layer: it has it (in any compressed form that is known), takes it over from another of
 * its repositories, or gets it. The form it was pulled in comes first, so that the manifest can stay the same.
 */
export async function pushLayer(layer: OutgoingLayer, push: LayerPush): Promise<Descriptor> {
  const { engine, repository, place, feed, slots, signal } = push;
  const { transfers } = engine.store;
  const id = layer.diffId.slice('sha256:'.length).slice(0, 12);
  const here = `${place.domain}/${place.path}`;
  const free = await slots.take(signal);
  try {
    const known = layer.blobs.filter(({ mediaType }) => push.compression === undefined || mediaType.includes(push.compression.compression)).sort((a, b) => Number(push.original.includes(b.digest)) - Number(push.original.includes(a.digest)));
    for (const blob of known) {
      const size = await repository.blobSize(blob.digest, signal);
      if (size !== blob.size) continue;
      feed.step(id, 'Layer already exists');
      transfers.learn(layer.diffId, { ...blob, repositories: [here] });
      return descriptorOf(blob);
    }
    for (const blob of known) {
      const others = blob.repositories.filter((one) => one.startsWith(`${place.domain}/`) && one !== here).slice(0, MAX_MOUNTS);
      for (const from of others.map((one) => one.slice(place.domain.length + 1))) {
        if (!(await repository.mount(blob.digest, from, signal).catch(() => false))) continue;
        feed.step(id, `Mounted from ${from.replace(/^library\//, place.domain === 'docker.io' ? '' : 'library/')}`);
        transfers.learn(layer.diffId, { ...blob, repositories: [here] });
        return descriptorOf(blob);
      }
    }
    return await upload();
  } finally {
    free();
  }

  async function upload(): Promise<Descriptor> {
    const how = { ...(push.compression ?? { compression: repository.compression, level: 0 }), alone: push.alone };
    const compressed = transfers.compress(layer, how, signal);
    // The compressed size is known at the end only: what is counted is measured against the layer's own.
    const total = layer.tarSize;
    feed.count(id, 'Pushing', { current: 0, total });
    const count = (done: number): void => feed.count(id, 'Pushing', { current: Math.min(done, total), total });
    const { send } = compressed;
    const { digest, size } = await repository.upload({
      async *open() {
        let done = 0;
        for await (const chunk of compressed.open()) {
          count((done += chunk.byteLength));
          yield chunk;
        }
      },
      elsewhere: send === undefined ? undefined : (exchange) => send(exchange, count) as Promise<AnswerElsewhere>,
      finish: compressed.finish,
    }, signal);
    feed.step(id, 'Pushed');
    const blob: KnownBlob = { digest, size, mediaType: how.compression === 'zstd' ? ZSTD_LAYER : GZIP_LAYER, repositories: [here] };
    transfers.learn(layer.diffId, blob);
    return descriptorOf(blob);
  }
}

const descriptorOf = ({ digest, size, mediaType }: KnownBlob): Descriptor => ({ mediaType, digest, size });
