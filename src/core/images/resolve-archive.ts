import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { digestOf } from '../content/digest.ts';
import type { ArchiveContents } from './archive-contents.ts';
import { checkBlob, isObject } from './archive-contents.ts';
import { legacyImages } from './legacy-archive.ts';
import { layoutImages } from './oci-layout.ts';
import { MAX_LAYERS, parseConfig, type StagedImage, type StagedLayer } from './publish-images.ts';
import { takeLayer } from './take-layer.ts';
import { parseReference, familiarTag } from './reference.ts';

export interface ResolvedArchive {
  readonly images: readonly StagedImage[];
  /** By diffId. */
  readonly layers: ReadonlyMap<Digest, StagedLayer>;
}

const MAX_IMAGES = 1000;

/** Which images an archive holds: by `manifest.json` (docker-archive, also what Docker ≥ 25 writes), else `index.json` (OCI
 *  layout), else `repositories` (Docker before 1.10). Everything that is used was checked against its digest. */
export function resolveArchive(contents: ArchiveContents, platform?: { readonly os: string; readonly architecture: string }): ResolvedArchive {
  const layers = new Map<Digest, StagedLayer>();
  const context = { contents, layers, platform };
  let images: StagedImage[];
  if (contents.document('manifest.json') !== undefined) images = onlyFor(platform, dockerImages(context));
  else if (contents.document('index.json') !== undefined) images = layoutImages(context);
  else if (contents.document('repositories') !== undefined) images = legacyImages(context);
  else {
    throw new NaruError('corrupt', 'invalid archive: it has neither manifest.json nor index.json', {
      hint: contents.documents.size + contents.layers.size === 0 ? 'it is empty, or no image archive' : 'a root file system is read by `naru import`',
    });
  }
  return { images, layers };
}

function onlyFor(platform: { readonly os: string; readonly architecture: string } | undefined, images: StagedImage[]): StagedImage[] {
  if (platform === undefined) return images;
  const fitting = images.filter(({ config }) => {
    const { os, architecture } = parseConfig(config);
    return os === platform.os && architecture === platform.architecture;
  });
  if (fitting.length === 0) throw new NaruError('not-found', `the archive holds no image for ${platform.os}/${platform.architecture}`);
  return fitting;
}

/** https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format */
function dockerImages({ contents, layers }: { contents: ArchiveContents; layers: Map<Digest, StagedLayer> }): StagedImage[] {
  const manifest = contents.json('manifest.json');
  if (!Array.isArray(manifest) || manifest.length > MAX_IMAGES) throw new NaruError('corrupt', 'invalid archive: manifest.json is not a list of images');
  return manifest.map((item: unknown): StagedImage => {
    if (!isObject(item) || typeof item['Config'] !== 'string' || !isStrings(item['Layers']) || !(item['RepoTags'] == null || isStrings(item['RepoTags']))) {
      throw new NaruError('corrupt', 'invalid archive: an image in manifest.json has no Config or no Layers');
    }
    const bytes = contents.document(item['Config']);
    if (bytes === undefined) throw new NaruError('corrupt', `invalid archive: config ${item['Config']} is missing`);
    const named = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(item['Config'])?.[1];
    if (named !== undefined) checkBlob({ digest: `sha256:${named}` }, { digest: digestOf(bytes), size: bytes.byteLength });
    const config = parseConfig(bytes);
    const paths = item['Layers'];
    const diffIds = config.rootfs.diff_ids;
    if (paths.length !== diffIds.length) {
      throw new NaruError('corrupt', `invalid manifest, layers length mismatch: expected ${diffIds.length}, got ${paths.length}`);
    }
    if (paths.length > MAX_LAYERS) throw new NaruError('too-large', `image has ${paths.length} layers, more than ${MAX_LAYERS}`);
    paths.forEach((path, i) => takeLayer({ contents, layers }, { path, diffId: diffIds[i]!, position: i }));
    return { config: bytes, tags: tagsOf(item['RepoTags'] ?? []) };
  });
}

function tagsOf(names: readonly string[]): string[] {
  return names.map((name) => {
    const reference = parseReference(name);
    if (reference.digest !== undefined) throw new NaruError('corrupt', `invalid archive: ${name} is no tag`);
    return familiarTag(reference);
  });
}

const isStrings = (value: unknown): value is string[] => Array.isArray(value) && value.every((item) => typeof item === 'string');
