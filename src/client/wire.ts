/** What a wire tells its owner. Exactly one of `end` and `error` comes last. */
export interface WireListener {
  data(chunk: Uint8Array): void;
  /** The peer will send no more. */
  end(): void;
  error(error: Error): void;
  /** Everything written so far has left: writing may go on. */
  drain(): void;
}

/** A duplex pipe of bytes to a daemon, whatever carries it (unix socket, TCP, TLS, ssh). */
export interface Wire {
  listener: WireListener;
  /** Takes all of `bytes`; false asks to wait for `drain` before more. */
  write(bytes: Uint8Array | string): boolean;
  /** Half-close: no more is written, the peer's bytes still come. */
  end(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
}

/** Opens one wire; throws the system's error (`code` ENOENT, ECONNREFUSED, EACCES ...). */
export type Dial = () => Promise<Wire>;

export const SILENT_LISTENER: WireListener = { data() {}, end() {}, error() {}, drain() {} };
