import { NaruError } from '#spec/errors.ts';
import { rmSync } from 'node:fs';
import type { CheckMessage } from '#spec/naru-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { StoreProblem } from '#core/check/check-store.ts';
import { parseReference, familiarName } from '#core/images/reference.ts';
import type { EngineContext } from '../engine-context.ts';
import { imageEvent } from '../images/image-event.ts';
import { pullImage } from '../registry/pull-image.ts';

/**
 * `system check`: one message for each problem, then a summary. With `repair`: what no row knows is deleted; an image that is
 * damaged is removed with what only it had, and pulled again by its digest where it came from a registry. An image that a
 * container needs is left as it is: the message says which.
 */
export async function* checkSystem(engine: EngineContext, { repair, auth }: { repair: boolean; auth: string }, signal: AbortSignal): AsyncGenerator<CheckMessage, void, undefined> {
  const { store } = engine;
  const damaged = new Map<Digest, string>();
  const documents = new Map<Digest, StoreProblem[]>();
  let [checked, problems, repaired] = [0, 0, 0];
  for await (const step of store.check(signal)) {
    checked++;
    if ('checked' in step) continue;
    problems++;
    const { what, problem, images, orphan } = step;
    yield { What: what, Problem: problem, Images: images.flatMap((id) => namesOf(engine, id)), Action: '' };
    for (const id of images) damaged.set(id, what);
    for (const digest of step.documents) documents.set(digest, [...(documents.get(digest) ?? []), step]);
    if (repair && orphan !== undefined) {
      await store.discardOrphan(orphan);
      repaired++;
      yield { What: what, Problem: '', Images: [], Action: 'deleted' };
    }
  }
  if (repair) {
    for (const id of damaged.keys()) {
      const message = await repairImage(engine, id, { auth, signal });
      if (message.Problem === '') repaired++;
      yield message;
    }
    for (const [digest, causes] of documents) {
      for (const { blob } of causes) if (blob !== undefined) rmSync(blob, { force: true });
      const names = store.documents.names(digest);
      store.documents.remove(digest);
      repaired++;
      const from = names.find((name) => name.includes('@'));
      yield { What: `document ${digest}`, Problem: '', Images: names, Action: from === undefined ? 'removed: pull what it belonged to again' : `removed: naru pull ${names.find((name) => !name.includes('@')) ?? from} brings it again` };
    }
  }
  yield { Checked: checked, Problems: problems, Repaired: repaired };
}

const namesOf = ({ store }: EngineContext, id: Digest): string[] => {
  const names = store.imageNames(id);
  return names.tags.length > 0 ? names.tags : [names.digests[0] ?? id];
};

async function repairImage(engine: EngineContext, id: Digest, { auth, signal }: { auth: string; signal: AbortSignal }): Promise<Extract<CheckMessage, { What: string }>> {
  const { store } = engine;
  const { tags, digests } = store.imageNames(id);
  const names = namesOf(engine, id);
  const message = (action: string, problem = ''): Extract<CheckMessage, { What: string }> => ({ What: `image ${id}`, Problem: problem, Images: names, Action: action });
  const users = engine.containers.all().filter((container) => container.imageId === id || container.doc.mounts.some((mount) => mount.type === 'image' && mount.source === id));
  if (users.length > 0) return message('', `container ${users.map((container) => container.shortId).join(', ')} needs it: remove it and check again`);
  try {
    store.images.delete(id);
  } catch (error) {
    return message('', (error as Error).message);
  }
  await store.images.reclaimed();
  imageEvent(engine, { id, name: id }, 'delete');
  for (const from of digests) {
    try {
      for await (const _ of pullImage(engine, from, { platform: '', auth, referrers: false }, signal));
      const again = store.images.find(from);
      if (again === undefined) continue;
      for (const tag of tags) store.images.tag(again.id, tag);
      return message(`pulled again from ${familiarName(parseReference(from))}`);
    } catch (error) {
      if (!(error instanceof NaruError) || error.kind === 'canceled') throw error;
    }
  }
  return message('removed: load, pull or build it again');
}
