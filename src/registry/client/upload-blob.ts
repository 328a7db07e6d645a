import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Elsewhere, RegistryRequest, RegistryResponse } from './dispatch.ts';
import { responseError } from './response-error.ts';
import { backOff, RETRY_DEFAULTS, sleep, type RetryOptions } from './retry.ts';

type Send = (request: Omit<RegistryRequest, 'url' | 'scope'> & { url: URL; scope?: string }) => Promise<RegistryResponse>;

/** Bytes that can be had again from the start, the same each time. `finish` tells what they were once all have passed. */
export interface BlobSource {
  open(): AsyncIterable<Uint8Array>;
  /** Another process has them, and sends them itself where that is possible. */
  readonly elsewhere?: Elsewhere | undefined;
  finish(): Promise<{ readonly digest: Digest; readonly size: number }>;
}

export interface UploadOptions {
  /** `…/v2/<name>/blobs/uploads/`. */
  readonly uploads: URL;
  /** 0: the whole blob in one streamed request, as Docker does. */
  readonly chunkBytes: number;
  readonly signal?: AbortSignal | undefined;
  readonly retry?: RetryOptions | undefined;
}

/** `POST …/uploads/`: a session, or with `mount` and `from` perhaps the whole blob at once (then undefined).
 *  https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs */
export async function beginUpload(send: Send, { uploads, signal, mount }: { uploads: URL; signal?: AbortSignal | undefined; mount?: { digest: Digest; from: string; scope: string } }): Promise<URL | undefined> {
  const url = new URL(uploads);
  if (mount !== undefined) {
    url.searchParams.set('mount', mount.digest);
    url.searchParams.set('from', mount.from);
  }
  const response = await send({ method: 'POST', url, ...signalled(signal), ...(mount === undefined ? {} : { scope: mount.scope }) });
  if (response.status === 201 && mount !== undefined) {
    response.body.cancel();
    return undefined;
  }
  if (response.status !== 202) throw await responseError(response, { what: `upload to ${uploads.host}` });
  return sessionOf(response);
}

/** Sends a blob whose digest is known only at its end. A failure on the way starts again with a new session (one streamed
 *  request), or goes on where the registry stands (chunks). */
export async function uploadBlob(send: Send, source: BlobSource, options: UploadOptions): Promise<{ digest: Digest; size: number }> {
  const { attempts, base, most, random } = { ...RETRY_DEFAULTS, ...options.retry };
  for (let attempt = 1; ; attempt++) {
    try {
      const begun = (await beginUpload(send, { uploads: options.uploads, signal: options.signal })) as URL;
      const session = options.chunkBytes > 0 ? await sendChunks(send, begun, { source, ...options }) : await sendStream(send, begun, { source, ...options });
      const blob = await source.finish();
      await closeUpload(send, session, { digest: blob.digest, signal: options.signal });
      return blob;
    } catch (error) {
      if (attempt >= attempts || !isKind(error, 'unavailable')) throw error;
    }
    await sleep(backOff(attempt, { base, most, random }), options.signal);
  }
}

/** A small blob: POST, then PUT with all of it. */
export async function uploadBytes(send: Send, { digest, bytes }: { digest: Digest; bytes: Uint8Array }, options: Pick<UploadOptions, 'uploads' | 'signal'>): Promise<void> {
  const session = (await beginUpload(send, options)) as URL;
  await closeUpload(send, session, { digest, bytes, signal: options.signal });
}

async function closeUpload(send: Send, session: URL, { digest, bytes, signal }: { digest: Digest; bytes?: Uint8Array; signal?: AbortSignal | undefined }): Promise<void> {
  const url = new URL(session);
  url.searchParams.set('digest', digest);
  const response = await send({ method: 'PUT', url, ...signalled(signal), ...(bytes === undefined ? {} : { body: bytes, headers: { 'content-type': 'application/octet-stream' } }) });
  if (response.status !== 201 && response.status !== 204) throw await responseError(response, { what: `upload of ${digest} to ${session.host}` });
  response.body.cancel();
  const said = response.headers['docker-content-digest'];
  if (said !== undefined && said !== digest) throw new NaruError('corrupt', `${session.host} stored ${said.slice(0, 100)} instead of ${digest}`);
}

interface Sending { source: BlobSource; chunkBytes: number; signal?: AbortSignal | undefined }

async function sendStream(send: Send, session: URL, { source, signal }: Sending): Promise<URL> {
  const response = await send({ method: 'PATCH', url: session, headers: { 'content-type': 'application/octet-stream' }, body: source.elsewhere === undefined ? { stream: source.open() } : { stream: NOTHING, elsewhere: source.elsewhere }, ...signalled(signal) });
  if (response.status !== 202 && response.status !== 201 && response.status !== 204) throw await responseError(response, { what: `upload to ${session.host}` });
  return sessionOf(response);
}

const NOTHING: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };

async function sendChunks(send: Send, session: URL, { source, chunkBytes, signal }: Sending): Promise<URL> {
  let at = 0;
  let url = session;
  for await (const chunk of inChunks(source.open(), chunkBytes)) {
    url = await sendChunk(send, url, { chunk, at, signal });
    at += chunk.byteLength;
  }
  return url;
}

async function sendChunk(send: Send, session: URL, { chunk, at, signal }: { chunk: Uint8Array; at: number; signal?: AbortSignal | undefined }): Promise<URL> {
  let rest = chunk;
  let url = session;
  for (let tries = 0; ; tries++) {
    const from = at + chunk.byteLength - rest.byteLength;
    const response = await send({
      method: 'PATCH', url, body: rest, ...signalled(signal),
      headers: { 'content-type': 'application/octet-stream', 'content-range': `${from}-${from + rest.byteLength - 1}` },
    });
    if (response.status === 202 || response.status === 204) return sessionOf(response);
    // An answer that was lost may have been to a chunk that arrived: the registry knows where it stands.
    if (response.status !== 416 || tries > 0) throw await responseError(response, { what: `upload to ${session.host}` });
    response.body.cancel();
    const status = await send({ method: 'GET', url, ...signalled(signal) });
    const have = Number(/^(?:bytes=)?0-(\d+)$/.exec(status.headers['range'] ?? '')?.[1] ?? NaN) + 1;
    status.body.cancel();
    if (!(have > from) || have > at + chunk.byteLength) throw new NaruError('unavailable', `upload to ${session.host}: it stands at ${have}, we at ${from}`);
    url = sessionOf(status, url);
    rest = chunk.subarray(have - at);
    if (rest.byteLength === 0) return url;
  }
}

/** Chunks of exactly `size` bytes, the last one smaller. */
async function* inChunks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  let buffer = Buffer.allocUnsafe(size);
  let used = 0;
  for await (const part of source) {
    for (let at = 0; at < part.byteLength; ) {
      const piece = part.subarray(at, at + size - used);
      buffer.set(piece, used);
      used += piece.byteLength;
      at += piece.byteLength;
      if (used < size) continue;
      yield buffer;
      buffer = Buffer.allocUnsafe(size);
      used = 0;
    }
  }
  if (used > 0) yield buffer.subarray(0, used);
}

/** Where the upload goes on. The session must stay with the registry that was asked: what is sent there is secret. */
function sessionOf(response: RegistryResponse, otherwise?: URL): URL {
  const { location } = response.headers;
  response.body.cancel();
  if (location === undefined) {
    if (otherwise !== undefined) return otherwise;
    throw new NaruError('corrupt', `${response.url.host} began an upload without saying where`);
  }
  let url: URL;
  try {
    url = new URL(location, response.url);
  } catch {
    throw new NaruError('corrupt', `${response.url.host} names an upload location that is no URL`);
  }
  // Behind a proxy that ends TLS some registries write http:// of themselves.
  if (url.host === response.url.host && url.protocol !== response.url.protocol) url.protocol = response.url.protocol;
  if (url.origin !== response.url.origin) throw new NaruError('forbidden', `${response.url.host} sends an upload to another host, ${url.host}`, { hint: 'nothing was sent there' });
  return url;
}

const signalled = (signal: AbortSignal | undefined): { signal?: AbortSignal } => (signal === undefined ? {} : { signal });
