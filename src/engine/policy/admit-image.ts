import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Index, Manifest } from '#spec/oci-image.ts';
import { digestOf } from '#core/content/digest.ts';
import { parseReference } from '#core/images/reference.ts';
import type { ImageRecord } from '#core/store.ts';
import type { Repository } from '#registry/client/repository.ts';
import type { ResolvedImage } from '#registry/client/resolve-image.ts';
import { readSignatures } from '#registry/signatures/read-signatures.ts';
import { verifyClaim, type VerifyKey } from '#registry/signatures/verify-signature.ts';
import type { Container } from '../containers/container.ts';
import type { EngineContext } from '../engine-context.ts';
import { signaturesInRegistry, signaturesInStore, type FoundSignatures } from './collect-signatures.ts';
import type { Rule } from './image-policy.ts';

/** What came of one signature. */
export interface SignatureReport { readonly form: string; readonly document: Digest; readonly key: VerifyKey | undefined; readonly name: string | undefined; readonly problem: string | undefined }

/** Full names: `docker.io/library/busybox`. undefined: no name of a repository. */
export function repositoryOf(name: string): string | undefined {
  try {
    const { domain, path } = parseReference(name);
    return `${domain}/${path}`;
  } catch {
    return undefined;
  }
}

/** Holds each signature against the keys. Documents of one digest count for that digest alone. */
export function judgeSignatures(found: readonly FoundSignatures[], expected: { repository: string; keys: readonly VerifyKey[]; anyName: boolean }): SignatureReport[] {
  const isName = expected.anyName ? undefined : (name: string): boolean => repositoryOf(name) === expected.repository;
  return found.flatMap(({ subject, document }) => readSignatures(document).map((claim): SignatureReport => {
    const about = { form: claim.form, document: claim.document };
    if ('problem' in claim) return { ...about, key: undefined, name: undefined, problem: claim.problem };
    const verdict = verifyClaim(claim, { digests: [subject], isName, keys: expected.keys });
    return { ...about, name: claim.name, key: 'key' in verdict ? verdict.key : undefined, problem: 'problem' in verdict ? verdict.problem : undefined };
  }));
}

/** Throws `forbidden` unless the rule is satisfied. */
function enforce(rule: Rule, what: { name: string; path: string; found: () => readonly FoundSignatures[]; repository: string }): void {
  if (rule.kind === 'allow') return;
  const hint = `${what.path}, entry ${JSON.stringify(rule.entry)}, decides`;
  if (rule.kind === 'deny') throw new NaruError('forbidden', `image ${what.name} is denied by the image policy`, { hint });
  const reports = judgeSignatures(what.found(), { repository: what.repository, keys: rule.keys, anyName: rule.anyName });
  const signers = new Set(reports.flatMap(({ key }) => (key === undefined ? [] : [key.id])));
  if (signers.size >= rule.need) return;
  const problems = [...new Set(reports.flatMap(({ problem }) => (problem === undefined ? [] : [problem])))].slice(0, 3);
  const seen = reports.length === 0 ? 'there is no signature' : problems.length === 0 ? `${signers.size} of ${rule.need} keys signed it` : `of ${reports.length} signatures ${signers.size} hold: ${problems.join('; ')}`;
  throw new NaruError('forbidden', `image ${what.name} is not signed as the image policy demands: ${seen}`, { hint });
}

/** Before a pull brings anything. Returns the signatures that were looked at, to be kept with the image. */
export async function admitPull(engine: EngineContext, { repository, reference, resolved, name }: { repository: Repository; reference: { domain: string; path: string }; resolved: Pick<ResolvedImage, 'indexes' | 'manifest'>; name: string }, signal: AbortSignal): Promise<FoundSignatures[]> {
  const rules = engine.policy.current();
  if (rules === undefined) return [];
  const full = `${reference.domain}/${reference.path}`;
  const rule = rules.ruleFor(full);
  const found = rule.kind === 'keys' ? await signaturesInRegistry(repository, [...resolved.indexes, resolved.manifest].map(({ digest }) => digest), signal) : [];
  enforce(rule, { name, path: rules.path, repository: full, found: () => found });
  return found;
}

/**
 * Before a container is made of an image: under the name that was used (all of its names when that is an id) and under every
 * repository that it is known to be in. A tag, a load, an import or a commit gives no signature: what counts is a chain of
 * digests from what was signed, through index and manifest, to this image's config.
 */
export function admitRun(engine: EngineContext, image: ImageRecord, name: string): void {
  const rules = engine.policy.current();
  if (rules === undefined) return;
  const isId = /^(sha256:)?[0-9a-f]+$/.test(name) && image.id.startsWith(`sha256:${name.replace(/^sha256:/, '')}`) && !image.tags.some((tag) => tag === `${name}:latest`);
  const used = isId ? image.tags.map(repositoryOf) : [repositoryOf(name)];
  const repositories = new Set([...used, ...image.digests.map(repositoryOf)].filter((one) => one !== undefined));
  let found: FoundSignatures[] | undefined;
  for (const repository of repositories.size === 0 ? [undefined] : repositories) {
    enforce(rules.ruleFor(repository), { name, path: rules.path, repository: repository ?? '', found: () => (found ??= signaturesInStore(engine.store.documents, digestsOf(engine, image))) });
  }
}

/** Before a container that is there starts: the policy may have come, or changed, after it was made. */
export function admitStart(engine: EngineContext, container: Pick<Container, 'doc'>): void {
  if (engine.policy.current() === undefined) return;
  const { imageId, imageName, mounts } = container.doc;
  const used = [{ id: imageId, name: imageName }, ...mounts.flatMap(({ type, source }) => (type === 'image' ? [{ id: source, name: source }] : []))];
  for (const { id, name } of used) {
    const image = id === '' ? undefined : engine.store.images.get(id as Digest);
    if (image !== undefined) admitRun(engine, image, name);
  }
}

/** Digests of manifests and indexes that truly lead to this image. */
export function digestsOf({ store }: EngineContext, image: ImageRecord): Digest[] {
  const manifests = store.transfers.manifestsOf(image.id).filter(({ digest, bytes }) => {
    const { config } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Manifest>;
    return digestOf(bytes) === digest && config?.digest === image.id;
  }).map(({ digest }) => digest);
  const leading = new Set<Digest>(manifests);
  // An index may lie in an index; each is looked at once, so circles end.
  for (const child of leading) {
    for (const { digest, bytes } of store.documents.parents(child)) {
      const { manifests: list } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Index>;
      if (digestOf(bytes) === digest && Array.isArray(list) && list.some((one) => one.digest === child)) leading.add(digest);
    }
  }
  return [...leading];
}
