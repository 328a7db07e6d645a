import { NaruError } from '#spec/errors.ts';
import type { Filters, ImageDeleteItem, PruneReport } from '#spec/engine-api.ts';
import type { ImageRecord } from '#core/store.ts';
import type { EngineContext } from '../engine-context.ts';
import { booleanFilter } from '../filters/match-filters.ts';
import type { Container } from '../containers/container.ts';
import { noSuchImage } from '../containers/create/find-image.ts';
import { imageFilter } from './list-images.ts';
import { imageEvent } from './image-event.ts';

const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12);

/** Containers that were made from it, or have it mounted. */
export const usersOf = ({ containers }: EngineContext, image: ImageRecord): Container[] =>
  containers.all().filter((container) => container.imageId === image.id || container.doc.mounts.some((mount) => mount.type === 'image' && mount.source === image.id));

/** `docker rmi`: a name is untagged; the image goes with its last name. Throws conflict, in Docker's words, while containers need it. */
export function removeImage(engine: EngineContext, name: string, { force }: { force: boolean }): ImageDeleteItem[] {
  const { images } = engine.store;
  const image = images.find(name);
  if (image === undefined) throw noSuchImage(name);
  const users = usersOf(engine, image);
  const running = users.find((container) => container.task !== undefined);
  const byId = isIdOf(image, name);
  const items: ImageDeleteItem[] = [];
  if (!byId) {
    const tag = nameOf(image, name);
    const last = image.tags.length <= 1 && image.digests.every((digest) => digest.startsWith(`${repositoryOf(tag)}@`));
    if (last && users.length > 0 && (!force || running !== undefined)) {
      const user = running ?? users[0]!;
      throw new NaruError('conflict', running === undefined
        ? `conflict: unable to remove repository reference "${name}" (must force) - container ${user.shortId} is using its referenced image ${shortId(image.id)}`
        : `conflict: unable to delete ${name} (cannot be forced) - container ${user.shortId} is using its referenced image ${shortId(image.id)}`);
    }
    untag(engine, { image, tag, items });
    // A repository's digests go with its last tag, else an image that was pushed under another name would stay for ever.
    if (!image.tags.some((other) => other !== tag && repositoryOf(other) === repositoryOf(tag))) {
      for (const digest of image.digests) if (digest.startsWith(`${repositoryOf(tag)}@`) && engine.store.images.untag(digest)) items.push({ Untagged: digest });
    }
    if (!last) return items;
    if (users.length > 0) return items;
    deleteImage(engine, image, items);
    return items;
  }
  if (running !== undefined) throw new NaruError('conflict', `conflict: unable to delete ${shortId(image.id)} (cannot be forced) - image is being used by running container ${running.shortId}`);
  if (users.length > 0 && !force) throw new NaruError('conflict', `conflict: unable to delete ${shortId(image.id)} (must be forced) - image is being used by stopped container ${users[0]!.shortId}`);
  if (image.tags.length > 1 && !force && repositories(image).size > 1) {
    throw new NaruError('conflict', `conflict: unable to delete ${shortId(image.id)} (must be forced) - image is referenced in multiple repositories`);
  }
  for (const tag of image.tags) untag(engine, { image, tag, items });
  for (const digest of image.digests) items.push({ Untagged: digest });
  if (users.length === 0) deleteImage(engine, image, items);
  return items;
}

const repositoryOf = (tag: string): string => tag.replace(/:[^/:]*$/, '');
const repositories = ({ tags }: ImageRecord): Set<string> => new Set(tags.map(repositoryOf));

const isIdOf = ({ id }: ImageRecord, name: string): boolean => {
  const hex = name.replace(/^sha256:/, '');
  return /^[0-9a-f]+$/.test(hex) && id.slice('sha256:'.length).startsWith(hex);
};

/** The tag that this name means: as it stands, or with `:latest`. */
function nameOf(image: ImageRecord, name: string): string {
  const bare = name.replace(/^(docker\.io\/)?(library\/)?/, '');
  const candidates = [name, `${name}:latest`, bare, `${bare}:latest`];
  return candidates.find((candidate) => image.tags.includes(candidate)) ?? name;
}

function untag(engine: EngineContext, { image, tag, items }: { image: ImageRecord; tag: string; items: ImageDeleteItem[] }): void {
  const behind = engine.store.images.variants(tag);
  if (!engine.store.images.untag(tag)) return;
  items.push({ Untagged: tag });
  imageEvent(engine, { id: image.id, name: image.id }, 'untag');
  for (const { id } of behind) removeLeftOver(engine, id, items);
}

/** An image of another platform goes with the last tag that it stood behind. */
function removeLeftOver(engine: EngineContext, id: ImageRecord['id'], items: ImageDeleteItem[]): void {
  const image = engine.store.images.get(id);
  if (image !== undefined && image.tags.length + image.variantOf.length === 0 && usersOf(engine, image).length === 0) deleteImage(engine, image, items);
}

/** Returns the bytes that came back. */
function deleteImage(engine: EngineContext, image: ImageRecord, items: ImageDeleteItem[]): number {
  const { deleted, bytes } = engine.store.images.delete(image.id);
  items.push(...deleted.map((id) => ({ Deleted: id })));
  imageEvent(engine, { id: image.id, name: image.id }, 'delete');
  return bytes;
}

/** Takes all names from an image that nothing uses, and deletes it. */
export function deleteUnused(engine: EngineContext, image: ImageRecord): number {
  const items: ImageDeleteItem[] = [];
  for (const tag of image.tags) untag(engine, { image, tag, items });
  return engine.store.images.get(image.id) === undefined ? 0 : deleteImage(engine, image, items);
}

/** Images without a name, or all that no container uses. */
export async function pruneImages(engine: EngineContext, filters: Filters): Promise<PruneReport> {
  const dangling = booleanFilter(filters, 'dangling') ?? true;
  const rest = new Map([...filters].filter(([key]) => key !== 'dangling'));
  const notLabels = rest.get('label!') ?? [];
  rest.delete('label!');
  const accepts = imageFilter(engine, rest);
  const report: PruneReport & { ImagesDeleted: ImageDeleteItem[] } = { ImagesDeleted: [], SpaceReclaimed: 0 };
  for (const image of engine.store.images.list()) {
    if (engine.store.images.get(image.id) === undefined) continue; // went with the tag that it stood behind
    if (dangling && image.tags.length + image.variantOf.length > 0) continue;
    if (!accepts(image) || usersOf(engine, image).length > 0) continue;
    const labels = image.config.config?.Labels ?? {};
    if (notLabels.some((wanted) => (wanted.includes('=') ? labels[wanted.split('=', 1)[0]!] === wanted.slice(wanted.indexOf('=') + 1) : Object.hasOwn(labels, wanted)))) continue;
    for (const tag of image.tags) untag(engine, { image, tag, items: report.ImagesDeleted });
    report.SpaceReclaimed += deleteImage(engine, image, report.ImagesDeleted);
  }
  // What a pull left that nobody came back for, and documents that nothing keeps: no filter speaks of those.
  if (rest.size === 0 && notLabels.length === 0) report.SpaceReclaimed += engine.store.transfers.prunePartials();
  report.SpaceReclaimed += engine.store.documents.collect();
  engine.events.emit('image', 'prune', { id: '', attributes: { reclaimed: String(report.SpaceReclaimed) } });
  return report;
}
