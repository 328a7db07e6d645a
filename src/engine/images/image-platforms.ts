import { NaruError } from '#spec/errors.ts';
import type { ImageManifestSummary } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Index, Platform } from '#spec/oci-image.ts';
import { familiarTag, parseReference } from '#core/images/reference.ts';
import type { ImageRecord } from '#core/store.ts';
import { fitness, formatPlatform, parsePlatform } from '#registry/client/platform.ts';
import { findImage } from '../containers/create/find-image.ts';
import type { EngineContext } from '../engine-context.ts';

/** `--platform`, as the API has it: an OCI platform in JSON, or `os/architecture/variant`. '' is undefined: whatever is there. */
export function platformAsked(text: string): Platform | undefined {
  if (text === '') return undefined;
  if (!text.startsWith('{')) return parsePlatform(text);
  let fields: Partial<Record<string, unknown>>;
  try {
    fields = JSON.parse(text) as Partial<Record<string, unknown>>;
  } catch (cause) {
    throw new NaruError('invalid', `failed to parse platform: ${text.slice(0, 100)}`, { cause });
  }
  const { os, architecture, variant } = fields;
  if (typeof os !== 'string' || typeof architecture !== 'string') throw new NaruError('invalid', 'both OS and Architecture must be provided');
  return parsePlatform([os, architecture, ...(typeof variant === 'string' && variant !== '' ? [variant] : [])].join('/'));
}

/** The image of a name for a platform: its own, or one that stands behind the same tag. Throws not-found in Docker's words. */
export function findForPlatform(engine: EngineContext, name: string, platform: Platform | undefined): ImageRecord {
  const image = findImage(engine.store.images, name);
  if (platform === undefined || fitness(image.config, platform) > 0) return image;
  const other = variantsOf(engine, image, name).find(({ config }) => fitness(config, platform) > 0);
  if (other !== undefined) return other;
  throw new NaruError('not-found', `image with reference ${name} was found but its platform (${formatPlatform(image.config)}) does not match the specified platform (${formatPlatform(platform)})`);
}

/** Images for other platforms behind this name, or behind any tag of the image when the name is none. */
export function variantsOf({ store }: EngineContext, image: ImageRecord, name?: string): ImageRecord[] {
  const asked = name === undefined ? undefined : tagOf(name);
  const tags = asked !== undefined && image.tags.includes(asked) ? [asked] : image.tags;
  return [...new Map(tags.flatMap((tag) => store.images.variants(tag)).map((one) => [one.id, one])).values()];
}

function tagOf(name: string): string | undefined {
  try {
    return familiarTag(parseReference(name));
  } catch {
    return undefined;
  }
}

/** What the index lists that an image came by, or the image alone: API 1.47 and newer. */
export function manifestsOf(engine: EngineContext, image: ImageRecord): ImageManifestSummary[] {
  const { transfers, documents } = engine.store;
  const here = new Map<string, ImageRecord>();
  for (const one of [image, ...variantsOf(engine, image)]) for (const { digest } of transfers.manifestsOf(one.id)) here.set(digest, one);
  const own = transfers.manifestsOf(image.id)[0];
  const index = own === undefined ? undefined : documents.parents(own.digest).find(({ digest }) => image.digests.some((name) => name.endsWith(`@${digest}`))) ?? documents.parents(own.digest)[0];
  const listed = index === undefined ? [] : (JSON.parse(Buffer.from(index.bytes).toString('utf8')) as Index).manifests;
  if (listed.length > 0) return listed.map((descriptor) => summaryOf(engine, descriptor, here.get(descriptor.digest)));
  const descriptor: Descriptor = own === undefined
    ? { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.id, size: transfers.configOf(image.id).byteLength }
    : { mediaType: own.mediaType, digest: own.digest, size: own.bytes.byteLength };
  return [summaryOf(engine, descriptor, image)];
}

function summaryOf(engine: EngineContext, descriptor: Descriptor, image: ImageRecord | undefined): ImageManifestSummary {
  const { mediaType, digest, size, annotations } = descriptor;
  const subject = annotations?.['vnd.docker.reference.type'] === 'attestation-manifest' ? annotations['vnd.docker.reference.digest'] : undefined;
  const unpacked = image?.size ?? 0;
  const common = { ID: digest, Descriptor: { mediaType, digest, size, ...(annotations === undefined ? {} : { annotations }), ...(descriptor.platform === undefined ? {} : { platform: descriptor.platform }) }, Available: image !== undefined, Size: { Content: 0, Total: unpacked } };
  if (subject !== undefined) return { ...common, Kind: 'attestation', AttestationData: { For: subject } };
  const platform = descriptor.platform ?? { os: image?.config.os ?? '', architecture: image?.config.architecture ?? '', ...(image?.config.variant === undefined ? {} : { variant: image.config.variant }) };
  const users = image === undefined ? [] : engine.containers.all().filter(({ imageId }) => imageId === image.id).map(({ id }) => id);
  return { ...common, Kind: 'image', ImageData: { Platform: platform, Containers: users, Size: { Unpacked: unpacked } } };
}

/** What a name means as a whole: the index when the image came by one. API 1.48. */
export function descriptorOf(engine: EngineContext, image: ImageRecord): Descriptor | undefined {
  const own = engine.store.transfers.manifestsOf(image.id)[0];
  if (own === undefined) return undefined;
  const index = engine.store.documents.parents(own.digest).find(({ digest }) => image.digests.some((name) => name.endsWith(`@${digest}`)));
  return { mediaType: (index ?? own).mediaType, digest: (index ?? own).digest, size: (index ?? own).bytes.byteLength };
}

/** After a pull by an index moved a tag: the images that stood behind it and are of the same index stay behind it, this machine's own in front. */
export function joinVariants(engine: EngineContext, tag: string, { index, before, byDigest }: { index: Digest; before: readonly ImageRecord[]; /** `name@digest` of the index */ byDigest: string }): void {
  const { images, transfers, documents } = engine.store;
  const inIndex = before.filter(({ id }) => images.get(id) !== undefined && transfers.manifestsOf(id).some(({ digest }) => documents.parents(digest).some((parent) => parent.digest === index)));
  const now = images.find(tag);
  if (now === undefined || inIndex.every(({ id }) => id === now.id)) return;
  const all = [...new Map([now, ...inIndex].map((image) => [image.id, image])).values()];
  const front = all.find(({ config }) => fitness(config, parsePlatform('')) > 0) ?? now;
  if (front.id !== now.id) {
    images.tag(front.id, tag);
    transfers.adopt(front.id, transfers.manifestsOf(front.id)[0]!, [byDigest]);
  }
  for (const { id } of all) if (id !== front.id) images.addVariant(tag, id);
}
