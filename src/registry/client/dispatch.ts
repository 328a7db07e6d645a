import { NaruError } from '#spec/errors.ts';
import type { HttpDispatchOptions } from './http-options.ts';

/**
 * The transport's one abstraction: a function from request to response. What a registry needs beyond one HTTP exchange
 * (retries, tokens, redirects, mirrors) is a function from `Dispatch` to `Dispatch`; an endpoint is a composition of them.
 */
export type Dispatch = (request: RegistryRequest) => Promise<RegistryResponse>;
export type Interceptor = (next: Dispatch) => Dispatch;

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes can be sent again after a failure; a stream cannot. */
  readonly body?: Uint8Array | StreamBody;
  readonly signal?: AbortSignal;
  /** What a token must allow, scopes separated by spaces: `repository:library/busybox:pull`. */
  readonly scope?: string;
  /** Where this leads was not chosen by the user but by a registry's answer: some addresses are refused (address-guard.ts). */
  readonly foreign?: boolean;
}

/** `length` undefined: not known yet, sent in HTTP chunks. `elsewhere`: another process has the bytes and makes the exchange instead;
 *  `stream` is not opened then. */
export interface StreamBody { readonly stream: AsyncIterable<Uint8Array>; readonly length?: number; readonly elsewhere?: Elsewhere }

/** Makes an exchange that another process was told of as JSON, by `exchangeHere` (exchange-here.ts). */
export type Elsewhere = (exchange: ExchangeElsewhere) => Promise<AnswerElsewhere>;

export interface ExchangeElsewhere {
  readonly method: RegistryRequest['method'];
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly transport: HttpDispatchOptions;
}

/** `body`: base64, the beginning of it. */
export interface AnswerElsewhere { readonly status: number; readonly headers: Readonly<Record<string, string | undefined>>; readonly body: string }

export interface RegistryResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Who answered, after redirects. */
  readonly url: URL;
  /** To be read to its end or cancelled. Throws `unavailable` when it breaks. */
  readonly body: ResponseBody;
}

export interface ResponseBody extends AsyncIterable<Uint8Array> { cancel(): void }

/** The first interceptor is the outermost. */
export const compose = (base: Dispatch, ...interceptors: readonly Interceptor[]): Dispatch =>
  interceptors.reduceRight((next, interceptor) => interceptor(next), base);

export const isStream = (body: RegistryRequest['body']): body is StreamBody => body !== undefined && !(body instanceof Uint8Array);

/** All bytes of a body. Throws `too-large` beyond `limit`. */
export async function readBody(response: RegistryResponse, limit: number): Promise<Buffer> {
  const announced = Number(response.headers['content-length'] ?? 0);
  const tooLarge = (): NaruError => new NaruError('too-large', `the answer of ${response.url.host} is larger than ${limit} bytes`);
  if (announced > limit) {
    response.body.cancel();
    throw tooLarge();
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    if (length > limit) {
      response.body.cancel();
      throw tooLarge();
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}
