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
    using out = pieceWriter(response);
    if (bytes !== undefined) sent = await out.write(bytes);
    else for await (const piece of (body as { pieces: () => AsyncIterable<Uint8Array> }).pieces()) sent += await out.write(piece);
  }
  await new Promise<void>((resolve) => {
    // A client that has all it wanted may be gone already; then the end never comes.
    if (response.destroyed) return resolve();
    response.once('close', () => resolve());
    response.end(() => resolve());
  });
  if (unread) await drain(call);
  return sent;
}

interface PieceWriter extends Disposable {
  /** Resolves when the piece may be reused. */
  write(piece: Uint8Array): Promise<number>;
}

/** Writes pieces of a body, one after the other; gives up on a client that is gone or takes nothing for long. */
function pieceWriter(response: ServerResponse): PieceWriter {
  let gone = response.destroyed;
  let since = performance.now();
  let stop: ((error: Error) => void) | undefined;
  const end = (why: string): void => {
    gone = true;
    stop?.(new NaruError('canceled', why));
    response.destroy();
  };
  const closed = (): void => end('the client went away');
  response.once('close', closed);
  const timer = setInterval(() => { if (performance.now() - since > STALL_MS) end(`the client took nothing for ${STALL_MS / 1000} seconds`); }, STALL_MS / 4);
  return {
    write: (piece) => new Promise((resolve, reject) => {
      if (gone) return reject(new NaruError('canceled', 'the client went away'));
      stop = reject;
      response.write(piece, (error) => {
        if (error) return end('the client went away');
        since = performance.now();
        resolve(piece.length);
      });
    }),
    [Symbol.dispose]() {
      clearInterval(timer);
      response.off('close', closed);
    },
  };
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
