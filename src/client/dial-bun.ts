import { SILENT_LISTENER, type Wire } from './wire.ts';

interface BunSocket {
  write(data: Uint8Array | string): number;
  shutdown(): void;
  terminate(): void;
  end(): void;
  pause(): void;
  resume(): void;
}
interface BunGlobal {
  connect(options: { unix: string; allowHalfOpen: boolean; socket: object }): Promise<BunSocket>;
}

/** Bun's own sockets, when this program runs on Bun: a client that makes one request is 5 ms (of 13) quicker than with node:net. */
export const bunSockets = (globalThis as { Bun?: BunGlobal }).Bun;

/** A wire over a unix socket through Bun. */
export async function dialBunUnix(bun: BunGlobal, path: string): Promise<Wire> {
  const encoder = new TextEncoder();
  let backlog: Uint8Array[] = [];
  let ending = false;
  let closed = false;
  let socket: BunSocket;

  const flush = (): boolean => {
    while (backlog.length > 0) {
      const head = backlog[0] as Uint8Array;
      const sent = Math.max(0, socket.write(head));
      if (sent < head.length) {
        backlog[0] = head.subarray(sent);
        return false;
      }
      backlog.shift();
    }
    if (ending) socket.shutdown();
    return true;
  };
  const close = (error?: Error): void => {
    if (closed) return;
    closed = true;
    backlog = [];
    if (error === undefined) wire.listener.end();
    else wire.listener.error(error);
  };

  const wire: Wire = {
    listener: SILENT_LISTENER,
    write(bytes) {
      if (closed || ending) return true;
      backlog.push(typeof bytes === 'string' ? encoder.encode(bytes) : bytes);
      return backlog.length > 1 ? false : flush();
    },
    end() {
      if (closed || ending) return;
      ending = true;
      if (backlog.length === 0) socket.shutdown();
    },
    destroy() {
      closed = true;
      backlog = [];
      socket.end();
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  };

  socket = await bun.connect({
    unix: path,
    allowHalfOpen: true,
    socket: {
      binaryType: 'uint8array',
      data: (_: BunSocket, chunk: Uint8Array) => wire.listener.data(chunk),
      drain() {
        if (!closed && flush()) wire.listener.drain();
      },
      end: () => close(),
      close: (_: BunSocket, error?: Error) => close(error ?? undefined),
      error: (_: BunSocket, error: Error) => close(error),
    },
  });
  return wire;
}
