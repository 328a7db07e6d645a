import { Readable } from 'node:stream';
import type { OutputQueue } from './output-queue.ts';
import type { RequestHead } from './parse-head.ts';
import { type FullReply, type StreamReply, type WrittenReply, bodilessStatus, dateHeader, renderHead } from './reply.ts';
import { closeQuietly, dupDescriptor, setBlocking, setNonblocking } from '#sys/descriptors.ts';

/** Head and body of a complete answer, in one piece. */
export function fullReplyBytes(reply: FullReply, request: RequestHead, keep: boolean): Buffer {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  let head = renderHead(reply.status, reply.headers) + dateHeader() + connectionHeader(request, keep);
  if (!bodilessStatus(reply.status)) head += `Content-Length: ${body.byteLength}\r\n`;
  head += '\r\n';
  if (request.method === 'HEAD' || bodilessStatus(reply.status) || body.byteLength === 0) return Buffer.from(head, 'latin1');
  const bytes = Buffer.allocUnsafe(head.length + body.byteLength);
  bytes.write(head, 'latin1');
  bytes.set(body, head.length);
  return bytes;
}

const connectionHeader = (request: RequestHead, keep: boolean): string =>
  keep ? (request.minorVersion === 0 ? 'Connection: keep-alive\r\n' : '') : 'Connection: close\r\n';

/**
 * Sends a streamed answer with back-pressure: chunked, or until the connection closes for HTTP/1.0 clients. Resolves false
 * when the source failed or the client went away: the connection must be cut then. Never rejects.
 */
export async function streamReply(
  reply: StreamReply,
  request: RequestHead,
  { output, signal, keep }: { output: OutputQueue; signal: AbortSignal; keep: boolean },
): Promise<boolean> {
  const chunked = request.minorVersion === 1;
  const head = renderHead(reply.status, reply.headers) + dateHeader() + connectionHeader(request, keep && chunked);
  output.write(Buffer.from(`${head}${chunked ? 'Transfer-Encoding: chunked\r\n' : ''}\r\n`, 'latin1'));
  const source = reply.chunks[Symbol.asyncIterator]();
  const cancel = (): void => {
    if (reply.chunks instanceof Readable) reply.chunks.destroy();
    void source.return?.()?.then(undefined, () => undefined);
  };
  if (request.method === 'HEAD' || signal.aborted) {
    cancel();
    return request.method === 'HEAD';
  }
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      const next = await source.next();
      if (signal.aborted) return false;
      if (next.done === true) break;
      const chunk = typeof next.value === 'string' ? Buffer.from(next.value) : next.value;
      if (chunk.byteLength === 0) continue;
      if (!output.write(chunked ? frame(chunk) : chunk)) await output.drained();
    }
    if (chunked) output.write(Buffer.from('0\r\n\r\n', 'latin1'));
    return true;
  } catch {
    return false;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** The same answer for a socket that only this server can write to. */
export const asStream = ({ status, headers, body }: WrittenReply): StreamReply => ({ kind: 'stream', status, headers, chunks: body.stream() });

/**
 * Sends the head and lets the body be written to the socket by who has it; the socket must be paused. Resolves false when not all of
 * it was: the connection must be cut then. Never rejects.
 */
export async function writePast(
  reply: WrittenReply,
  request: RequestHead,
  { output, fd, signal, keep }: { output: OutputQueue; fd: number; signal: AbortSignal; keep: boolean },
): Promise<boolean> {
  output.write(Buffer.from(`${renderHead(reply.status, reply.headers)}${dateHeader()}${connectionHeader(request, keep)}Content-Length: ${reply.body.size}\r\n\r\n`, 'latin1'));
  await output.drained();
  if (signal.aborted) return false;
  let own = -1;
  try {
    own = dupDescriptor(fd);
    setBlocking(own); // of the open file, which both share
    await reply.body.writeTo(own, signal);
    setNonblocking(own);
    return true;
  } catch {
    return false;
  } finally {
    closeQuietly(own);
  }
}

function frame(chunk: Uint8Array): Buffer {
  const size = `${chunk.byteLength.toString(16)}\r\n`;
  const bytes = Buffer.allocUnsafe(size.length + chunk.byteLength + 2);
  bytes.write(size, 'latin1');
  bytes.set(chunk, size.length);
  bytes.write('\r\n', size.length + chunk.byteLength, 'latin1');
  return bytes;
}
