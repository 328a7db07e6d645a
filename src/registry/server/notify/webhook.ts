import { NaruError } from '#spec/errors.ts';
import type { EventSink, RegistryEvent } from './event.ts';

export interface WebhookOptions {
  url: string;
  headers?: Record<string, string>;
  /** Events that wait at most; beyond that the oldest is dropped, and counted. */
  queue?: number;
  /** Tries for each event; between them 1, 2, 4 … seconds, at most a minute (times `backoff` / 1000). */
  attempts?: number;
  timeout?: number;
  backoff?: number;
}
export interface Webhook extends EventSink, AsyncDisposable {}

const ENVELOPE = 'application/vnd.docker.distribution.events.v2+json';
const BATCH = 50;

/** Posts events in order, in batches, to one address. A slow or dead receiver never holds up the registry. */
export function webhook(options: WebhookOptions, outcome: (what: 'delivered' | 'dropped', count: number, error?: unknown) => void): Webhook {
  const { url, headers = {}, queue: most = 1_000, attempts = 8, timeout = 10_000, backoff = 1_000 } = options;
  const waiting: RegistryEvent[] = [];
  const stopping = new AbortController();
  let working: Promise<void> | undefined;

  const post = async (events: RegistryEvent[]): Promise<void> => {
    const answer = await fetch(url, {
      method: 'POST', headers: { ...headers, 'content-type': ENVELOPE }, body: JSON.stringify({ events }), redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(timeout), stopping.signal]),
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new NaruError('unavailable', `the webhook answered ${answer.status}`);
  };
  const work = async (): Promise<void> => {
    while (waiting.length > 0 && !stopping.signal.aborted) {
      const batch = waiting.splice(0, BATCH);
      for (let attempt = 1; ; attempt++) {
        try {
          await post(batch);
          outcome('delivered', batch.length);
          break;
        } catch (error) {
          if (attempt >= attempts || stopping.signal.aborted) {
            outcome('dropped', batch.length, error);
            break;
          }
          await pause(Math.min(60 * backoff, backoff * 2 ** (attempt - 1)), stopping.signal);
        }
      }
    }
    working = undefined;
  };
  return {
    emit(event) {
      if (waiting.length >= most) {
        waiting.shift();
        outcome('dropped', 1);
      }
      waiting.push(event);
      working ??= Promise.resolve().then(work);
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await working;
    },
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> => new Promise((resolve) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', done, { once: true });
  function done(): void {
    clearTimeout(timer);
    signal.removeEventListener('abort', done);
    resolve();
  }
});
