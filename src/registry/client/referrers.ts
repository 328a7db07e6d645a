import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Index } from '#spec/oci-image.ts';
import { isDigest } from '../protocol/digest.ts';
import { OCI_INDEX } from '../protocol/media-types.ts';
import { parseNextLink } from '../protocol/pagination.ts';
import { readBody, type RegistryResponse } from './dispatch.ts';
import type { FetchedManifest } from './fetch-manifest.ts';
import { responseError } from './response-error.ts';

const MAX_PAGE = 4 << 20;
/** Of one manifest, that are taken. */
export const MAX_REFERRERS = 1000;

/** Where referrers are noted in registries that know nothing of them: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema */
export const referrersTag = (subject: Digest): string => subject.replace(':', '-').slice(0, 128);

export interface ReferrersPort {
  read(rest: string): Promise<RegistryResponse>;
  manifest(reference: string): Promise<FetchedManifest>;
}

/** `GET /v2/<name>/referrers/<digest>`, else the tag schema. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers */
export async function fetchReferrers(port: ReferrersPort, subject: Digest): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  for (let rest: string | undefined = `referrers/${subject}`; rest !== undefined; ) {
    const response = await port.read(rest);
    const type = response.headers['content-type'] ?? '';
    if (response.status === 404 || response.status === 405 || (response.status === 200 && !type.startsWith(OCI_INDEX))) {
      response.body.cancel();
      return await byTag(port, subject);
    }
    if (response.status !== 200) throw await responseError(response, { what: `referrers of ${subject}` });
    found.push(...descriptorsIn(await readBody(response, MAX_PAGE)));
    if (found.length > MAX_REFERRERS) throw new NaruError('too-large', `${subject} has more than ${MAX_REFERRERS} referrers`);
    const next = parseNextLink(response.headers['link']);
    rest = next === undefined ? undefined : `referrers/${subject}${new URL(next, response.url).search}`;
  }
  return found;
}

async function byTag(port: ReferrersPort, subject: Digest): Promise<Descriptor[]> {
  try {
    const { mediaType, bytes } = await port.manifest(referrersTag(subject));
    return mediaType === OCI_INDEX ? descriptorsIn(bytes).slice(0, MAX_REFERRERS) : [];
  } catch (error) {
    if (isKind(error, 'not-found')) return [];
    throw error;
  }
}

function descriptorsIn(bytes: Uint8Array): Descriptor[] {
  let manifests: unknown;
  try {
    ({ manifests } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { manifests?: unknown });
  } catch (cause) {
    throw new NaruError('corrupt', 'the registry lists referrers in something else than JSON', { cause });
  }
  return Array.isArray(manifests) ? manifests.filter((one): one is Descriptor => isDigest((one as Descriptor | null)?.digest) && typeof (one as Descriptor).mediaType === 'string' && Number.isSafeInteger((one as Descriptor).size)) : [];
}

/** The index behind the tag schema with one more entry; undefined: it is listed already. */
export function withReferrer(before: readonly Descriptor[], entry: Descriptor): Uint8Array | undefined {
  if (before.some(({ digest }) => digest === entry.digest)) return undefined;
  const index: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...before, entry] };
  return Buffer.from(JSON.stringify(index));
}
