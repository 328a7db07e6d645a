import type { ProgressMessage } from '#spec/engine-api.ts';
import { familiarName, type Reference } from '#core/images/reference.ts';
import type { FetchedManifest } from '#registry/client/fetch-manifest.ts';
import type { Repository } from '#registry/client/repository.ts';
import type { EngineContext } from '../engine-context.ts';
import { imageEvent } from '../images/image-event.ts';
import { admitPull } from '../policy/admit-image.ts';
import { keepSignatures } from '../policy/collect-signatures.ts';
import { bringDocument, bringReferrers } from './copy-documents.ts';
import { ProgressFeed } from './progress-feed.ts';

/** A pull of what is no image: kept with its blobs under its name, so that it can be inspected, tagged and pushed. */
export async function* pullArtifact(engine: EngineContext, { repository, reference, found, referrers }: { repository: Repository; reference: Reference; found: FetchedManifest; referrers: boolean }, signal: AbortSignal): AsyncGenerator<ProgressMessage, void, undefined> {
  const { documents } = engine.store;
  const familiar = familiarName(reference);
  const tagOrDigest = reference.digest ?? reference.tag ?? 'latest';
  const full = reference.digest === undefined ? `${familiar}:${tagOrDigest}` : `${familiar}@${tagOrDigest}`;
  const names = [...new Set([full, `${familiar}@${found.digest}`])];
  const signatures = await admitPull(engine, { repository, reference, resolved: { indexes: [], manifest: found }, name: full }, signal);
  yield { status: `Pulling from ${reference.path}`, id: tagOrDigest };
  const before = documents.find(full)?.digest;
  const stop = new AbortController();
  const feed = new ProgressFeed();
  const copy = { repository, feed, signal: AbortSignal.any([signal, stop.signal, engine.closing]) };
  const work = async (): Promise<void> => {
    using intake = documents.intake();
    const brought = await bringDocument(found, intake, copy);
    const about = referrers ? await bringReferrers([found.digest], intake, copy) : [];
    intake.put([...brought.slice(0, -1), { ...brought.at(-1)!, names }, ...about]);
    await keepSignatures(documents, signatures);
  };
  yield* feed.during(work(), () => stop.abort());
  if (before !== undefined && before !== found.digest) documents.collect();
  imageEvent(engine, { id: full, name: familiar }, 'pull');
  yield { status: `Digest: ${found.digest}` };
  yield { status: before === found.digest ? `Status: Image is up to date for ${full}` : `Status: Downloaded newer image for ${full}` };
}
