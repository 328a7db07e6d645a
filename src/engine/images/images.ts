import { NaruError } from '#spec/errors.ts';
import type { ProgressMessage } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { Images } from '#api/engine-port.ts';
import { familiarTag, parseReference } from '#core/images/reference.ts';
import type { ImageRecord } from '#core/store.ts';
import type { EngineContext } from '../engine-context.ts';
import { findImage } from '../containers/create/find-image.ts';
import { pushManifestList, registryManifest } from '../registry/manifest-lists.ts';
import { pullImage } from '../registry/pull-image.ts';
import { ProgressFeed } from '../registry/progress-feed.ts';
import { pushImage } from '../registry/push-image.ts';
import { architecture } from '../system/version.ts';
import { fetchArchive } from './fetch-archive.ts';
import { imageEvent } from './image-event.ts';
import { addSignature, findArtifact, listReferrers, verifyImage } from './image-signatures.ts';
import { inspectArtifact, removeArtifact } from './inspect-artifact.ts';
import { imageHistory, inspectImage } from './inspect-image.ts';
import { listImages } from './list-images.ts';
import { findForPlatform, platformAsked, variantsOf } from './image-platforms.ts';
import { applyChanges } from './parse-changes.ts';
import { pruneImages, removeImage } from './remove-image.ts';

/** The API's images, over the store. */
export function createImages(engine: EngineContext): Images {
  const { images } = engine.store;
  const find = (name: string): ReturnType<typeof findImage> => findImage(images, name);
  return {
    list: (options) => listImages(engine, options),
    async inspect(name, { platform, manifests }) {
      if (manifests && platform !== '') throw new NaruError('invalid', 'conflicting options: manifests and platform options cannot both be set');
      const artifact = images.find(name) === undefined ? findArtifact(engine, name) : undefined;
      return artifact === undefined ? inspectImage(engine, findForPlatform(engine, name, platformAsked(platform)), { manifests }) : inspectArtifact(engine, artifact);
    },
    history: async (name, { platform }) => imageHistory(engine, findForPlatform(engine, name, platformAsked(platform))),
    async tag(name, repo, tag) {
      if (repo.includes('@')) throw new NaruError('invalid', 'refusing to create a tag with a digest reference');
      const artifact = images.find(name) === undefined ? findArtifact(engine, name) : undefined;
      if (artifact !== undefined) return engine.store.documents.name(artifact.digest, familiarTag(parseReference(tag === '' ? repo : `${repo}:${tag}`)));
      const image = find(name);
      const reference = tag === '' ? repo : `${repo}:${tag}`;
      const others = variantsOf(engine, image, name);
      images.tag(image.id, reference);
      for (const { id } of others) images.addVariant(reference, id);
      imageEvent(engine, { id: image.id, name: familiarTag(parseReference(reference)) }, 'tag');
    },
    async remove(name, { force }) {
      const artifact = images.find(name) === undefined ? findArtifact(engine, name) : undefined;
      const items = artifact === undefined ? removeImage(engine, name, { force }) : removeArtifact(engine, name, artifact);
      await images.reclaimed(); // who removes an image wants the space
      return items;
    },
    async prune(filters) {
      const report = await pruneImages(engine, filters);
      await images.reclaimed();
      return report;
    },
    async *load(archive, { quiet, platform }, signal): AsyncGenerator<ProgressMessage> {
      for await (const event of images.load(archive, signal, platform === '' ? {} : { platform: platformAsked(platform)! })) {
        if (event.kind === 'layer') {
          if (!quiet) yield { status: event.complete ? 'Loaded layer' : 'Loading layer', id: event.id, progressDetail: { current: event.done, total: event.total } };
          continue;
        }
        imageEvent(engine, { id: event.id, name: event.tag ?? event.id }, 'load');
        engine.watermark.look();
        yield { stream: event.tag === undefined ? `Loaded image ID: ${event.id}\n` : `Loaded image: ${event.tag}\n` };
      }
    },
    async *import(source, { repo, tag, message, changes, platform }, signal): AsyncGenerator<ProgressMessage> {
      const config = applyChanges({}, changes);
      const [os = 'linux', arch = architecture(), variant] = platform === '' ? [] : platform.split('/');
      if (os !== 'linux') throw new NaruError('unsupported', `cannot import an image for the operating system ${JSON.stringify(os)}`);
      const reference = repo === '' ? undefined : tag === '' ? repo : `${repo}:${tag}`;
      const feed = new ProgressFeed();
      const stop = new AbortController();
      const ends = AbortSignal.any([signal, stop.signal]);
      const make = async (): Promise<ImageRecord> => images.import(typeof source === 'string' ? await fetchArchive(source, feed, ends) : source, {
        config, comment: message || `Imported from ${typeof source === 'string' ? source : '-'}`, platform: { os, architecture: arch, ...(variant === undefined ? {} : { variant }) }, ...(reference === undefined ? {} : { reference }),
      }, ends);
      const image = yield* feed.during(make(), () => stop.abort());
      imageEvent(engine, { id: image.id, name: reference ?? image.id }, 'import');
      engine.watermark.look();
      yield { status: image.id };
    },
    async save(names, { platform }) {
      const asked = platformAsked(platform);
      const selection = selectImages(engine, names).map(({ id, tags }) => ({ id: asked === undefined ? id : findForPlatform(engine, tags[0] ?? id, asked).id, tags }));
      for (const { id } of selection) imageEvent(engine, { id, name: id }, 'save');
      return images.save(selection);
    },
    async *pull(reference, options, signal): AsyncGenerator<ProgressMessage> {
      yield* pullImage(engine, reference, options, signal);
      engine.watermark.look();
    },
    verify: (request, how) => verifyImage(engine, request, how),
    addSignature: (request, how) => addSignature(engine, request, how),
    registryManifest: (name, how) => registryManifest(engine, name, how),
    pushManifestList: (request, how) => pushManifestList(engine, request, how),
    referrers: (options, how) => listReferrers(engine, options, how),
    push: (reference, options, signal) => pushImage(engine, reference, options, signal),
  };
}

/** Names to images with the names that go into the archive: a repository alone means all of its tags, an id none. */
function selectImages({ store }: EngineContext, names: readonly string[]): { id: Digest; tags: string[] }[] {
  const chosen = new Map<Digest, Set<string>>();
  const add = (id: Digest, tag?: string): void => {
    const tags = chosen.get(id) ?? new Set();
    if (tag !== undefined) tags.add(tag);
    chosen.set(id, tags);
  };
  for (const name of names) {
    const bare = !name.includes('@') && !name.slice(name.lastIndexOf('/') + 1).includes(':');
    const prefix = bare && !/^[0-9a-f]{12,64}$/.test(name) ? `${familiarTag(parseReference(name)).replace(/:[^/:]*$/, '')}:` : undefined;
    let found = false;
    if (prefix !== undefined) {
      for (const image of store.images.list()) {
        for (const tag of image.tags) {
          if (!tag.startsWith(prefix)) continue;
          add(image.id, tag);
          found = true;
        }
      }
    }
    if (found) continue;
    const image = findImage(store.images, name);
    const tag = bare ? undefined : image.tags.find((own) => own === name || own === familiarTag(parseReference(name)));
    add(image.id, tag);
  }
  return [...chosen].map(([id, tags]) => ({ id, tags: [...tags] }));
}
