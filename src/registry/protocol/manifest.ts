import type { Digest } from '#spec/ids.ts';
import { isDigest } from './digest.ts';
import { registryError } from './error-codes.ts';
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST, isImageManifestType, isIndexType, isNonDistributable } from './media-types.ts';

/** What clients must at least be able to push, and what we take at most (distribution-spec, "Pushing Manifests"). */
export const MAX_MANIFEST_BYTES = 4 << 20;
/** Far above any image; below what would make one manifest a burden for the database. */
export const MAX_DESCRIPTORS = 10_000;
const MAX_NESTING = 32;

export interface ReferencedBlob { digest: Digest; size: number; mediaType: string; /** May be missing here: the layer has its own URLs. */ elsewhere: boolean }

/** What a registry has to know of a manifest: never its meaning, always its references. */
export interface ParsedManifest {
  mediaType: string;
  /** As the referrers API shows it: the artifactType, for image manifests else the config's type. */
  artifactType: string | undefined;
  blobs: ReferencedBlob[];
  manifests: { digest: Digest; size: number; mediaType: string; platform?: string }[];
  subject: Digest | undefined;
  annotations: Record<string, string> | undefined;
  configDigest: Digest | undefined;
}

const invalid = (what: string): never => { throw registryError('MANIFEST_INVALID', what); };
type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Depth is bounded before parsing, so that no manifest can exhaust a parser's stack. */
function checkNesting(bytes: Uint8Array): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) { if (++depth > MAX_NESTING) invalid(`the manifest is nested deeper than ${MAX_NESTING} levels`); }
    else if (c === 0x7d || c === 0x5d) depth--;
  }
}

function descriptor(value: unknown, where: string): { digest: Digest; size: number; mediaType: string; urls: boolean; platform?: string } {
  if (!isObject(value)) return invalid(`${where} is not a descriptor`);
  const { digest, size, mediaType, urls, platform } = value;
  if (!isDigest(digest)) return invalid(`${where} has an invalid digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return invalid(`${where} has an invalid size`);
  if (typeof mediaType !== 'string' || mediaType === '' || mediaType.length > 255) return invalid(`${where} has no media type`);
  const found = { digest, size, mediaType, urls: Array.isArray(urls) && urls.length > 0 };
  if (!isObject(platform)) return found;
  return { ...found, platform: [platform['os'], platform['architecture'], platform['variant']].filter((p) => typeof p === 'string').join('/').slice(0, 100) };
}

function annotationsOf(document: Json): Record<string, string> | undefined {
  const { annotations } = document;
  if (annotations === undefined || annotations === null) return undefined;
  if (!isObject(annotations) || !Object.values(annotations).every((v) => typeof v === 'string')) return invalid('the annotations are not texts by name');
  return annotations as Record<string, string>;
}

/** A media type for documents that name none: what they hold decides, and then only one thing may be held. */
function mediaTypeOf(document: Json, contentType: string): string {
  const { mediaType } = document;
  if (mediaType !== undefined && typeof mediaType !== 'string') return invalid('mediaType is not a text');
  if (contentType !== '' && mediaType !== undefined && mediaType !== contentType) {
    return invalid(`the manifest is a ${mediaType.slice(0, 120)}, but Content-Type says ${contentType.slice(0, 120)}`);
  }
  return mediaType ?? (contentType !== '' ? contentType : Array.isArray(document['manifests']) ? OCI_INDEX : OCI_MANIFEST);
}

/**
 * Reads a manifest or index, OCI or Docker schema 2. `contentType` is what the sender called it, without parameters, or ''.
 * Throws MANIFEST_INVALID with a sentence; among others for documents that could be read as both an image and an index
 * (CVE-2021-41190).
 */
export function parseManifest(bytes: Uint8Array, contentType: string): ParsedManifest {
  if (bytes.byteLength > MAX_MANIFEST_BYTES) throw registryError('MANIFEST_INVALID', `the manifest is larger than ${MAX_MANIFEST_BYTES} bytes`, { status: 413 });
  checkNesting(bytes);
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw registryError('MANIFEST_INVALID', 'the manifest is not JSON in UTF-8', { cause: error });
  }
  if (!isObject(document)) return invalid('the manifest is not an object');
  if (document['schemaVersion'] !== 2) return invalid(`schemaVersion ${JSON.stringify(document['schemaVersion'])?.slice(0, 20)} is not supported, only 2`);
  const mediaType = mediaTypeOf(document, contentType);
  const parsed: ParsedManifest = {
    mediaType, artifactType: undefined, blobs: [], manifests: [], subject: undefined, annotations: annotationsOf(document), configDigest: undefined,
  };
  const artifactType = document['artifactType'];
  if (artifactType !== undefined && typeof artifactType !== 'string') return invalid('artifactType is not a text');
  if (document['subject'] !== undefined && document['subject'] !== null) parsed.subject = descriptor(document['subject'], 'the subject').digest;

  if (isIndexType(mediaType)) {
    if ('layers' in document || 'config' in document || 'fsLayers' in document) return invalid('the document is both an index and an image manifest');
    const { manifests } = document;
    if (!Array.isArray(manifests)) return invalid('the index has no list of manifests');
    if (manifests.length > MAX_DESCRIPTORS) return invalid(`the index lists more than ${MAX_DESCRIPTORS} manifests`);
    parsed.manifests = manifests.map((one, i) => {
      const { digest, size, mediaType: type, platform } = descriptor(one, `manifest ${i}`);
      return platform === undefined ? { digest, size, mediaType: type } : { digest, size, mediaType: type, platform };
    });
    parsed.artifactType = artifactType === '' ? undefined : artifactType;
    return parsed;
  }
  if (!isImageManifestType(mediaType)) {
    return invalid(`manifests of type ${mediaType.slice(0, 120)} are not supported, only ${[OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST].join(', ')}`);
  }
  if ('manifests' in document || 'fsLayers' in document) return invalid('the document is both an image manifest and an index');
  const config = descriptor(document['config'], 'the config');
  const { layers } = document;
  if (!Array.isArray(layers)) { if (layers !== undefined && layers !== null) return invalid('layers is not a list'); }
  else if (layers.length > MAX_DESCRIPTORS) return invalid(`the manifest lists more than ${MAX_DESCRIPTORS} layers`);
  parsed.configDigest = config.digest;
  parsed.blobs = [{ ...config, urls: false }, ...((layers ?? []) as unknown[]).map((one, i) => descriptor(one, `layer ${i}`))].map((one) => ({
    digest: one.digest, size: one.size, mediaType: one.mediaType, elsewhere: one.urls || isNonDistributable(one.mediaType),
  }));
  parsed.artifactType = artifactType === undefined || artifactType === '' ? config.mediaType : artifactType;
  return parsed;
}
