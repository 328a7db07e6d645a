import { createHash, createHmac } from 'node:crypto';
import { NaruError } from '#spec/errors.ts';
import type { Metadata } from '../metadata/open-metadata.ts';
import type { EventSink } from './event.ts';

export interface WebhookOptions {
  url: string;
  headers?: Record<string, string>;
  /** Signs each body: `X-Hub-Signature-256: sha256=<HMAC in hex>`, as receivers know it from elsewhere. */
  secret?: string;
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
const MOST_WAITING = 10_000;
/** About a day, at a minute each. */
const ATTEMPTS = 1_500;

const keyOf = (url: string): string => createHash('sha256').update(url).digest('hex').slice(0, 32);

/** Forgets events for addresses that are not among these any more. */
export const forgetOtherHooks = (metadata: Metadata, urls: readonly string[]): void => {
  const keys = urls.map(keyOf);
  metadata.transaction(() => {
    for (const { hook } of metadata.all<{ hook: string }>('SELECT DISTINCT hook FROM events')) if (!keys.includes(hook)) metadata.run('DELETE FROM events WHERE hook = ?', hook);
  }, { durable: false });
};

/**
 * Posts events in order, in batches, to one address. They wait in the database, so that they outlive the server: one that is emitted
 * within a transaction is there exactly when its cause is. Each is delivered at least once, under the same `id`. A slow or
 * dead receiver never holds up the registry.
 */
export function webhook(metadata: Metadata, options: WebhookOptions, outcome: (what: 'delivered' | 'dropped', count: number, error?: unknown) => void): Webhook {
  const { url, headers = {}, secret, queue: most = MOST_WAITING, attempts = ATTEMPTS, timeout = 10_000, backoff = 1_000 } = options;
  const hook = keyOf(url);
  const stopping = new AbortController();
  let waiting = metadata.one<{ n: number }>('SELECT count(*) AS n FROM events WHERE hook = ?', hook)?.n ?? 0;
  let working: Promise<void> | undefined;

  const post = async (body: string): Promise<void> => {
    const signature: Record<string, string> = secret === undefined ? {} : { 'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` };
    const answer = await fetch(url, {
      method: 'POST', headers: { ...headers, ...signature, 'content-type': ENVELOPE }, body, redirect: 'manual',
      signal: AbortSignal.any([AbortSignal.timeout(timeout), stopping.signal]),
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new NaruError('unavailable', `the webhook answered ${answer.status}`);
  };
  const remove = (last: number): number => {
    const gone = metadata.transaction(() => metadata.run('DELETE FROM events WHERE hook = ? AND id <= ?', hook, last), { durable: false });
    waiting -= gone;
    return gone;
  };
  /** Tries until it is delivered or given up; false when the server stops meanwhile: then the events stay. */
  const deliver = async (body: string): Promise<{ error?: unknown } | undefined> => {
    for (let attempt = 1; !stopping.signal.aborted; attempt++) {
      try {
        await post(body);
        return {};
      } catch (error) {
        if (stopping.signal.aborted) return undefined;
        if (attempt >= attempts) return { error };
        await pause(Math.min(60 * backoff, backoff * 2 ** Math.min(attempt - 1, 16)), stopping.signal);
      }
    }
    return undefined;
  };
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const batch = metadata.all<{ id: number; event: string }>('SELECT id, event FROM events WHERE hook = ? ORDER BY id LIMIT ?', hook, BATCH);
      const last = batch.at(-1)?.id;
      if (last === undefined) {
        // A transaction that was undone took its events along.
        waiting = 0;
        break;
      }
      const result = await deliver(`{"events":[${batch.map(({ event }) => event).join(',')}]}`);
      if (result === undefined) break;
      const gone = remove(last);
      outcome('error' in result ? 'dropped' : 'delivered', gone, result.error);
    }
    working = undefined;
  };
  const wake = (): void => {
    // After the transaction that this may be part of.
    working ??= Promise.resolve().then(work).catch((error: unknown) => {
      working = undefined;
      outcome('dropped', 0, error);
    });
  };
  if (waiting > 0) wake();
  return {
    emit(event) {
      metadata.transaction(() => {
        if (waiting >= most) {
          const oldest = metadata.one<{ id: number }>('SELECT min(id) AS id FROM events WHERE hook = ?', hook)?.id;
          if (oldest !== undefined) outcome('dropped', remove(oldest));
        }
        metadata.run('INSERT INTO events (hook, event) VALUES (?, ?)', hook, JSON.stringify(event));
        waiting++;
      }, { durable: false });
      wake();
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
