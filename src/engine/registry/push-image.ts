import { NaruError } from '#spec/errors.ts';
import type { ProgressMessage } from '#spec/engine-api.ts';
import { familiarName, parseReference } from '#core/images/reference.ts';
import type { ImageRecord } from '#core/store.ts';
import { parseRegistryAuth } from '#registry/client/credentials.ts';
import { openRepository } from '#registry/client/repository.ts';
import type { EngineContext } from '../engine-context.ts';
import { findForPlatform, platformAsked } from '../images/image-platforms.ts';
import { imageEvent } from '../images/image-event.ts';
import { sendDocument, sendReferrers } from './copy-documents.ts';
import { ProgressFeed } from './progress-feed.ts';
import { pushIndex } from './push-index.ts';
import type { Push } from './push.ts';
import { pushOne } from './push-one.ts';
import { registryOptions } from './registry-options.ts';

/** `POST /images/{name}/push`: one tag, or without a tag all tags of the repository that are here;
 *  of each all platforms that are here, unless one is asked for. */
export async function* pushImage(engine: EngineContext, name: string, options: { auth: string; platform: string; compression: string; level: number }, signal: AbortSignal): AsyncGenerator<ProgressMessage, void, undefined> {
  const reference = parseReference(name);
  const familiar = familiarName(reference);
  if (reference.digest !== undefined) throw new NaruError('invalid', 'cannot push a digest reference');
  const artifact = reference.tag === undefined ? undefined : engine.store.documents.find(`${familiar}:${reference.tag}`);
  const platform = platformAsked(options.platform);
  const selection = artifact !== undefined ? [] : tagsOf(engine, { familiar, tag: reference.tag }).map(({ tag, image }) => ({ tag, image: platform === undefined ? image : findForPlatform(engine, `${familiar}:${tag}`, platform) }));
  const compression = compressionAsked(options);
  const credentials = parseRegistryAuth(options.auth);
  const repository = openRepository({ ...reference, familiar }, credentials, registryOptions(engine));
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal, engine.closing]);
  try {
    yield { status: `The push refers to repository [${reference.domain}/${reference.path}]` };
    if (artifact !== undefined) {
      const feed = new ProgressFeed();
      const copy = { repository, feed, signal: until };
      yield* feed.during(sendDocument(engine, artifact, { ...copy, tag: reference.tag! }).then(() => sendReferrers(engine, artifact.digest, { ...copy, place: reference })), () => stop.abort());
      engine.store.documents.name(artifact.digest, `${familiar}@${artifact.digest}`);
      yield { status: `${reference.tag}: digest: ${artifact.digest} size: ${artifact.bytes.byteLength}` };
      yield { progressDetail: {}, aux: { Tag: reference.tag!, Digest: artifact.digest, Size: artifact.bytes.byteLength } };
    }
    for (const { tag, image } of selection) {
      const feed = new ProgressFeed();
      const place = { domain: reference.domain, path: reference.path };
      const push = { engine, repository, tag, place, feed, compression };
      const others = platform === undefined ? engine.store.images.variants(`${familiar}:${tag}`) : [];
      const manifest = yield* feed.during(others.length > 0 ? pushIndex(push, [image, ...others], until) : pushOne({ ...push, image }, until), () => stop.abort());
      imageEvent(engine, { id: `${familiar}:${tag}`, name: familiar }, 'push');
      yield { status: `${tag}: digest: ${manifest.digest} size: ${manifest.bytes.byteLength}` };
      yield { progressDetail: {}, aux: { Tag: tag, Digest: manifest.digest, Size: manifest.bytes.byteLength } };
    }
  } finally {
    repository.close();
  }
}

/** `--compression` and its level. Throws `invalid`. undefined: as the registry's file says, and what is there in another form will do. */
function compressionAsked({ compression, level }: { compression: string; level: number }): Push['compression'] {
  if (compression === '') {
    if (level !== 0) throw new NaruError('invalid', 'a compression level needs a compression', { hint: 'give --compression gzip or zstd' });
    return undefined;
  }
  if (compression !== 'gzip' && compression !== 'zstd') throw new NaruError('invalid', `unknown compression ${JSON.stringify(compression)}`, { hint: 'gzip or zstd' });
  const most = compression === 'gzip' ? 9 : 22;
  if (level < 0 || level > most) throw new NaruError('invalid', `compression level ${level} is outside the range of 1 to ${most} of ${compression}`);
  return { compression, level };
}

function tagsOf({ store }: EngineContext, { familiar, tag }: { familiar: string; tag: string | undefined }): { tag: string; image: ImageRecord }[] {
  const all = tag === undefined
    ? store.images.list().flatMap((image) => image.tags.filter((own) => own.startsWith(`${familiar}:`) && !own.slice(familiar.length + 1).includes('/')).map((own) => ({ tag: own.slice(familiar.length + 1), image })))
    : [store.images.find(`${familiar}:${tag}`)].flatMap((image) => (image === undefined ? [] : [{ tag, image }]));
  if (all.length > 0) return all.sort((a, b) => (a.tag < b.tag ? -1 : 1));
  throw new NaruError('not-found', tag === undefined ? `An image does not exist locally with the tag: ${familiar}` : `tag does not exist: ${familiar}:${tag}`);
}
