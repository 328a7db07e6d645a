import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { NaruError } from '#spec/errors.ts';
import { asFault, errorBody } from '#registry/protocol/error-codes.ts';
import type { AccessLog } from '../access-log.ts';
import { EVERYBODY } from '../auth/rights.ts';
import type { Registry } from '../registry.ts';
import type { Call, Reply } from './call.ts';
import type { Admit } from './host-guard.ts';
import { parseTarget } from './parse-target.ts';
import { answer } from './routes.ts';
import { writeReply } from './write-reply.ts';

export interface HttpServiceOptions {
  host: string;
  port: number;
  /** PEM texts. */
  tls: { cert: string; key: string; ca?: string } | undefined;
  maxConnections: number;
  /** A connection that sends no whole head, or nothing between requests, for this long is closed; milliseconds. */
  headTimeout: number;
  log: AccessLog;
  /** Whether a request is answered at all, by its headers. */
  admit: Admit;
  /** What failed inside. */
  failed(error: unknown): void;
}
export interface HttpService extends AsyncDisposable {
  port: number;
  inFlight(): number;
  /** New certificates for new connections. */
  renew(tls: { cert: string; key: string; ca?: string }): void;
}

const MAX_HEAD_BYTES = 96 << 10;
const STOP_MS = 10_000;
const NOT_HTTP = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** Serves the registry over HTTP/1.1, with or without TLS. */
export async function serveHttp(registry: Registry, options: HttpServiceOptions): Promise<HttpService> {
  const busy = new Map<Socket, number>();
  let inFlight = 0;

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    busy.set(socket, (busy.get(socket) ?? 0) + 1);
    inFlight++;
    serveOne(registry, { request, response, log: options.log, admit: options.admit, failed: options.failed }).catch(options.failed).finally(() => {
      inFlight--;
      const left = (busy.get(socket) ?? 1) - 1;
      if (left > 0) busy.set(socket, left);
      else busy.delete(socket);
      if (left === 0) guard(socket);
    });
  };
  // The runtime's own limits do not cover every way of being slow.
  const idle = new WeakMap<Socket, ReturnType<typeof setTimeout>>();
  const guard = (socket: Socket): void => {
    clearTimeout(idle.get(socket));
    const timer = setTimeout(() => { if (!busy.has(socket)) socket.destroy(); }, headTimeout);
    timer.unref();
    idle.set(socket, timer);
  };

  const { tls, headTimeout } = options;
  const settings = { keepAliveTimeout: headTimeout, headersTimeout: headTimeout, requestTimeout: 0, maxHeaderSize: MAX_HEAD_BYTES };
  const tlsSettings = (now: { cert: string; key: string; ca?: string }): object =>
    ({ cert: now.cert, key: now.key, minVersion: 'TLSv1.2', ...(now.ca === undefined ? {} : { ca: now.ca, requestCert: true, rejectUnauthorized: true }) });
  const server: Server = tls === undefined ? createServer(settings, handle) : createTlsServer({ ...settings, ...tlsSettings(tls) }, handle);
  const sockets = new Set<Socket>();
  const connected = (socket: Socket): void => {
    // The longest idle one makes room: whoever opens many and says nothing keeps nobody out.
    if (sockets.size >= options.maxConnections) {
      const idlest = [...sockets].find((one) => !busy.has(one));
      if (idlest === undefined) return void socket.destroy();
      sockets.delete(idlest);
      idlest.destroy();
    }
    sockets.add(socket);
    socket.once('close', () => { sockets.delete(socket); clearTimeout(idle.get(socket)); });
    guard(socket);
  };
  server.on('connection', connected);
  // A client that tries TLS here first must be told, in plain HTTP, that this is not it: Docker's falls back only then.
  server.on('clientError', (_error, socket) => { if (socket.writable) socket.end(NOT_HTTP); else socket.destroy(); });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new NaruError(error.code === 'EADDRINUSE' ? 'conflict' : 'invalid', `cannot listen on ${options.host}:${options.port}: ${error.message}`, { cause: error })));
    server.listen(options.port, options.host, () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    inFlight: () => inFlight,
    renew: (now) => (server as unknown as { setSecureContext?: (o: object) => void }).setSecureContext?.(tlsSettings(now)),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const deadline = performance.now() + STOP_MS;
      while (inFlight > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
      server.closeAllConnections?.();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

interface Exchange { request: IncomingMessage; response: ServerResponse; log: AccessLog; admit: Admit; failed(error: unknown): void }

async function serveOne(registry: Registry, { request, response, log, admit, failed }: Exchange): Promise<void> {
  const started = performance.now();
  const url = request.url ?? '/';
  const at = url.indexOf('?');
  const method = request.method ?? 'GET';
  const call: Call = {
    id: randomUUID(), method, path: at < 0 ? url : url.slice(0, at), query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)),
    header(name) { const value = request.headers[name]; return (Array.isArray(value) ? value[0] : value) ?? ''; },
    request, caller: EVERYBODY, remote: request.socket?.remoteAddress ?? '',
  };
  let error: string | undefined;
  let reply: Reply;
  try {
    admit(call.header);
    reply = await answer(registry, call);
  } catch (thrown) {
    const fault = asFault(thrown);
    error = fault.message;
    if (fault.status >= 500 && fault.code === 'UNKNOWN') failed(thrown);
    reply = { status: fault.status, headers: { 'Content-Type': 'application/json', ...fault.headers }, body: errorBody(fault) };
  }
  let bytes = 0;
  try {
    bytes = await writeReply(call, response, reply);
  } catch (thrown) {
    error = (thrown as Error).message;
    response.destroy();
  }
  const seconds = (performance.now() - started) / 1000;
  registry.metrics.count('naru_registry_requests_total', { method: KNOWN_METHODS.has(method) ? method : 'other', target: kindOf(call.path), status: String(reply.status) });
  registry.metrics.count('naru_registry_sent_bytes_total', {}, bytes);
  registry.metrics.observe(seconds, KNOWN_METHODS.has(method) ? method : 'other');
  log.write({
    time: new Date().toISOString(), id: call.id, remote: call.remote, ...(call.caller.user === undefined ? {} : { user: call.caller.user }), method, path: url.slice(0, 1_000),
    status: reply.status, bytes, ms: Math.round(seconds * 1e4) / 10, agent: call.header('user-agent').slice(0, 200), ...(error === undefined ? {} : { error: error.slice(0, 500) }),
  });
}

const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);
const kindOf = (path: string): string => {
  try { return parseTarget(path).kind; } catch { return 'nothing'; }
};
