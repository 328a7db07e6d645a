import { closeQuietly, dupDescriptor, socketpair } from '#sys/descriptors.ts';
import { type FdSocket, adoptSocket } from '#sys/fd-socket.ts';
import type { ClientDescriptor } from '#api/engine-port.ts';
import { OutputQueue } from './output-queue.ts';
import { CLOSE_CODE, encodeClose, encodeFrame, FrameReader, OPCODE } from './web-socket-frames.ts';

/** A client that does not answer our close is cut after so long, in milliseconds. */
const CLOSE_DEADLINE_MS = 5_000;

/**
 * Speaks WebSocket on the client's descriptor (which stays the caller's) and plain bytes on one end of a socketpair, whose other end
 * `take` gets. Resolves when the client is gone. What `take` throws ends the connection with `fault`'s bytes and code 1011.
 */
export async function pumpWebSocket(client: ClientDescriptor, options: { text: boolean; take(inner: ClientDescriptor): Promise<void>; fault(error: unknown): Uint8Array }): Promise<void> {
  const [near, far] = socketpair('stream');
  const { promise: over, resolve: finish } = Promise.withResolvers<void>();
  const opcode = options.text ? OPCODE.text : OPCODE.binary;
  let outer: FdSocket | undefined;
  let inner: FdSocket | undefined;
  let closeSent = false;
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const toClient = new OutputQueue((bytes) => outer?.write(bytes) ?? 0);
  const toInner = new OutputQueue((bytes) => inner?.write(bytes) ?? 0);

  const end = (): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    toClient.close();
    toInner.close();
    inner?.close();
    outer?.close();
    finish();
  };
  const sendClose = (code: number): void => {
    if (closeSent || ended) return;
    closeSent = true;
    toClient.write(encodeClose(code));
    timer = setTimeout(end, CLOSE_DEADLINE_MS);
  };
  const hold = async (full: OutputQueue, source: FdSocket | undefined): Promise<void> => {
    source?.pause();
    await full.drained();
    if (!ended) source?.resume();
  };
  const stdinEnds = async (): Promise<void> => {
    await toInner.drained();
    if (!ended) inner?.shutdown();
  };
  const reader = new FrameReader({
    data: (bytes) => {
      if (!closeSent && !toInner.write(bytes)) void hold(toInner, outer);
    },
    control: (kind, payload) => {
      if (kind === OPCODE.ping) toClient.write(encodeFrame(OPCODE.pong, payload));
      if (kind !== OPCODE.close) return;
      // The client is done: its input ends, and so does its seat at the output.
      const both = closeSent;
      sendClose(CLOSE_CODE.normal);
      void stdinEnds().then(() => toClient.drained()).then(() => {
        outer?.shutdown();
        if (both) end();
      });
    },
  });

  try {
    inner = await adoptSocket(near, {
      data: (bytes) => {
        if (!closeSent && !toClient.write(encodeFrame(opcode, bytes))) void hold(toClient, inner);
      },
      drain: () => toInner.flush(),
      end: () => sendClose(CLOSE_CODE.normal),
      close: () => sendClose(CLOSE_CODE.normal),
    });
    outer = await adoptSocket(dupDescriptor(client.fd), {
      data: (bytes) => {
        reader.push(bytes);
        if (reader.failed !== undefined) sendClose(reader.failed);
      },
      drain: () => toClient.flush(),
      end: () => void stdinEnds().then(end),
      close: end,
    });
    try {
      await options.take({ fd: far });
    } catch (error) {
      toClient.write(encodeFrame(opcode, options.fault(error)));
      sendClose(CLOSE_CODE.fault);
    }
  } catch {
    if (inner === undefined) closeQuietly(near);
    end();
  } finally {
    closeQuietly(far);
  }
  await over;
}
