import { closeQuietly, socketpair } from '#sys/descriptors.ts';
import { type FdSocket, type FdSocketHandlers, adoptSocket } from '#sys/fd-socket.ts';
import type { StreamSocket } from '#sys/stream-listener.ts';
import type { ClientDescriptor } from '#api/engine-port.ts';
import { OutputQueue } from './output-queue.ts';

/**
 * Gives `take` one end of a socketpair and copies between the other end and the client's socket, both ways, with
 * back-pressure and half-closes: for clients whose bytes are re-coded (TLS) or were partly read already (the caller passes those to the returned handlers).
 * Returns the handlers that the client's socket has to use from now on. `inputEnded`: the client already half-closed.
 */
export async function pumpSocket(
  client: StreamSocket,
  output: OutputQueue,
  options: { inputEnded: boolean; take(descriptor: ClientDescriptor): Promise<void> },
): Promise<FdSocketHandlers> {
  const [near, far] = socketpair('stream');
  let inner: FdSocket | undefined;
  let innerEnded = false;
  let clientEnded = options.inputEnded;
  let closed = false;
  const toInner = new OutputQueue((bytes) => inner?.write(bytes) ?? 0);
  const closeBoth = (): void => {
    if (closed) return;
    closed = true;
    toInner.close();
    output.close();
    inner?.close();
    client.close();
  };
  const endInner = async (): Promise<void> => {
    clientEnded = true;
    await toInner.drained();
    inner?.shutdown();
    if (innerEnded) closeBoth();
  };
  const endClient = async (): Promise<void> => {
    if (innerEnded) return;
    innerEnded = true;
    await output.drained();
    client.shutdown();
    if (clientEnded) closeBoth();
  };
  const hold = async (full: OutputQueue, source: { pause(): void; resume(): void }): Promise<void> => {
    source.pause();
    await full.drained();
    source.resume();
  };
  try {
    inner = await adoptSocket(near, {
      data: (bytes) => {
        if (!output.write(bytes)) void hold(output, inner!);
      },
      drain: () => toInner.flush(),
      end: () => void endClient(),
      close: () => void endClient().then(closeBoth),
    });
  } catch (error) {
    closeQuietly(near);
    closeQuietly(far);
    throw error;
  }
  if (clientEnded) queueMicrotask(() => void endInner());
  void options.take({ fd: far }).finally(() => closeQuietly(far));
  return {
    data: (bytes) => {
      if (!toInner.write(bytes)) void hold(toInner, client);
    },
    drain: () => output.flush(),
    end: () => void endInner(),
    close: closeBoth,
  };
}
