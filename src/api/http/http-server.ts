import type { FdSocketHandlers } from '#sys/fd-socket.ts';
import type { StreamSocket } from '#sys/stream-listener.ts';
import { Connection, type HttpHandler } from './connection.ts';

/** Connections open at the same time; attached streams are not counted (their sockets left this server). */
export const MAX_CONNECTIONS = 1024;
const SWEEP_MS = 1_000;

/** The connections of all listeners of one API. */
export class HttpServer {
  readonly #connections = new Set<Connection>();
  readonly #maxConnections: number;
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #closing = false;
  #emptied: (() => void) | undefined;

  constructor(maxConnections: number = MAX_CONNECTIONS) {
    this.#maxConnections = maxConnections;
  }

  get size(): number {
    return this.#connections.size;
  }
  get closing(): boolean {
    return this.#closing;
  }

  /** A new client. At the bound the longest idle connection gives way, else the new one is dropped. */
  accept(socket: StreamSocket, handler: HttpHandler): FdSocketHandlers {
    const connection = new Connection(socket, handler, this);
    if (this.#closing || (this.#connections.size >= this.#maxConnections && !this.#evictIdle())) {
      queueMicrotask(() => connection.terminate());
      return connection;
    }
    this.#connections.add(connection);
    this.#sweeper ??= sweeping(() => this.#sweep());
    return connection;
  }

  /** Called by a connection when it is over. */
  closed(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#emptied?.();
  }

  /** Idle connections and streams end now, other requests have until the deadline. */
  async close(deadlineMs: number): Promise<void> {
    this.#closing = true;
    for (const connection of [...this.#connections]) connection.shutdown();
    if (this.#connections.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#emptied = resolve;
    const timer = setTimeout(() => {
      for (const connection of [...this.#connections]) connection.terminate();
      resolve();
    }, deadlineMs);
    await promise;
    clearTimeout(timer);
  }

  #evictIdle(): boolean {
    for (const connection of this.#connections) {
      if (!connection.idle) continue;
      connection.terminate();
      return true;
    }
    return false;
  }

  #sweep(): void {
    // Not with the last connection: clients that come one after another would make and clear a timer each.
    if (this.#connections.size === 0) {
      clearInterval(this.#sweeper);
      this.#sweeper = undefined;
    }
    const now = performance.now();
    for (const connection of [...this.#connections]) connection.checkDeadline(now);
  }
}

function sweeping(sweep: () => void): ReturnType<typeof setInterval> {
  const timer = setInterval(sweep, SWEEP_MS);
  timer.unref();
  return timer;
}
