/** An event-loop socket over a descriptor that we already have (a socketpair's end). SEQPACKET works: one message is one
 *  `data` call. The one place besides bun:ffi where Bun's own API is used: node:net cannot adopt a descriptor here. */
export interface FdSocketHandlers {
  data(bytes: Uint8Array): void;
  close(): void;
  /** The peer will write no more (stream sockets). */
  end?(): void;
  drain?(): void;
}

export interface FdSocket {
  readonly fd: number;
  /** Bytes taken; fewer than given means: wait for drain. */
  write(bytes: Uint8Array): number;
  /** Half-close. */
  shutdown(): void;
  close(): void;
  pause(): void;
  resume(): void;
}

interface RawSocket {
  write(data: Uint8Array): number;
  end(): void;
  /** SHUT_WR; with true it would be SHUT_RD. */
  shutdown(read?: boolean): void;
  close(): void;
  pause(): void;
  resume(): void;
}

/** Takes ownership of `fd`. */
export async function adoptSocket(fd: number, handlers: FdSocketHandlers): Promise<FdSocket> {
  const connect = (Bun as unknown as { connect(options: object): Promise<RawSocket> }).connect;
  const raw = await connect({
    fd,
    allowHalfOpen: true,
    socket: {
      data: (_s: unknown, bytes: Uint8Array) => handlers.data(bytes),
      close: () => handlers.close(),
      end: () => handlers.end?.(),
      error: () => handlers.close(),
      drain: () => handlers.drain?.(),
    },
  });
  return {
    fd,
    write: (bytes) => raw.write(bytes),
    shutdown: () => raw.shutdown(),
    close: () => raw.close(), // not terminate(): SO_LINGER 0 resets a TCP peer
    pause: () => raw.pause(),
    resume: () => raw.resume(),
  };
}
