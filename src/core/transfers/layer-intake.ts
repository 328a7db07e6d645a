import { existsSync } from 'node:fs';
import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { DataRoot } from '../data-root.ts';
import type { StagedLayer } from '../images/publish-images.ts';
import { resultOf, type Helpers } from '../jobs/helpers.ts';
import { download } from './download.ts';
import type { PartialFiles } from './partial-files.ts';
import type { Slots } from './slots.ts';
import type { StageEvent, StageOptions } from './transfer-store.ts';

interface Blob { readonly digest: Digest; readonly size: number }

/** A staged layer that several pulls may hold; its files go when the last lets go. */
export interface HeldLayer {
  readonly layer: StagedLayer;
  /** Its files are still where they were staged (they move when an image is made of them). */
  here(): boolean;
  release(): Promise<void>;
}

export interface LayerIntake {
  /** `local`: the store has the layer, fitted to other parents; nothing is downloaded. */
  take(blob: Blob, options: StageOptions, local?: LocalLayer): Promise<HeldLayer>;
}

export interface LocalLayer { readonly layer: string; readonly recipe: string; readonly diffId: Digest }

interface Coming {
  readonly done: Promise<{ layer: StagedLayer; incoming: string }>;
  readonly listeners: Set<(event: StageEvent) => void>;
  last: StageEvent | undefined;
  holders: number;
}

/** Brings blobs and unpacks them, each at most once at a time, however many pulls want it. */
export function createLayerIntake(context: { root: DataRoot; helpers: Helpers; partials: PartialFiles; slots: Slots }): LayerIntake {
  const { root } = context;
  const coming = new Map<Digest, Coming>();

  async function take(blob: Blob, options: StageOptions, local?: LocalLayer): Promise<HeldLayer> {
    for (;;) {
      let entry = coming.get(blob.digest);
      if (entry === undefined) coming.set(blob.digest, (entry = begin(blob, options, local)));
      else if (entry.last !== undefined) options.onEvent(entry.last);
      entry.listeners.add(options.onEvent);
      entry.holders++;
      try {
        const { layer, incoming } = await abortable(entry.done, options.signal);
        return held(blob, { entry, layer, incoming });
      } catch (error) {
        void letGo(blob, entry);
        // The pull that brought it was canceled; this one goes on from where it stopped.
        if (!isKind(error, 'canceled') || options.signal.aborted) throw error;
      } finally {
        entry.listeners.delete(options.onEvent);
      }
    }
  }

  function begin(blob: Blob, options: StageOptions, local: LocalLayer | undefined): Coming {
    const entry: Coming = {
      listeners: new Set(), last: undefined, holders: 0,
      done: local !== undefined ? relay(local, options, context) : bring(blob, { ...options, alone: coming.size === 0 && options.alone }, (event) => {
        entry.last = event;
        for (const listener of entry.listeners) listener(event);
      }, context),
    };
    entry.done.catch(() => {
      if (coming.get(blob.digest) === entry) coming.delete(blob.digest);
    });
    return entry;
  }

  function held(blob: Blob, { entry, layer, incoming }: { entry: Coming; layer: StagedLayer; incoming: string }): HeldLayer {
    let holding = true;
    return {
      layer,
      here() {
        const there = existsSync(layer.directory);
        // Whoever asks next must bring it again.
        if (!there && coming.get(blob.digest) === entry) coming.delete(blob.digest);
        return there;
      },
      async release() {
        if (!holding) return;
        holding = false;
        if (await letGo(blob, entry)) await root.discard(incoming);
      },
    };
  }

  /** True for the last holder. */
  async function letGo(blob: Blob, entry: Coming): Promise<boolean> {
    if (--entry.holders > 0) return false;
    if (coming.get(blob.digest) === entry) coming.delete(blob.digest);
    try {
      const { incoming } = await entry.done;
      // Nobody waited for it any more when it came.
      await root.discard(incoming);
    } catch {
      // `bring` cleaned up.
    }
    return true;
  }

  return { take };
}

/** Unpacks a layer of the store once more. */
async function relay(local: LocalLayer, { signal }: StageOptions, { root, helpers }: { root: DataRoot; helpers: Helpers }): Promise<{ layer: StagedLayer; incoming: string }> {
  const incoming = root.newIncoming();
  try {
    const { layers } = await resultOf(helpers.run({ kind: 'relay', incoming, ...local }, { signal }));
    return { layer: layers[0] as StagedLayer, incoming };
  } catch (error) {
    await root.discard(incoming);
    throw error;
  }
}

async function bring(blob: Blob, options: StageOptions, onEvent: (event: StageEvent) => void, { root, helpers, partials, slots }: { root: DataRoot; helpers: Helpers; partials: PartialFiles; slots: Slots }): Promise<{ layer: StagedLayer; incoming: string }> {
  const { digest, size } = blob;
  const free = await slots.take(options.signal);
  const incoming = root.newIncoming();
  try {
    // What came damaged is thrown away, and all of it is asked for once more.
    for (let again = false; ; again = true) {
      const offset = Math.min(partials.length(digest), size);
      try {
        const directory = again ? root.newIncoming() : incoming;
        return { layer: await unpack(offset, directory), incoming: directory };
      } catch (error) {
        const useless = isKind(error, 'corrupt') || isKind(error, 'too-large') || isKind(error, 'no-space');
        if (useless) await partials.remove(digest);
        if (offset === 0 || again || !isKind(error, 'corrupt')) throw error;
      }
    }
  } catch (error) {
    await root.discard(incoming);
    throw error;
  } finally {
    free();
  }

  async function unpack(offset: number, directory: string): Promise<StagedLayer> {
    const stop = new AbortController();
    const signal = AbortSignal.any([options.signal, stop.signal]);
    const file = partials.open(digest, offset);
    onEvent({ phase: 'downloading', done: offset });
    const coming = download(offset < size ? options.open(offset, signal) : nothing(), file, { offset, size, onLength: (done) => onEvent({ phase: 'downloading', done }) });
    let downloaded = false;
    void coming.ended.then((whole) => {
      downloaded = whole;
      if (whole) onEvent({ phase: 'downloaded' });
      free(); // the next may come while this is still being unpacked
    });
    try {
      const job = helpers.run({ kind: 'blob', incoming: directory, partial: partials.path(digest), offset, digest, size, threads: options.alone }, { lengths: coming.lengths(), signal: options.signal });
      let step = await job.next();
      for (; step.done !== true; step = await job.next()) if (downloaded) onEvent({ phase: 'extracting', done: step.value.done });
      return step.value.layers[0] as StagedLayer;
    } finally {
      stop.abort();
      await coming.ended;
      file.close();
    }
  }
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new NaruError('canceled', 'canceled'));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
