import { isKind, NaruError } from '#spec/errors.ts';
import type { ProgressMessage } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { ImageConfig, Platform } from '#spec/oci-image.ts';
import { familiarName, parseReference, type Reference } from '#core/images/reference.ts';
import type { PullSession, StageEvent } from '#core/transfers/transfer-store.ts';
import type { FetchedManifest } from '#registry/client/fetch-manifest.ts';
import { parseRegistryAuth } from '#registry/client/credentials.ts';
import { fitness, formatPlatform, parsePlatform } from '#registry/client/platform.ts';
import { openRepository, type Repository } from '#registry/client/repository.ts';
import { isArtifact, type ResolvedImage } from '#registry/client/resolve-image.ts';
import type { EngineContext } from '../engine-context.ts';
import { joinVariants } from '../images/image-platforms.ts';
import { imageEvent } from '../images/image-event.ts';
import { admitPull } from '../policy/admit-image.ts';
import { keepSignatures, type FoundSignatures } from '../policy/collect-signatures.ts';
import { bringReferrers } from './copy-documents.ts';
import { ProgressFeed } from './progress-feed.ts';
import { pullArtifact } from './pull-artifact.ts';
import { registryOptions } from './registry-options.ts';

/** Layers may vanish under a pull when images are removed: it begins again so often. */
const ATTEMPTS = 5;

/** `POST /images/create?fromImage=`: a tag, a digest, or without either all tags of the repository. The manifest is there before
 *  the first message. */
export async function* pullImage(engine: EngineContext, name: string, options: { platform: string; auth: string; referrers: boolean }, signal: AbortSignal): AsyncGenerator<ProgressMessage, void, undefined> {
  const reference = parseReference(name);
  const platform = parsePlatform(options.platform);
  const repository = openRepository({ ...reference, familiar: familiarName(reference) }, parseRegistryAuth(options.auth), registryOptions(engine));
  try {
    const wanted = reference.digest !== undefined || reference.tag !== undefined ? [reference] : (await repository.tags(signal)).map((tag) => ({ ...reference, tag }));
    if (wanted.length === 0) throw new NaruError('not-found', `${familiarName(reference)} has no tags`);
    for (const one of wanted) yield* pullOne({ engine, repository, reference: one, platform: { wanted: platform, asked: options.platform !== '' }, referrers: options.referrers }, signal);
  } finally {
    repository.close();
  }
}

interface Pull { engine: EngineContext; repository: Repository; reference: Reference; platform: { wanted: Platform; asked: boolean }; /** Bring what refers to the image too. */ referrers: boolean }

async function* pullOne(pull: Pull, signal: AbortSignal): AsyncGenerator<ProgressMessage, void, undefined> {
  const { engine, repository, reference, platform } = pull;
  const { images } = engine.store;
  const tagOrDigest = reference.digest ?? reference.tag ?? 'latest';
  const familiar = familiarName(reference);
  const full = reference.digest === undefined ? `${familiar}:${tagOrDigest}` : `${familiar}@${tagOrDigest}`;
  let resolved: ResolvedImage;
  try {
    resolved = await repository.resolve(tagOrDigest, { platform: platform.wanted, signal });
  } catch (error) {
    const found = await artifactInstead(pull, error, { tagOrDigest, signal });
    if (found === undefined) throw error;
    return yield* pullArtifact(engine, { repository, reference, found, referrers: pull.referrers }, signal);
  }
  const signatures = await admitPull(engine, { repository, reference, resolved, name: full }, signal);
  yield { status: `Pulling from ${reference.path}`, id: tagOrDigest };

  const beforeImage = images.find(full);
  const before = beforeImage?.id;
  const variantsBefore = reference.digest === undefined && beforeImage !== undefined ? images.variants(full) : [];
  const byDigest = `${familiar}@${resolved.top.digest}`;
  const same = before === resolved.config.digest && images.find(byDigest)?.id === before;
  // Work goes on after its reader left only to end cleanly.
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal, engine.closing]);
  const feed = new ProgressFeed();
  if (!same) {
    yield* feed.during(bring(pull, { resolved, feed, names: { tags: reference.digest === undefined ? [full] : [], digests: [byDigest] } }, until), () => stop.abort());
    imageEvent(engine, { id: full, name: familiar }, 'pull');
  }
  const behind = reference.digest !== undefined || resolved.top.digest === resolved.manifest.digest || beforeImage === undefined ? [] : [beforeImage, ...variantsBefore];
  yield* feed.during(keepAbout(pull, { resolved, signatures, feed }, until), () => stop.abort());
  if (behind.length > 0) joinVariants(engine, full, { index: resolved.top.digest, before: behind, byDigest });
  yield { status: `Digest: ${resolved.top.digest}` };
  yield { status: before === resolved.config.digest ? `Status: Image is up to date for ${full}` : `Status: Downloaded newer image for ${full}` };
}

/** What a tag means when it means no image: undefined for everything that is wrong otherwise. */
async function artifactInstead({ repository }: Pull, error: unknown, { tagOrDigest, signal }: { tagOrDigest: string; signal: AbortSignal }): Promise<FetchedManifest | undefined> {
  if (!isKind(error, 'unsupported') && !(isKind(error, 'not-found') && (error as NaruError).message.startsWith('no matching manifest'))) return undefined;
  const found = await repository.manifest(tagOrDigest, signal).catch(() => undefined);
  return found !== undefined && isArtifact(found) ? found : undefined;
}

/** Keeps what says something of the image: the indexes that it came by, signatures that were looked at, and all referrers when asked. */
async function keepAbout({ engine, repository, referrers }: Pull, { resolved, signatures, feed }: { resolved: ResolvedImage; signatures: FoundSignatures[]; feed: ProgressFeed }, signal: AbortSignal): Promise<void> {
  const { documents } = engine.store;
  const { manifest } = resolved;
  await keepSignatures(documents, signatures);
  const indexes = resolved.indexes.filter(({ digest }) => documents.get(digest) === undefined);
  if (indexes.length === 0 && !referrers) return;
  using intake = documents.intake();
  const about = referrers ? await bringReferrers([...resolved.indexes, manifest].map(({ digest }) => digest), intake, { repository, feed, signal }) : [];
  intake.put([...indexes.map((index) => ({ ...index, artifactType: undefined, subject: index.parsed.subject, blobs: [], children: index.parsed.manifests.map(({ digest }) => digest) })), ...about]);
}

async function bring({ engine, repository, reference, platform }: Pull, { resolved, feed, names }: { resolved: ResolvedImage; feed: ProgressFeed; names: { tags: string[]; digests: string[] } }, signal: AbortSignal): Promise<void> {
  const { transfers, images } = engine.store;
  const { layers, manifest } = resolved;
  const known = images.get(resolved.config.digest as Digest) !== undefined;
  const config = known ? transfers.configOf(resolved.config.digest) : await repository.document(resolved.config, signal);
  if (platform.asked) checkPlatform(config, { wanted: platform.wanted, name: familiarName(reference) });
  await using session = transfers.begin({ config, layers });
  if (!known) {
    const missing = new Set(session.missing());
    layers.forEach(({ digest }, position) => feed.step(shortId(digest), missing.has(position) ? 'Pulling fs layer' : 'Already exists'));
    [...missing].slice(3).forEach((position) => feed.step(shortId(layers[position]!.digest), 'Waiting'));
  }
  for (let attempt = 1; ; attempt++) {
    await stageAll(session, { repository, layers, feed, signal });
    try {
      const { digest, mediaType, bytes } = manifest;
      await session.publish({ ...names, manifest: { digest, mediaType, bytes }, repository: `${reference.domain}/${reference.path}` });
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !isKind(error, 'conflict')) throw error;
    }
  }
}

async function stageAll(session: PullSession, { repository, layers, feed, signal }: { repository: Repository; layers: ResolvedImage['layers']; feed: ProgressFeed; signal: AbortSignal }): Promise<void> {
  // One failure ends the others.
  const failed = new AbortController();
  const until = AbortSignal.any([signal, failed.signal]);
  let cause: unknown;
  await Promise.all(session.missing().map(async (position) => {
    const layer = layers[position]!;
    const id = shortId(layer.digest);
    try {
      await session.stage(position, {
        open: (offset, aborted) => passing(repository.blob(layer, { offset, signal: aborted })),
        onEvent: (event) => showEvent(feed, event, { id, total: layer.size }),
        signal: until,
      });
      feed.step(id, 'Pull complete');
    } catch (error) {
      cause ??= error;
      failed.abort();
    }
  }));
  if (cause !== undefined) throw cause;
}

function showEvent(feed: ProgressFeed, event: StageEvent, { id, total }: { id: string; total: number }): void {
  if (event.phase === 'downloading') feed.count(id, 'Downloading', { current: event.done, total });
  else if (event.phase === 'extracting') feed.count(id, 'Extracting', { current: event.done, total });
  else {
    feed.step(id, 'Verifying Checksum');
    feed.step(id, 'Download complete');
  }
}

/** Each chunk's memory is given back once the next is asked for: the collector would wait for dozens of megabytes. */
async function* passing(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks) {
    yield chunk;
    if (chunk.byteLength === chunk.buffer.byteLength && chunk.buffer instanceof ArrayBuffer) chunk.buffer.transfer(0);
  }
}

/** Throws not-found, as Docker does, when the only image there is for another platform. */
function checkPlatform(config: Uint8Array, { wanted, name }: { wanted: Platform; name: string }): void {
  const offered = JSON.parse(Buffer.from(config).toString('utf8')) as ImageConfig;
  if (fitness(offered, wanted) > 0) return;
  throw new NaruError('not-found', `image with reference ${name} was found but its platform (${formatPlatform(offered)}) does not match the specified platform (${formatPlatform(wanted)})`);
}

const shortId = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);
