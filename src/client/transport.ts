import { NaruError } from '#spec/errors.ts';
import type { ByteStream } from './byte-stream.ts';
import { Connection, type RawStream, type WireRequest } from './connection.ts';
import { errorFromResponse, MAX_ERROR_BODY } from './error-from-response.ts';
import type { Dial, Wire } from './wire.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
export type RequestBody = string | Uint8Array | AsyncIterable<Uint8Array>;

export interface RequestOptions {
  /** Sent as JSON when it is no string, bytes or iterable. */
  readonly body?: RequestBody;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly body: ByteStream }
export interface RawAnswer { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly stream: RawStream }

export interface TransportOptions {
  readonly dial: Dial;
  /** How the daemon is called in messages: `unix:///run/naru/naru.sock`. */
  readonly hostName: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once when nothing answers at the address; true: it has been started, dial again. */
  readonly onUnreachable?: () => Promise<boolean>;
}

/** Requests to one daemon over a few reused connections. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  #starting: Promise<boolean> | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  get hostName(): string {
    return this.#options.hostName;
  }

  /** Opens a connection ahead of its first use. A failure shows at that use. */
  async warm(): Promise<void> {
    const connection = await this.#connect().catch(() => undefined);
    if (connection !== undefined) this.#idle.push(connection);
  }

  /** A request whose answer is read as a stream. A status of 400 or more is thrown as NaruError. */
  async request(method: Method, path: string, options: RequestOptions = {}): Promise<Answer> {
    const { connection, response } = await this.#exchange(this.#wireRequest(method, path, options, false), options.signal);
    const { head, body } = response;
    if (options.signal !== undefined) {
      const stop = (): void => connection.destroy();
      options.signal.addEventListener('abort', stop, { once: true });
    }
    if (head.status >= 400) {
      const text = method === 'HEAD' ? '' : await body.text(MAX_ERROR_BODY);
      throw errorFromResponse(head.status, head.headers.get('content-type'), text, `${this.#options.hostName}${path}`);
    }
    return { status: head.status, headers: head.headers, body };
  }

  /** A request that takes over the connection (attach, exec). */
  async hijack(method: Method, path: string, options: RequestOptions = {}): Promise<RawAnswer> {
    const { connection, response } = await this.#exchange(this.#wireRequest(method, path, options, true), options.signal);
    const { head, body } = response;
    if (head.status !== 101 && head.status !== 200) {
      const text = await body.text(MAX_ERROR_BODY);
      if (head.status >= 400) throw errorFromResponse(head.status, head.headers.get('content-type'), text, `${this.#options.hostName}${path}`);
      throw new NaruError('internal', `unable to upgrade to tcp, received ${head.status}`);
    }
    return { status: head.status, headers: head.headers, stream: connection.raw(body) };
  }

  /** Closes everything, streams too. */
  close(): void {
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
    this.#idle.length = 0;
  }

  #wireRequest(method: Method, path: string, options: RequestOptions, hijack: boolean): WireRequest {
    const headers: Record<string, string> = { Host: 'naru', 'User-Agent': 'naru', ...this.#options.headers, ...options.headers };
    if (options.body !== undefined) headers['Content-Type'] = options.contentType ?? 'application/json';
    return { method, path, headers, body: options.body, hijack };
  }

  async #exchange(request: WireRequest, signal: AbortSignal | undefined): Promise<{ connection: Connection; response: Awaited<ReturnType<Connection['send']>> }> {
    signal?.throwIfAborted();
    for (;;) {
      const reused = this.#takeIdle();
      const connection = reused ?? (await this.#connect());
      const stop = (): void => connection.destroy();
      signal?.addEventListener('abort', stop, { once: true });
      try {
        return { connection, response: await connection.send(request) };
      } catch (error) {
        signal?.throwIfAborted();
        // The daemon may have closed an idle connection at that very moment; what changes nothing is asked again.
        if (reused !== undefined && (request.method === 'GET' || request.method === 'HEAD')) continue;
        throw new NaruError('unavailable', `error during connect: ${(error as Error).message}`, { cause: error });
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    }
  }

  #takeIdle(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (!connection.dead) return connection;
      this.#open.delete(connection);
    }
    return undefined;
  }

  async #connect(): Promise<Connection> {
    const wire = await this.#dialOrStart();
    const connection = new Connection(wire);
    connection.onIdle = () => this.#idle.push(connection);
    this.#open.add(connection);
    return connection;
  }

  async #dialOrStart(): Promise<Wire> {
    try {
      return await this.#options.dial();
    } catch (error) {
      if (!isUnreachable(error) || this.#options.onUnreachable === undefined) throw this.#dialError(error);
      // Connections that are opened at once wait for one start.
      this.#starting ??= this.#options.onUnreachable();
      if (!(await this.#starting)) throw this.#dialError(error);
    }
    try {
      return await this.#options.dial();
    } catch (error) {
      throw this.#dialError(error);
    }
  }

  #dialError(error: unknown): NaruError {
    if (error instanceof NaruError) return error;
    const host = this.#options.hostName;
    const code = (error as { code?: string }).code;
    if (code === 'EACCES' || code === 'EPERM') {
      return new NaruError('forbidden', `permission denied while trying to connect to the Docker daemon socket at ${host}`, { cause: error, hint: 'run it as root, or as a member of the group that owns the socket' });
    }
    if (isUnreachable(error)) return new NaruError('unavailable', `Cannot connect to the Docker daemon at ${host}. Is the docker daemon running?`, { cause: error });
    return new NaruError('unavailable', `error during connect: ${host}: ${(error as Error).message}`, { cause: error });
  }
}

/** True for errors that mean that no daemon listens there. */
export function isUnreachable(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return ['ENOENT', 'ECONNREFUSED', 'ETIMEDOUT', 'ENOTDIR', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND'].includes(code ?? '') || /ENOENT|ECONNREFUSED|Failed to connect/.test(message ?? '');
}
