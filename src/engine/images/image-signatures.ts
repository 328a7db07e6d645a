import { NaruError } from '#spec/errors.ts';
import type { ImageVerification, Referrer, SignatureRequest, VerifyRequest } from '#spec/naru-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { Manifest } from '#spec/oci-image.ts';
import { isDigest } from '#core/content/digest.ts';
import { familiarName, parseReference, type Reference } from '#core/images/reference.ts';
import { parseRegistryAuth } from '#registry/client/credentials.ts';
import { openRepository, type Repository } from '#registry/client/repository.ts';
import { parseManifest } from '#registry/protocol/manifest.ts';
import { isKind } from '#spec/errors.ts';
import { composeSignature } from '#registry/signatures/compose-signature.ts';
import { signatureTag } from '#registry/signatures/signature.ts';
import { parseVerifyKey, type VerifyKey } from '#registry/signatures/verify-signature.ts';
import { findImage } from '../containers/create/find-image.ts';
import type { EngineContext } from '../engine-context.ts';
import { digestsOf, judgeSignatures } from '../policy/admit-image.ts';
import { keepSignatures, signaturesInRegistry, signaturesInStore } from '../policy/collect-signatures.ts';
import { registryOptions } from '../registry/registry-options.ts';

async function inRepository<T>(engine: EngineContext, reference: Reference, { auth, work }: { auth: string; work: (repository: Repository) => Promise<T> }): Promise<T> {
  const repository = openRepository({ ...reference, familiar: familiarName(reference) }, parseRegistryAuth(auth), registryOptions(engine));
  try {
    return await work(repository);
  } finally {
    repository.close();
  }
}

/** Holds the signatures of an image, in its registry or (`Local`) as they were kept, against keys: those given, else the policy's. */
export async function verifyImage(engine: EngineContext, request: VerifyRequest, { auth, signal }: { auth: string; signal: AbortSignal }): Promise<ImageVerification> {
  const reference = parseReference(request.Name);
  const repository = `${reference.domain}/${reference.path}`;
  const rule = request.Keys === undefined || request.Keys.length === 0 ? engine.policy.current()?.ruleFor(repository) : undefined;
  const keys: readonly VerifyKey[] = rule?.kind === 'keys' ? rule.keys : (request.Keys ?? []).map((pem, i) => parseVerifyKey(pem, `key ${i + 1}`));
  if (keys.length === 0) throw new NaruError('invalid', `no key to verify ${request.Name} with`, { hint: 'give --key, or name keys for the repository in the image policy' });
  const { digests, found } = request.Local === true ? local() : await inRepository(engine, reference, { auth, work: remote });
  const reports = judgeSignatures(found, { repository, keys, anyName: request.AnyName ?? (rule?.kind === 'keys' && rule.anyName) });
  const signers = new Set(reports.flatMap(({ key }) => (key === undefined ? [] : [key.id])));
  return {
    Name: familiarName(reference), Digest: digests[0] ?? '', Verified: signers.size >= (rule?.kind === 'keys' ? rule.need : 1),
    Signatures: reports.map(({ form, document, key, name, problem }) => ({ Form: form, Document: document, KeyId: key?.id ?? '', KeySource: key?.source ?? '', SignedName: name ?? '', Problem: problem ?? '' })),
  };

  function local(): { digests: Digest[]; found: ReturnType<typeof signaturesInStore> } {
    const own = digestsOf(engine, findImage(engine.store.images, request.Name));
    return { digests: own, found: signaturesInStore(engine.store.documents, own) };
  }
  async function remote(from: Repository): Promise<{ digests: Digest[]; found: Awaited<ReturnType<typeof signaturesInRegistry>> }> {
    const { digest } = await from.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
    return { digests: [digest], found: await signaturesInRegistry(from, [digest], signal) };
  }
}

/** Puts a signature that the client made into the registry, beside those that are there, and keeps it. */
export async function addSignature(engine: EngineContext, request: SignatureRequest, { auth, signal }: { auth: string; signal: AbortSignal }): Promise<{ Document: string }> {
  const reference = parseReference(request.Name);
  const { Form: form, Digest: digest } = request;
  if (form !== 'tag' && form !== 'referrer' && form !== 'bundle') throw new NaruError('invalid', `unknown form of signature ${JSON.stringify(form)}`, { hint: 'tag, referrer or bundle' });
  if (!isDigest(digest)) throw new NaruError('invalid', `invalid digest ${JSON.stringify(digest)?.slice(0, 100)}`);
  return await inRepository(engine, reference, {
    auth,
    async work(repository) {
      const signed = await repository.manifest(digest, signal);
      const before = form !== 'tag' ? undefined : await repository.manifest(signatureTag(digest), signal).then(({ bytes }) => JSON.parse(bytes.toString('utf8')) as Manifest, (error: unknown) => {
        if (isKind(error, 'not-found')) return undefined;
        throw error;
      });
      const subject = { mediaType: signed.mediaType, digest: signed.digest, size: signed.bytes.byteLength };
      const made = composeSignature({ form, subject, payload: Buffer.from(request.Payload, 'base64'), signature: Buffer.from(request.Signature, 'base64'), keyHint: request.KeyHint ?? '' }, before);
      for (const { descriptor, bytes } of made.blobs) if ((await repository.blobSize(descriptor.digest, signal)) === undefined) await repository.uploadBytes({ digest: descriptor.digest, bytes }, signal);
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      if (form === 'tag') await repository.putManifest(signatureTag(digest), { mediaType, bytes: made.manifest }, signal);
      else await repository.putReferrer(digest, { entry: { mediaType, digest: made.digest, size: made.manifest.byteLength, ...(made.artifactType === undefined ? {} : { artifactType: made.artifactType }) }, bytes: made.manifest }, signal);
      // What stood behind the tag before is kept with it: its payloads are there to be read again.
      const all = await signaturesInRegistry(repository, [digest], signal);
      await keepSignatures(engine.store.documents, all.filter(({ document }) => document.digest === made.digest));
      engine.store.documents.collect();
      return { Document: made.digest };
    },
  });
}

/** What refers to an image: in its registry, or as it is kept here. */
export async function listReferrers(engine: EngineContext, { name, local, artifactType }: { name: string; local: boolean; artifactType: string }, { auth, signal }: { auth: string; signal: AbortSignal }): Promise<Referrer[]> {
  const found = local ? keptReferrers(engine, name) : await inRegistry();
  return artifactType === '' ? found : found.filter((one) => one.ArtifactType === artifactType);

  async function inRegistry(): Promise<Referrer[]> {
    const reference = parseReference(name);
    return await inRepository(engine, reference, {
      auth,
      async work(repository) {
        const { digest } = await repository.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
        const listed = (await repository.referrers(digest, signal)).map((one): Referrer => ({ Subject: digest, Digest: one.digest, MediaType: one.mediaType, ArtifactType: one.artifactType ?? '', Size: one.size, Annotations: one.annotations ?? {} }));
        const tagged = await repository.manifest(signatureTag(digest), signal).catch(() => undefined);
        return tagged === undefined ? listed : [...listed, { Subject: digest, Digest: tagged.digest, MediaType: tagged.mediaType, ArtifactType: '', Size: tagged.bytes.byteLength, Annotations: {} }];
      },
    });
  }
}

/** What is kept here about an image or an artifact. */
export function keptReferrers(engine: EngineContext, name: string): Referrer[] {
  const { documents, images } = engine.store;
  const artifact = images.find(name) === undefined ? findArtifact(engine, name) : undefined;
  const subjects = artifact === undefined ? digestsOf(engine, findImage(images, name)) : [artifact.digest];
  return subjects.flatMap((subject) => documents.referrers(subject).map((one): Referrer => ({
    Subject: subject, Digest: one.digest, MediaType: one.mediaType, ArtifactType: one.artifactType ?? '', Size: one.bytes.byteLength, Annotations: parseManifest(one.bytes, one.mediaType).annotations ?? {},
  })));
}

/** An artifact by one of its names. */
export function findArtifact({ store }: EngineContext, name: string): ReturnType<EngineContext['store']['documents']['find']> {
  let reference: Reference;
  try {
    reference = parseReference(name);
  } catch {
    return undefined;
  }
  const familiar = familiarName(reference);
  return store.documents.find(reference.digest === undefined ? `${familiar}:${reference.tag ?? 'latest'}` : `${familiar}@${reference.digest}`);
}
