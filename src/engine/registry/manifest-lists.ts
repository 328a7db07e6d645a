import { NaruError } from '#spec/errors.ts';
import type { ManifestListRequest, RegistryManifest } from '#spec/naru-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { Platform } from '#spec/oci-image.ts';
import { familiarName, parseReference, type Reference } from '#core/images/reference.ts';
import { parseRegistryAuth } from '#registry/client/credentials.ts';
import { readManifest } from '#registry/client/fetch-manifest.ts';
import { openRepository, type Repository } from '#registry/client/repository.ts';
import { algorithmOf, digestOf, isDigest } from '#registry/protocol/digest.ts';
import { isIndexType } from '#registry/protocol/media-types.ts';
import type { EngineContext } from '../engine-context.ts';
import { registryOptions } from './registry-options.ts';

interface How { readonly auth: string; /** As if the registry were one of the insecure ones: by the client's wish, for this once. */ readonly insecure: boolean; readonly signal: AbortSignal }
const MAX_LISTED = 1000;

function open(engine: EngineContext, reference: Reference, { auth, insecure }: How): Repository {
  const options = registryOptions(engine);
  const directories = insecure ? { ...options.directories, insecure: [...(options.directories.insecure ?? []), reference.domain] } : options.directories;
  return openRepository({ ...reference, familiar: familiarName(reference) }, parseRegistryAuth(auth), { ...options, directories });
}

/** A manifest or index as its registry has it, and for an image its platform. */
export async function registryManifest(engine: EngineContext, name: string, how: How): Promise<RegistryManifest> {
  const reference = parseReference(name);
  const { signal } = how;
  const repository = open(engine, reference, how);
  try {
    const found = await repository.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
    const plain = { MediaType: found.mediaType, Digest: found.digest, Size: found.bytes.byteLength, Raw: found.bytes.toString('base64') };
    if (isIndexType(found.mediaType)) return plain;
    const { config } = JSON.parse(found.bytes.toString('utf8')) as { config: Parameters<Repository['document']>[0] };
    const { architecture, os, variant, ...rest } = JSON.parse((await repository.document(config, signal)).toString('utf8')) as Partial<Platform>;
    return { ...plain, Platform: { architecture: architecture ?? '', os: os ?? '', ...(rest['os.version'] === undefined ? {} : { 'os.version': rest['os.version'] }), ...(variant === undefined ? {} : { variant }) } };
  } finally {
    repository.close();
  }
}

/** Puts an index and what it lists into one repository: blobs of its neighbours in the same registry are taken over, nothing is downloaded. */
export async function pushManifestList(engine: EngineContext, request: ManifestListRequest, how: How): Promise<{ Digest: string }> {
  const target = parseReference(request.Name);
  if (target.digest !== undefined) throw new NaruError('invalid', 'cannot push a digest reference');
  if (request.Manifests.length > MAX_LISTED) throw new NaruError('too-large', `a manifest list of more than ${MAX_LISTED} manifests`);
  const { signal } = how;
  const repository = open(engine, target, how);
  try {
    for (const { Ref, Digest: digest, MediaType: mediaType, Raw } of request.Manifests) {
      const from = parseReference(Ref);
      const bytes = Buffer.from(Raw, 'base64');
      if (!isDigest(digest) || digestOf(bytes, algorithmOf(digest)) !== digest) throw new NaruError('corrupt', `manifest of ${Ref} does not have the digest ${String(digest).slice(0, 100)}`);
      if (from.domain !== target.domain) throw new NaruError('invalid', `cannot use source images from a different registry than the target image: ${from.domain} != ${target.domain}`);
      if (from.path !== target.path) for (const blob of readManifest(bytes, mediaType).blobs) if (!blob.elsewhere) await takeOver(blob);
      await repository.putManifest(digest, { mediaType, bytes }, signal);

      async function takeOver(blob: { digest: Digest; size: number }): Promise<void> {
        if ((await repository.blobSize(blob.digest, signal)) === blob.size || (await repository.mount(blob.digest, from.path, signal))) return;
        throw new NaruError('unsupported', `${target.domain} does not hand over blob ${blob.digest} from ${from.path} to ${target.path}`, { hint: 'push the image to that repository first' });
      }
    }
    const index = Buffer.from(request.Index.Raw, 'base64');
    await repository.putManifest(target.tag ?? 'latest', { mediaType: request.Index.MediaType, bytes: index }, signal);
    return { Digest: digestOf(index) };
  } finally {
    repository.close();
  }
}
