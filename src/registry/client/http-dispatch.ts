import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as tlsConnect } from 'node:tls';
import { NaruError } from '#spec/errors.ts';
import { bareHost, checkForeignUrl, guardedLookup, isLoopbackHost } from './address-guard.ts';
import { isStream, type Dispatch, type RegistryRequest, type RegistryResponse, type ResponseBody } from './dispatch.ts';
import type { HttpDispatchOptions } from './http-options.ts';
import { openTunnel, proxyAuthorization, proxyFor } from './proxy.ts';
import { exchangeOf, responseElsewhere } from './elsewhere.ts';
import { transportError } from './transport-error.ts';

const PATIENCE = 60_000;

/** One HTTP exchange: no retries, no redirects, no credentials. Throws `unavailable` when there is no answer. */
export function httpDispatch(options: HttpDispatchOptions = {}): Dispatch & { close(): void } {
  const { tls = {}, env = {}, loopback = false, patience = PATIENCE, userAgent = 'naru' } = options;
  const secure: { ca?: string; cert?: string; key?: string; rejectUnauthorized?: boolean } = {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }), ...(tls.cert === undefined ? {} : { cert: tls.cert }), ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.skipVerify === true ? { rejectUnauthorized: false } : {}),
  };
  const agents = { 'http:': new HttpAgent({ keepAlive: true }), 'https:': new HttpsAgent({ keepAlive: true, ...secure }) };

  async function dispatch(request: RegistryRequest): Promise<RegistryResponse> {
    const { url } = request;
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new NaruError('invalid', `${url.protocol} is no protocol of a registry`);
    if (request.signal?.aborted === true) throw new NaruError('canceled', 'canceled');
    if (request.foreign === true) checkForeignUrl(url, { loopback });
    if (isStream(request.body) && request.body.elsewhere !== undefined && request.foreign !== true) {
      return responseElsewhere(request, await request.body.elsewhere(exchangeOf(request, options)));
    }
    const https = url.protocol === 'https:';
    const proxy = proxyFor(url, env);
    const port = Number(url.port === '' ? (https ? 443 : 80) : url.port);
    const host = bareHost(url);
    const target: RequestOptions & Record<string, unknown> = {
      method: request.method, host, port, path: url.pathname + url.search,
      headers: { host: url.host, 'user-agent': userAgent, ...request.headers, ...bodyHeaders(request) },
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    try {
      if (proxy === undefined) {
        Object.assign(target, { agent: agents[url.protocol] }, https ? secure : {}, request.foreign === true ? { lookup: guardedLookup({ loopback }) } : {});
      } else if (https) {
        const tunnel = await openTunnel(proxy, { host, port }, request.signal);
        Object.assign(target, { createConnection: () => tlsConnect({ socket: tunnel, servername: host, ...secure }) });
      } else {
        Object.assign(target, { host: bareHost(proxy), port: Number(proxy.port === '' ? 80 : proxy.port), path: url.href, agent: agents['http:'] });
        target.headers = { ...(target.headers as Record<string, string>), ...proxyAuthorization(proxy) };
      }
      return await exchange(https ? httpsRequest(target) : httpRequest(target), request, patience);
    } catch (error) {
      throw transportError(error, request);
    }
  }
  return Object.assign(dispatch, {
    close() {
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  });
}

export const onThisMachine = (url: URL): boolean => isLoopbackHost(bareHost(url));

function bodyHeaders({ body, method }: RegistryRequest): Record<string, string> {
  if (body instanceof Uint8Array) return { 'content-length': String(body.byteLength) };
  if (isStream(body)) return body.length === undefined ? {} : { 'content-length': String(body.length) };
  return method === 'POST' || method === 'PUT' || method === 'PATCH' ? { 'content-length': '0' } : {};
}

function exchange(message: ClientRequest, request: RegistryRequest, patience: number): Promise<RegistryResponse> {
  return new Promise((resolve, reject) => {
    const silence = (): NaruError => new NaruError('unavailable', `${request.url.host} did not answer for ${patience / 1000} s`);
    let timer = setTimeout(() => message.destroy(silence()), patience);
    const alive = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => message.destroy(silence()), patience);
    };
    message.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    message.once('response', (response) => {
      clearTimeout(timer);
      message.on('error', () => {}); // the body tells
      resolve({ status: response.statusCode ?? 0, headers: flat(response), url: request.url, body: responseBody(response, request, patience) });
    });
    const { body } = request;
    if (isStream(body)) void send(message, body.stream, alive).catch((error: unknown) => message.destroy(error as Error));
    else message.end(body);
  });
}

/** Bytes that are sent as one: each write costs as much again as 200 kB of it. */
const PIECE = 1 << 20;

/** Sends with back-pressure; every step counts as a sign of life. */
async function send(message: ClientRequest, stream: AsyncIterable<Uint8Array>, alive: () => void): Promise<void> {
  for await (const piece of pieces(stream, alive)) {
    if (message.destroyed) return;
    if (!message.write(piece)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          for (const event of ['drain', 'close', 'error', 'response']) message.off(event, done);
          resolve();
        };
        for (const event of ['drain', 'close', 'error', 'response']) message.once(event, done);
      });
    }
    alive();
  }
  message.end();
}

/** Copies, for the source may use a chunk's memory again while a piece waits in a queue: of PIECE bytes each, and what is left. */
async function* pieces(stream: AsyncIterable<Uint8Array>, alive: () => void): AsyncGenerator<Buffer, void, undefined> {
  let piece = Buffer.allocUnsafe(PIECE);
  let used = 0;
  for await (const chunk of stream) {
    alive();
    for (let at = 0; at < chunk.byteLength; ) {
      const part = chunk.subarray(at, at + PIECE - used);
      piece.set(part, used);
      used += part.byteLength;
      at += part.byteLength;
      if (used < PIECE) continue;
      yield piece;
      piece = Buffer.allocUnsafe(PIECE);
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}

const flat = (response: IncomingMessage): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]));

function responseBody(response: IncomingMessage, request: RegistryRequest, patience: number): ResponseBody {
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const source = (response as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const timer = setTimeout(() => response.destroy(new NaruError('unavailable', `${request.url.host} sent nothing for ${patience / 1000} s`)), patience);
        let step: IteratorResult<Uint8Array>;
        try {
          step = await source.next();
        } finally {
          clearTimeout(timer);
        }
        if (step.done === true) return;
        yield step.value;
      }
    } catch (error) {
      throw transportError(error, request);
    } finally {
      if (!response.complete) response.destroy();
    }
  }
  const iterator = chunks();
  return { [Symbol.asyncIterator]: () => iterator, cancel: () => void response.destroy() };
}
