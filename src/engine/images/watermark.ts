import { statfsSync } from 'node:fs';
import type { ImageRecord } from '#core/store.ts';
import type { EngineContext } from '../engine-context.ts';
import { deleteUnused, usersOf } from './remove-image.ts';

/** Above `high` percent of its file system images are removed until it is at `low`, none younger than `age` (milliseconds since it was last pulled, tagged or run). */
export interface WatermarkOptions { readonly high: number; readonly low: number; readonly age: number }

/** Between two looks, milliseconds. */
const EVERY = 60_000;

/** Keeps the disk of the data root from filling: looks now and then, and whenever an image came. */
export interface Watermark { look(): void; close(): void }

/** Percent of the space that is used, of what is not reserved for root. */
export function percentUsed(path: string): number {
  const { blocks, bfree, bavail } = statfsSync(path);
  const used = blocks - bfree;
  return (100 * used) / Math.max(1, used + bavail);
}

export function createWatermark(engine: () => EngineContext, options: WatermarkOptions | undefined): Watermark {
  if (options === undefined) return { look: () => {}, close: () => {} };
  let running = false;
  let full = false;
  const look = (): void => {
    if (running) return;
    running = true;
    void reclaim(engine(), options).then((left) => {
      if (left !== undefined && !full) engine().report(`${Math.round(left)}% of the disk are used, and no image is left that could be removed`, 'keep the disk below the high-water mark');
      full = left !== undefined;
    }).catch((error: unknown) => engine().report(error, 'keep the disk below the high-water mark')).finally(() => {
      running = false;
    });
  };
  const timer = setInterval(look, EVERY);
  timer.unref();
  return { look, close: () => clearInterval(timer) };
}

/** Returns the percentage that is used when nothing more can be removed. */
async function reclaim(engine: EngineContext, { high, low, age }: WatermarkOptions): Promise<number | undefined> {
  const { store, dataRoot } = engine;
  if (percentUsed(dataRoot) < high) return undefined;
  store.transfers.prunePartials();
  for (const image of candidates(engine, age)) {
    await store.images.reclaimed();
    const used = percentUsed(dataRoot);
    if (used <= low) return undefined;
    // Looked at again: it may have been run, tagged or pulled since.
    const now = store.images.get(image.id);
    if (now === undefined || usersOf(engine, now).length > 0 || store.images.lastUsed(now.id) > Date.now() - age) continue;
    deleteUnused(engine, now);
  }
  await store.images.reclaimed();
  const used = percentUsed(dataRoot);
  return used < high ? undefined : used;
}

/** Unused ones, least recently used first. */
function candidates(engine: EngineContext, age: number): ImageRecord[] {
  const { images } = engine.store;
  const old = Date.now() - age;
  return images.list()
    .map((image) => ({ image, used: images.lastUsed(image.id) }))
    .filter(({ image, used }) => used <= old && usersOf(engine, image).length === 0)
    .sort((a, b) => a.used - b.used)
    .map(({ image }) => image);
}
