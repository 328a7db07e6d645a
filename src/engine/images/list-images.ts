import { NaruError } from '#spec/errors.ts';
import type { Filters, ImageSummary } from '#spec/engine-api.ts';
import type { ImageRecord } from '#core/store.ts';
import type { EngineContext } from '../engine-context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels, untilFilter } from '../filters/match-filters.ts';
import { parseTime } from '../time/timestamps.ts';
import { manifestsOf } from './image-platforms.ts';
import { matchesReference } from './match-reference.ts';

const KEYS = new Set(['before', 'dangling', 'label', 'reference', 'since', 'until']);

/** Nanoseconds since the epoch; 0n when the image does not say. */
export const createdAt = ({ config }: ImageRecord): bigint => parseTime(config.created ?? '') ?? 0n;

/** `docker images`: newest first. Throws invalid for bad filters, not-found for images that `before` and `since` name. */
export async function listImages(engine: EngineContext, { filters, sharedSize, manifests }: { all: boolean; filters: Filters; sharedSize: boolean; digests: boolean; manifests: boolean }): Promise<ImageSummary[]> {
  const { images } = engine.store;
  const accepts = imageFilter(engine, filters);
  const all = images.list();
  const users = new Map<string, number>();
  for (const { imageId } of engine.containers.all()) users.set(imageId, (users.get(imageId) ?? 0) + 1);
  const shared = sharedSize ? sharedSizes(all) : undefined;
  const patterns = filters.get('reference') ?? [];
  return all
    .filter((image) => image.variantOf.length === 0 || image.tags.length > 0)
    .filter(accepts)
    .sort((a, b) => (createdAt(a) < createdAt(b) ? 1 : createdAt(a) > createdAt(b) ? -1 : 0))
    .map((image) => ({
      Id: image.id, ParentId: image.config.parent ?? '',
      RepoTags: patterns.length === 0 ? [...image.tags] : image.tags.filter((tag) => patterns.some((pattern) => matchesReference(pattern, tag))),
      RepoDigests: patterns.length === 0 ? [...image.digests] : image.digests.filter((digest) => patterns.some((pattern) => matchesReference(pattern, digest.replace(/@.*$/, '')))), Created: Number(createdAt(image) / 1_000_000_000n), Size: image.size, SharedSize: shared?.get(image.id) ?? -1,
      Labels: image.config.config?.Labels ?? null, Containers: sharedSize ? users.get(image.id) ?? 0 : -1,
      ...(manifests ? { Manifests: manifestsOf(engine, image) } : {}),
    }));
}

/** Bytes of layers that another image has too. */
function sharedSizes(all: readonly ImageRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const image of all) for (const chain of image.chainIds) counts.set(chain, (counts.get(chain) ?? 0) + 1);
  return new Map(all.map((image) => [image.id, image.chainIds.reduce((sum, chain, i) => sum + ((counts.get(chain) ?? 0) > 1 ? image.layerSizes[i] ?? 0 : 0), 0)]));
}

/** The filters of `images` and `image prune` as one predicate. */
export function imageFilter({ store }: EngineContext, filters: Filters): (image: ImageRecord) => boolean {
  checkFilterKeys(filters, KEYS);
  const dangling = booleanFilter(filters, 'dangling');
  const until = untilFilter(filters);
  const boundary = (key: string): bigint[] => (filters.get(key) ?? []).map((name) => {
    const image = store.images.find(name);
    if (image === undefined) throw new NaruError('not-found', `No such image: ${name}`);
    return createdAt(image);
  });
  const before = boundary('before');
  const since = boundary('since');
  const patterns = filters.get('reference') ?? [];
  return (image) =>
    (dangling === undefined || (image.tags.length === 0 && image.digests.length === 0) === dangling) &&
    (until === undefined || createdAt(image) < until) &&
    before.every((time) => createdAt(image) < time) &&
    since.every((time) => createdAt(image) > time) &&
    (patterns.length === 0 || image.tags.some((tag) => patterns.some((pattern) => matchesReference(pattern, tag)))) &&
    matchesLabels(filters, image.config.config?.Labels);
}
