import { isKind, NaruError } from '#spec/errors.ts';
import { isStream, type Interceptor, type RegistryResponse } from './dispatch.ts';

export interface RetryOptions {
  /** Exchanges in all, the first included. */
  readonly attempts?: number;
  /** Milliseconds: the first wait; it doubles each time, up to `most`, and is cut by a random part. */
  readonly base?: number;
  readonly most?: number;
  readonly random?: () => number;
}

export const RETRY_DEFAULTS = { attempts: 5, base: 200, most: 10_000, random: Math.random } as const;
/** A server that asks for more patience than this gets none. */
export const MAX_RETRY_AFTER = 60_000;

const PASSING: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

/** Tries again what may pass: connections that break, 429 (waiting as long as Retry-After says) and 5xx. A request whose body
 *  is a stream is never sent twice. */
export const retry = (options: RetryOptions = {}): Interceptor => (next) => async (request) => {
  const { attempts, base, most, random } = { ...RETRY_DEFAULTS, ...options };
  for (let attempt = 1; ; attempt++) {
    const last = attempt >= attempts || isStream(request.body);
    let wait = backOff(attempt, { base, most, random });
    try {
      const response = await next(request);
      if (last || !PASSING.includes(response.status)) return response;
      const asked = retryAfter(response);
      if (asked !== undefined && asked > MAX_RETRY_AFTER) return response;
      wait = Math.max(wait, asked ?? 0);
      response.body.cancel();
    } catch (error) {
      if (last || !isKind(error, 'unavailable')) throw error;
    }
    await sleep(wait, request.signal);
  }
};

/** Full jitter over the upper half: clients that failed together do not come back together. */
export const backOff = (attempt: number, { base, most, random }: { base: number; most: number; random: () => number }): number =>
  Math.min(most, base * 2 ** (attempt - 1)) * (0.5 + random() / 2);

/** Milliseconds: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after, seconds or a date. */
export function retryAfter({ headers }: Pick<RegistryResponse, 'headers'>, now = Date.now()): number | undefined {
  const text = headers['retry-after']?.trim();
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Throws `canceled` when the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(new NaruError('canceled', 'canceled'));
    const abort = (): void => {
      clearTimeout(timer);
      reject(new NaruError('canceled', 'canceled'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
