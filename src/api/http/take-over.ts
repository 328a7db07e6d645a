import { closeQuietly, dupDescriptor, unreadByPeer, writeOnce } from '#sys/descriptors.ts';
import type { FdSocketHandlers } from '#sys/fd-socket.ts';
import type { StreamSocket } from '#sys/stream-listener.ts';
import type { BodyDecoder } from './body-decoder.ts';
import type { OutputQueue } from './output-queue.ts';
import { type TakeoverReply, renderHead } from './reply.ts';
import { pumpSocket } from './socket-pump.ts';

/** See TakeoverReply.headAlone. */
export const HEAD_READ_DEADLINE_MS = 50;

const takeoverHead = (reply: TakeoverReply): Buffer =>
  Buffer.from(`${renderHead(reply.status, reply.headers)}${reply.status === 101 ? `Connection: Upgrade\r\nUpgrade: ${reply.upgrade ?? 'tcp'}\r\n` : ''}\r\n`, 'latin1');

/**
 * The attach gets a duplicate of the client's own descriptor; `detach` closes ours without shutdown(2), so the connection
 * lives on, outside this server. Needs a paused socket of which no byte behind the request was read.
 */
export async function giveAway(fd: number, reply: TakeoverReply, detach: () => void): Promise<void> {
  const own = dupDescriptor(fd);
  const head = takeoverHead(reply);
  const whole = writeOnce(own, head) === head.byteLength; // else the client is gone: nothing else waits in its buffer
  detach();
  try {
    if (whole && reply.headAlone === true) await headIsRead(own);
    if (whole) await reply.take({ fd: own });
  } finally {
    closeQuietly(own);
  }
}

async function headIsRead(fd: number): Promise<void> {
  const end = performance.now() + HEAD_READ_DEADLINE_MS;
  while (unreadByPeer(fd) > 0 && performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
}

/** The attach gets a socketpair's end; the returned handlers copy for the client's socket from now on. */
export function pumpTakeover(reply: TakeoverReply, socket: StreamSocket, options: { output: OutputQueue; inputEnded: boolean }): Promise<FdSocketHandlers> {
  options.output.write(takeoverHead(reply));
  return pumpSocket(socket, options.output, { inputEnded: options.inputEnded, take: (client) => reply.take(client) });
}

/** For a body that goes on (a client that sends its stdin chunked): the payload is the input, its end is the input's end. */
export function decodingRelay(relay: FdSocketHandlers, decoder: BodyDecoder): FdSocketHandlers {
  return {
    data: (bytes) => {
      decoder.push(bytes, (payload) => relay.data(payload));
      if (decoder.done) relay.end?.();
      else if (decoder.failed !== undefined) relay.close();
    },
    drain: () => relay.drain?.(),
    end: () => relay.end?.(),
    close: () => relay.close(),
  };
}
