import type { IncomingMessage } from 'node:http';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { Caller } from '../auth/rights.ts';

/** One request on its way through the registry. */
export interface Call {
  id: string;
  method: string;
  /** As sent, without the query. */
  path: string;
  query: URLSearchParams;
  /** The first value of a header, '' when absent. Names in lower case. */
  header(name: string): string;
  request: IncomingMessage;
  caller: Caller;
  remote: string;
}

/** What a handler gives back; the writer sends the body unless the method is HEAD. */
export interface Reply {
  status: number;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array | { length: number; pieces: () => AsyncIterable<Uint8Array> };
}

export const jsonReply = (value: unknown, headers: Record<string, string> = {}): Reply =>
  ({ status: 200, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value) });

/** How long a body may give nothing. */
const DEFAULT_IDLE_MS = 60_000;

/** `Content-Length`, or undefined for a body in chunks or none at all. */
export function contentLength(call: Call): number | undefined {
  const text = call.header('content-length');
  return /^\d{1,15}$/.test(text) && call.header('transfer-encoding') === '' ? Number(text) : undefined;
}

/** Whether there can be a body at all. */
export const hasBody = (call: Call): boolean => call.header('transfer-encoding') !== '' || (contentLength(call) ?? 0) > 0;

/** The body piece by piece. Throws `unavailable` when the client stalls, and when it goes away before the end. */
export async function* readBody(call: Call, idle = DEFAULT_IDLE_MS): AsyncGenerator<Uint8Array> {
  const { request } = call;
  let stalled = false;
  const stop = (): void => {
    stalled = true;
    request.destroy();
  };
  let timer = setTimeout(stop, idle);
  let seen = 0;
  try {
    for await (const piece of request as AsyncIterable<Uint8Array>) {
      clearTimeout(timer);
      seen += piece.length;
      yield piece;
      timer = setTimeout(stop, idle);
    }
  } catch (error) {
    throw broken(stalled, idle, error);
  } finally {
    clearTimeout(timer);
  }
  const expected = contentLength(call);
  if (stalled || (expected !== undefined && seen < expected)) throw broken(stalled, idle, undefined);
}

const broken = (stalled: boolean, idle: number, cause: unknown): Error =>
  registryError('BLOB_UPLOAD_INVALID', stalled ? `the client sent nothing for ${idle / 1000} seconds` : 'the client went away before the end of the body', { cause, status: stalled ? 408 : 400 });

/** The whole body. Throws MANIFEST_INVALID (413) beyond `limit`, without reading on. */
export async function readWholeBody(call: Call, limit: number, idle?: number): Promise<Uint8Array> {
  const tooLarge = (): Error => registryError('MANIFEST_INVALID', `the body is larger than ${limit} bytes`, { status: 413 });
  if ((contentLength(call) ?? 0) > limit) throw tooLarge();
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of readBody(call, idle)) {
    size += piece.length;
    if (size > limit) throw tooLarge();
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}
