import type { FdSocket, FdSocketHandlers } from './fd-socket.ts';

/**
 * Listening stream sockets whose connections can really be paused and given away. node:net reads on behind a paused
 * socket, so bytes meant for a descriptor's next owner would be lost in its buffer; here `pause()` stops epoll itself and
 * `close()` only closes the descriptor: a duplicate goes on living, no shutdown(2) is sent (measured with strace).
 */
export interface StreamSocket extends FdSocket {
  /** TLS: the descriptor carries ciphertext. */
  readonly encrypted: boolean;
  readonly remoteAddress: string | undefined;
}

export interface TlsOptions {
  readonly key: string;
  readonly cert: string;
  /** Demand client certificates that this authority signed; connections without one never reach the handlers. */
  readonly clientAuthority?: string;
}

export type StreamAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly tls?: TlsOptions };

export interface StreamListener {
  /** The port that was bound, 0 for a unix socket. */
  readonly port: number;
  /** Stop accepting; connections live on. */
  stop(): void;
}

interface RawSocket {
  readonly fd: number;
  readonly remoteAddress: string | undefined;
  data: Peer | undefined;
  write(bytes: Uint8Array): number;
  /** SHUT_WR; with true it would be SHUT_RD. */
  shutdown(read?: boolean): void;
  close(): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

interface Peer { readonly socket: StreamSocket; readonly handlers: FdSocketHandlers; ready: boolean }

type BunListen = (options: object) => { readonly port?: number; stop(closeAll?: boolean): void };

/** Bind and listen. Throws the system's error (EADDRINUSE ...) with `code`. Handlers may be called before this returns to
 *  the event loop's next turn, never synchronously. */
export function listenStream(address: StreamAddress, accept: (socket: StreamSocket) => FdSocketHandlers): StreamListener {
  const tls = 'path' in address ? undefined : address.tls;
  const demandsClient = tls?.clientAuthority !== undefined;
  const open = (raw: RawSocket): void => {
    const socket: StreamSocket = {
      fd: raw.fd,
      encrypted: tls !== undefined,
      remoteAddress: 'path' in address ? undefined : raw.remoteAddress,
      write: (bytes) => Math.max(0, raw.write(bytes)),
      shutdown: () => raw.shutdown(),
      // Not terminate(): that sets SO_LINGER to 0, which a duplicate of the descriptor would inherit as a reset.
      close: () => raw.close(),
      pause: () => raw.pause(),
      resume: () => raw.resume(),
    };
    raw.data = { socket, handlers: accept(socket), ready: !demandsClient };
  };
  const listener = (Bun as unknown as { listen: BunListen }).listen({
    ...('path' in address ? { unix: address.path } : { hostname: address.host, port: address.port }),
    ...(tls === undefined ? {} : { tls: tlsSettings(tls) }),
    allowHalfOpen: true,
    socket: {
      open,
      handshake: (raw: RawSocket, success: boolean, problem: unknown) => {
        if (raw.data === undefined || !demandsClient) return;
        raw.data.ready = success && problem === null;
        if (!raw.data.ready) raw.terminate();
      },
      data: (raw: RawSocket, bytes: Uint8Array) => {
        if (raw.data?.ready === true) raw.data.handlers.data(bytes);
        else raw.terminate();
      },
      end: (raw: RawSocket) => raw.data?.handlers.end?.(),
      drain: (raw: RawSocket) => raw.data?.handlers.drain?.(),
      error: (raw: RawSocket) => raw.terminate(),
      close: (raw: RawSocket) => raw.data?.handlers.close(),
    },
  });
  return { port: listener.port ?? 0, stop: () => listener.stop(false) };
}

const tlsSettings = (tls: TlsOptions): object => ({
  key: tls.key,
  cert: tls.cert,
  ...(tls.clientAuthority === undefined ? {} : { ca: tls.clientAuthority, requestCert: true, rejectUnauthorized: true }),
});
