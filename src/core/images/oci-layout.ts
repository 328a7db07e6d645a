import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { blobPath, isObject, parseJson, type ArchiveContents } from './archive-contents.ts';
import { MAX_LAYERS, parseConfig, type StagedImage, type StagedLayer } from './publish-images.ts';
import { familiarTag, parseReference } from './reference.ts';
import { takeLayer } from './take-layer.ts';

const INDEX_TYPES = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];
const MANIFEST_TYPES = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'];
const CONFIG_TYPES = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json'];

/** Limits on indexes in indexes. */
const MAX_DEPTH = 4;
const MAX_DESCRIPTORS = 4096;

interface Context { contents: ArchiveContents; layers: Map<Digest, StagedLayer>; /** Undefined: this machine's. */ platform: { readonly os: string; readonly architecture: string } | undefined }
interface Descriptor { mediaType: string; digest: string; size: number; annotations: Record<string, unknown>; platform: Record<string, unknown> | undefined }

/** Images of an OCI layout: one for each descriptor of `index.json`; of an index among them, the image for this machine.
 *  https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export function layoutImages(context: Context): StagedImage[] {
  const layout = context.contents.json('oci-layout');
  if (!isObject(layout) || layout['imageLayoutVersion'] !== '1.0.0') throw new NaruError('corrupt', 'invalid archive: oci-layout names no version that is known');
  const index = context.contents.json('index.json');
  const images = new Map<string, { digest: string; image: Omit<StagedImage, 'tags'>; tags: string[] }>();
  let skipped = 0;
  for (const descriptor of descriptorsOf(index, 'index.json')) {
    const manifest = choose(descriptor, { context, depth: 0 });
    if (manifest === undefined) {
      skipped++;
      continue;
    }
    const tags = tagsOf(descriptor.annotations);
    const known = images.get(manifest.digest);
    if (known !== undefined) known.tags.push(...tags);
    else images.set(manifest.digest, { digest: manifest.digest, image: imageOf(manifest, context), tags });
  }
  if (images.size === 0) {
    throw new NaruError('corrupt', skipped > 0 ? `invalid archive: it holds no image for ${(context.platform ?? HOST).os}/${(context.platform ?? HOST).architecture}` : 'invalid archive: its index names no image');
  }
  return [...images.values()].map(({ image, tags }) => ({ ...image, tags: [...new Set(tags)] }));
}

const HOST = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };

/** The image manifest that a descriptor stands for: itself, or the best of an index. undefined: none for this machine. */
function choose(descriptor: Descriptor, { context, depth }: { context: Context; depth: number }): Descriptor | undefined {
  if (MANIFEST_TYPES.includes(descriptor.mediaType)) return descriptor.annotations['vnd.docker.reference.type'] === undefined ? descriptor : undefined;
  if (!INDEX_TYPES.includes(descriptor.mediaType)) return undefined; // something else that the layout carries
  if (depth >= MAX_DEPTH) throw new NaruError('corrupt', `invalid archive: indexes are nested deeper than ${MAX_DEPTH}`);
  const bytes = context.contents.blobDocument(descriptor);
  if (bytes === undefined) throw new NaruError('corrupt', `invalid archive: index ${descriptor.digest} is missing`);
  const document = parseJson(bytes, descriptor.digest);
  checkKind(document, descriptor, INDEX_TYPES);
  const fitting = descriptorsOf(document, descriptor.digest).filter((child) => fits(child.platform, context.platform ?? HOST));
  // An archive of one platform keeps the whole index: what is not there is not meant.
  for (const child of fitting) {
    if (context.contents.document(blobPath(child.digest)) === undefined) continue;
    const chosen = choose(child, { context, depth: depth + 1 });
    if (chosen !== undefined) return chosen;
  }
  return undefined;
}

const fits = (platform: Record<string, unknown> | undefined, wanted: { readonly os: string; readonly architecture: string }): boolean =>
  platform === undefined || (platform['os'] === wanted.os && platform['architecture'] === wanted.architecture);

function imageOf(descriptor: Descriptor, context: Context): Omit<StagedImage, 'tags'> {
  const bytes = context.contents.blobDocument(descriptor);
  if (bytes === undefined) throw new NaruError('corrupt', `invalid archive: manifest ${descriptor.digest} is missing`);
  const document = parseJson(bytes, descriptor.digest);
  checkKind(document, descriptor, MANIFEST_TYPES);
  const manifest = document as Record<string, unknown>;
  const config = descriptorOf(manifest['config'], descriptor.digest);
  if (!CONFIG_TYPES.includes(config.mediaType)) {
    throw new NaruError('unsupported', `${descriptor.digest} is not an image but an artifact (${config.mediaType.slice(0, 100)})`);
  }
  const configBytes = context.contents.blobDocument(config);
  if (configBytes === undefined) throw new NaruError('corrupt', `invalid archive: config ${config.digest} is missing`);
  const diffIds = parseConfig(configBytes).rootfs.diff_ids;
  const layers = Array.isArray(manifest['layers']) ? manifest['layers'] : [];
  if (layers.length > MAX_LAYERS) throw new NaruError('too-large', `image has ${layers.length} layers, more than ${MAX_LAYERS}`);
  if (layers.length !== diffIds.length) throw new NaruError('corrupt', `invalid manifest, layers length mismatch: expected ${diffIds.length}, got ${layers.length}`);
  layers.forEach((item: unknown, position) => {
    const layer = descriptorOf(item, descriptor.digest);
    takeLayer(context, { path: blobPath(layer.digest), diffId: diffIds[position]!, position, descriptor: layer });
  });
  return { config: configBytes };
}

/** A document that can be read as an index and as a manifest means different images to different readers (CVE-2021-41190). */
function checkKind(document: unknown, descriptor: Descriptor, types: readonly string[]): void {
  const ambiguous = isObject(document) && 'manifests' in document && ('layers' in document || 'config' in document);
  if (!isObject(document) || document['schemaVersion'] !== 2 || ambiguous) throw new NaruError('corrupt', `invalid archive: ${descriptor.digest} is not what its descriptor says`);
  const own = document['mediaType'];
  if (own !== undefined && own !== descriptor.mediaType) throw new NaruError('corrupt', `invalid archive: ${descriptor.digest} says it is ${String(own)}, its descriptor ${descriptor.mediaType}`);
  if (types === INDEX_TYPES ? !('manifests' in document) : !('layers' in document)) throw new NaruError('corrupt', `invalid archive: ${descriptor.digest} is not what its descriptor says`);
}

function descriptorsOf(document: unknown, where: string): Descriptor[] {
  const list = isObject(document) ? document['manifests'] : undefined;
  if (!Array.isArray(list) || list.length > MAX_DESCRIPTORS) throw new NaruError('corrupt', `invalid archive: ${where} has no list of manifests`);
  return list.map((item) => descriptorOf(item, where));
}

function descriptorOf(value: unknown, where: string): Descriptor {
  if (!isObject(value) || typeof value['mediaType'] !== 'string' || typeof value['digest'] !== 'string' || typeof value['size'] !== 'number') {
    throw new NaruError('corrupt', `invalid archive: ${where} has a malformed descriptor`);
  }
  return {
    mediaType: value['mediaType'], digest: value['digest'], size: value['size'],
    annotations: isObject(value['annotations']) ? value['annotations'] : {},
    platform: isObject(value['platform']) ? value['platform'] : undefined,
  };
}

/** containerd (and Docker) write the whole name; others `ref.name`, which is a name (`skopeo copy … oci-archive:f:busybox:1`) or,
 *  as the specification has it, just a tag: that names nothing. */
function tagsOf(annotations: Record<string, unknown>): string[] {
  const whole = annotations['io.containerd.image.name'];
  const name = typeof whole === 'string' ? whole : annotations['org.opencontainers.image.ref.name'];
  if (typeof name !== 'string' || (name !== whole && /^(?:latest|v?[0-9][\w.-]*)$/.test(name))) return [];
  try {
    const reference = parseReference(name);
    return reference.digest === undefined ? [familiarTag(reference)] : [];
  } catch (error) {
    if (name === whole) throw error;
    return [];
  }
}
