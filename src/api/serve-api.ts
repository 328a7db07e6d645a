import { HttpServer } from '#api/http/http-server.ts';
import { createApiHandler } from './api-handler.ts';
import type { Engine } from './engine-port.ts';
import { type ListenerSpec, type OpenListener, isTcp, openListener } from './listeners.ts';
import { originGuard } from './origin-guard.ts';

export interface ServeApiOptions {
  readonly engine: Engine;
  readonly listeners: readonly ListenerSpec[];
  /** naru's version, for the `Server` header. */
  readonly version: string;
  readonly maxConnections?: number;
  readonly onFault?: (error: unknown, request: string) => void;
}

export interface ApiServer {
  /** `unix:///path`, `tcp://host:port` (the port that was bound), in the order of the listeners. */
  readonly addresses: readonly string[];
  /** Stop listening, end idle connections and streams, give other requests the deadline. Attached clients live on. */
  close(deadlineMs?: number): Promise<void>;
}

const CLOSE_DEADLINE_MS = 5_000;

/** Docker's Engine API over `engine`. Errors: see openListener; then none of the listeners is left open. */
export async function serveApi(options: ServeApiOptions): Promise<ApiServer> {
  const server = new HttpServer(options.maxConnections);
  const handler = createApiHandler(options);
  const open: OpenListener[] = [];
  const stopListening = (): void => open.forEach((listener) => listener.stop());
  try {
    for (const spec of options.listeners) {
      const admit = isTcp(spec) ? originGuard(spec.allowedHosts ?? []) : undefined;
      open.push(await openListener(spec, (socket) => server.accept(socket, (request) => handler(request, admit))));
    }
  } catch (error) {
    stopListening();
    throw error;
  }
  return {
    addresses: open.map((listener) => listener.address),
    close: async (deadlineMs = CLOSE_DEADLINE_MS) => {
      stopListening();
      await server.close(deadlineMs);
    },
  };
}
