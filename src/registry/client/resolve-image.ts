import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Index, Manifest, Platform } from '#spec/oci-image.ts';
import { isIndexType, isNonDistributable } from '../protocol/media-types.ts';
import type { FetchedManifest } from './fetch-manifest.ts';
import { fitness, formatPlatform } from './platform.ts';

/** What a reference means on one platform. */
export interface ResolvedImage {
  /** What the reference names: its digest is the one that `pull` prints. */
  readonly top: FetchedManifest;
  /** Indexes on the way from there to the manifest, `top` first. */
  readonly indexes: readonly FetchedManifest[];
  /** The image manifest; the same as `top` unless that is an index. */
  readonly manifest: FetchedManifest;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Limits on what a registry may send us through. */
export const MAX_DEPTH = 4;
export const MAX_MANIFESTS = 16;
/** overlayfs stacks no more, with what else a container needs. */
export const MAX_LAYERS = 480;
/** Of one layer, compressed. */
export const MAX_LAYER_BYTES = 2 ** 40;
export const MAX_CONFIG_BYTES = 8 << 20;

const CONFIG_TYPES: readonly string[] = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json'];
const LAYER_TYPE = /^application\/vnd\.(oci\.image\.layer\.(v1|nondistributable\.v1)\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd|\+gzip|\+zstd)?)$/;

/**
 * Follows indexes to the image for a platform. Indexes in indexes are followed to a depth, and each manifest at most once, so a
 * circle or a maze ends with `corrupt`. Throws `not-found` when the platform is not offered, `unsupported` for artifacts.
 */
export async function resolveImage(fetch: (reference: string) => Promise<FetchedManifest>, { reference, platform, name }: { reference: string; platform: Platform; name: string }): Promise<ResolvedImage> {
  const seen = new Set<Digest>();
  const top = await fetch(reference);

  /** The way from here to the image's manifest, which is the last. */
  async function choose(found: FetchedManifest, depth: number): Promise<FetchedManifest[] | undefined> {
    seen.add(found.digest);
    if (!isIndexType(found.mediaType)) return [found];
    if (depth >= MAX_DEPTH) throw new NaruError('corrupt', `invalid index ${found.digest}: indexes are nested deeper than ${MAX_DEPTH}`);
    for (const child of candidates(found, platform)) {
      if (seen.has(child.digest)) throw new NaruError('corrupt', `invalid index ${found.digest}: it leads back to ${child.digest}`);
      if (seen.size >= MAX_MANIFESTS) throw new NaruError('too-large', `index ${top.digest} leads through more than ${MAX_MANIFESTS} manifests`);
      const next = await fetch(child.digest);
      if (next.bytes.byteLength !== child.size) throw new NaruError('corrupt', `manifest ${child.digest} has ${next.bytes.byteLength} bytes, its descriptor says ${child.size}`);
      if (next.mediaType !== child.mediaType) throw new NaruError('corrupt', `manifest ${child.digest} is a ${next.mediaType}, its descriptor says ${child.mediaType}`);
      const chosen = await choose(next, depth + 1);
      if (chosen !== undefined) return [found, ...chosen];
    }
    return undefined;
  }

  const way = await choose(top, 0);
  if (way === undefined) throw new NaruError('not-found', `no matching manifest for ${formatPlatform(platform)} in the manifest list entries`, { hint: offered(top) });
  const manifest = way.at(-1)!;
  return { top, indexes: way.slice(0, -1), manifest, ...partsOf(manifest, name) };
}

/** Best first. Attestations and other artifacts among them are skipped; what names no platform comes last. */
function candidates(index: FetchedManifest, platform: Platform): Descriptor[] {
  const { manifests } = JSON.parse(index.bytes.toString('utf8')) as Index;
  return manifests
    .filter((child) => child.annotations?.['vnd.docker.reference.type'] === undefined && index.parsed.manifests.some(({ digest }) => digest === child.digest))
    .map((child) => ({ child, score: child.platform === undefined || child.platform === null ? 1 : scoreOf(child.platform, platform) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ child }) => child);
}

const scoreOf = (offer: Platform, wanted: Platform): number =>
  typeof offer.os === 'string' && typeof offer.architecture === 'string' ? fitness(offer, wanted) : 0;

function offered(index: FetchedManifest): string {
  const names = index.parsed.manifests.map(({ platform }) => platform).filter((text): text is string => text !== undefined && !text.startsWith('unknown'));
  return names.length === 0 ? 'it offers no platform at all' : `it offers ${[...new Set(names)].slice(0, 20).join(', ')}`;
}

function partsOf(manifest: FetchedManifest, name: string): { config: Descriptor; layers: Descriptor[] } {
  const { config, layers } = JSON.parse(manifest.bytes.toString('utf8')) as Manifest;
  if (!CONFIG_TYPES.includes(config.mediaType)) {
    throw new NaruError('unsupported', `unsupported media type ${config.mediaType.slice(0, 200)}`, { hint: `${name} is not an image but an artifact` });
  }
  const list = layers ?? [];
  if (list.length > MAX_LAYERS) throw new NaruError('too-large', `image has ${list.length} layers, more than ${MAX_LAYERS}`);
  for (const layer of list) {
    if (!LAYER_TYPE.test(layer.mediaType)) throw new NaruError('unsupported', `unsupported layer media type ${layer.mediaType.slice(0, 200)}`);
    if (layer.size > MAX_LAYER_BYTES) throw new NaruError('too-large', `layer ${layer.digest} has ${layer.size} bytes, more than ${MAX_LAYER_BYTES}`);
  }
  if (config.size > MAX_CONFIG_BYTES) throw new NaruError('too-large', `config ${config.digest} has ${config.size} bytes, more than ${MAX_CONFIG_BYTES}`);
  return { config, layers: list };
}

/** Something that a registry holds and that is no image: a manifest whose config is none of an image, or an index that says what it is. */
export function isArtifact({ mediaType, bytes, parsed }: FetchedManifest): boolean {
  if (isIndexType(mediaType)) return parsed.artifactType !== undefined;
  return !CONFIG_TYPES.includes((JSON.parse(bytes.toString('utf8')) as Manifest).config.mediaType);
}

/** https URLs that a layer names for itself, of the kinds that may. */
export const foreignUrls = (layer: Descriptor): URL[] =>
  !isNonDistributable(layer.mediaType) || !Array.isArray(layer.urls) ? [] : layer.urls.filter((url) => typeof url === 'string' && url.startsWith('https://') && URL.canParse(url)).map((url) => new URL(url));
