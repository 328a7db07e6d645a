import type { ServerResponse } from 'node:http';
import { NaruError } from '#spec/errors.ts';
import type { Call, Reply } from './call.ts';

/** How long a client may take nothing of a body. */
const STALL_MS = 120_000;
/** What is read of a body that nobody wanted, so that the client sees the answer and not a reset. */
const DRAIN_BYTES = 16 << 20;
const DRAIN_MS = 3_000;

/** Sends a reply, with back-pressure; returns the bytes of the body that went out. Throws when the client goes away or stalls. */
export async function writeReply(call: Call, response: ServerResponse, reply: Reply): Promise<number> {
  const { body } = reply;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body instanceof Uint8Array ? body : undefined;
  const length = bytes?.length ?? (body as { length: number } | undefined)?.length ?? 0;
  const headers: Record<string, string | string[]> = { 'Docker-Distribution-Api-Version': 'registry/2.0', 'X-Content-Type-Options': 'nosniff', ...reply.headers };
  if (reply.status !== 204 && reply.status !== 304) headers['Content-Length'] = String(length);
  const unread = !call.request.readableEnded && (call.header('transfer-encoding') !== '' || Number(call.header('content-length')) > 0);
  if (unread) headers['Connection'] = 'close';
  response.writeHead(reply.status, headers);
  let sent = 0;
  if (call.method !== 'HEAD' && length > 0) {
    if (bytes !== undefined) sent = await writePiece(response, bytes);
    else for await (const piece of (body as { pieces: () => AsyncIterable<Uint8Array> }).pieces()) sent += await writePiece(response, piece);
  }
  await new Promise<void>((resolve) => response.end(() => resolve()));
  if (unread) await drain(call);
  return sent;
}

/** Resolves when the piece may be reused. */
function writePiece(response: ServerResponse, piece: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const gone = (): void => fail('the client went away');
    const fail = (why: string): void => {
      clearTimeout(timer);
      response.off('close', gone);
      response.destroy();
      reject(new NaruError('canceled', why));
    };
    const timer = setTimeout(() => fail(`the client took nothing for ${STALL_MS / 1000} seconds`), STALL_MS);
    response.once('close', gone);
    if (response.destroyed) return gone();
    response.write(piece, (error) => {
      if (error) return fail('the client went away');
      clearTimeout(timer);
      response.off('close', gone);
      resolve(piece.length);
    });
  });
}

async function drain(call: Call): Promise<void> {
  const { request } = call;
  let seen = 0;
  const timer = setTimeout(() => request.destroy(), DRAIN_MS);
  try {
    for await (const piece of request as AsyncIterable<Uint8Array>) if ((seen += piece.length) > DRAIN_BYTES) break;
  } catch { /* it is gone, as wished */ } finally {
    clearTimeout(timer);
    request.destroy();
  }
}
