import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { algorithmOf, digestOf, isDigest } from '../protocol/digest.ts';
import { MAX_MANIFEST_BYTES, parseManifest, type ParsedManifest } from '../protocol/manifest.ts';
import { MANIFEST_TYPES, withoutParameters } from '../protocol/media-types.ts';
import { readBody, type RegistryRequest, type RegistryResponse } from './dispatch.ts';
import { responseError } from './response-error.ts';

/** A manifest or index as it came, checked against its digest. */
export interface FetchedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly parsed: ParsedManifest;
}

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(json|prettyjws)$/;

/** `GET /v2/<name>/manifests/<reference>`: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
export async function fetchManifest(send: (request: Omit<RegistryRequest, 'url'>) => Promise<RegistryResponse>, { name, reference, signal }: { name: string; reference: string; signal?: AbortSignal | undefined }): Promise<FetchedManifest> {
  const response = await send({ method: 'GET', headers: { accept: MANIFEST_TYPES.join(', ') }, ...(signal === undefined ? {} : { signal }) });
  if (response.status !== 200) throw await missing(response, name, reference);
  const bytes = await readBody(response, MAX_MANIFEST_BYTES);
  const type = withoutParameters(response.headers['content-type'] ?? '');
  const digest = isDigest(reference) ? digestOf(bytes, algorithmOf(reference)) : digestOf(bytes);
  if (isDigest(reference) && digest !== reference) throw new NaruError('corrupt', `manifest verification failed for digest ${reference}`, { hint: `the registry sent ${digest}` });
  const said = response.headers['docker-content-digest'];
  if (!isDigest(reference) && isDigest(said) && said.startsWith('sha256:') && said !== digest) {
    throw new NaruError('corrupt', `manifest verification failed for ${name}:${reference}: the registry says ${said}, its bytes are ${digest}`);
  }
  if (SCHEMA_1.test(type) || isSchema1(bytes)) {
    throw new NaruError('unsupported', `Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of ${name} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2.`);
  }
  // Many servers say `application/json`, or nothing: then the document's own word counts.
  const parsed = readManifest(bytes, MANIFEST_TYPES.includes(type) ? type : '');
  return { digest, mediaType: parsed.mediaType, bytes, parsed };
}

/** Throws `corrupt` for what is no manifest. */
export function readManifest(bytes: Uint8Array, mediaType: string): ParsedManifest {
  try {
    return parseManifest(bytes, mediaType);
  } catch (error) {
    throw error instanceof NaruError ? new NaruError('corrupt', `invalid manifest: ${error.message}`, { cause: error }) : error;
  }
}

function isSchema1(bytes: Uint8Array): boolean {
  try {
    return (JSON.parse(Buffer.from(bytes).toString('utf8')) as { schemaVersion?: unknown } | null)?.schemaVersion === 1;
  } catch {
    return false;
  }
}

/** Docker's sentences for what is not there, and for what may not be seen. */
async function missing(response: RegistryResponse, name: string, reference: string): Promise<NaruError> {
  const { status } = response;
  const error = await responseError(response, { what: `Get ${JSON.stringify(response.url.origin + response.url.pathname)}` });
  if (status === 404) return new NaruError('not-found', `manifest for ${name}${isDigest(reference) ? '@' : ':'}${reference} not found: ${error.message}`, { cause: error });
  if (error.kind === 'forbidden' || (error.kind === 'unauthorized' && !error.message.includes('incorrect'))) {
    return new NaruError('not-found', `pull access denied for ${name}, repository does not exist or may require 'docker login': ${error.message}`, { cause: error, hint: 'log in with `naru login`, or check the name' });
  }
  return error;
}
