import { NaruError } from '#spec/errors.ts';
import { jsonStream } from './json-stream.ts';
import { query, type QueryValue } from './query.ts';
import type { Answer, Method, RawAnswer, RequestBody, RequestOptions, Transport } from './transport.ts';

/** The newest API version that this client speaks. */
export const LATEST_API_VERSION = '1.51';

export interface CallOptions extends Omit<RequestOptions, 'body'> {
  readonly query?: Readonly<Record<string, QueryValue>>;
  /** Sent as JSON. */
  readonly json?: object;
  /** Sent as it is. */
  readonly raw?: RequestBody;
}

/**
 * Engine API calls: paths get the version prefix, answers are JSON. The newest version is used until a daemon says that it is
 * too new; then the one that it names, so that negotiation costs a round trip only where it is needed.
 */
export class EngineTransport {
  readonly transport: Transport;
  #version: string;
  readonly #pinned: boolean;
  #settled = false;

  constructor(transport: Transport, version: string | undefined) {
    this.transport = transport;
    this.#version = version ?? LATEST_API_VERSION;
    this.#pinned = version !== undefined;
  }

  /** The version in use so far. */
  get version(): string {
    return this.#version;
  }

  async call(method: Method, path: string, options: CallOptions = {}): Promise<Answer> {
    // A stream cannot be sent twice, and the answer to HEAD cannot say what is wrong.
    if (isStreamed(options.raw) || method === 'HEAD') await this.negotiate();
    return this.#negotiated((prefix) => this.transport.request(method, `${prefix}${path}${query(options.query ?? {})}`, this.#body(options)));
  }

  async hijack(path: string, options: CallOptions = {}): Promise<RawAnswer> {
    return this.#negotiated((prefix) => this.transport.hijack('POST', `${prefix}${path}${query(options.query ?? {})}`, this.#body(options)));
  }

  /** A call whose answer is one JSON value. */
  async json<T>(method: Method, path: string, options: CallOptions = {}): Promise<T> {
    return JSON.parse(await this.text(method, path, options)) as T;
  }

  /** The same, unparsed (`inspect` prints the daemon's own bytes). */
  async text(method: Method, path: string, options: CallOptions = {}): Promise<string> {
    return (await this.call(method, path, options)).body.text();
  }

  /** A call whose answer does not matter. */
  async done(method: Method, path: string, options: CallOptions = {}): Promise<void> {
    await (await this.call(method, path, options)).body.collect();
  }

  /** A call whose answer is a stream of JSON values. */
  async *stream<T>(method: Method, path: string, options: CallOptions = {}): AsyncGenerator<T, void> {
    yield* jsonStream<T>((await this.call(method, path, options)).body);
  }

  /** Makes sure that the version suits the daemon, for requests that cannot be sent twice. */
  async negotiate(): Promise<void> {
    if (this.#settled || this.#pinned) return;
    const answer = await this.transport.request('HEAD', '/_ping');
    await answer.body.collect();
    this.#settled = true;
    const theirs = answer.headers.get('api-version') ?? '1.24';
    if (isOlder(theirs, this.#version)) this.#version = theirs;
  }

  async #negotiated<T>(send: (prefix: string) => Promise<T>): Promise<T> {
    const tried = this.#version;
    try {
      const answer = await send(`/v${tried}`);
      this.#settled = true;
      return answer;
    } catch (error) {
      const maximum = error instanceof NaruError && error.kind === 'invalid' && !this.#pinned ? /client version .* is too new.*Maximum supported API version is (\d+\.\d+)/.exec(error.message)?.[1] : undefined;
      if (error instanceof NaruError && error.kind !== 'unavailable') this.#settled ||= maximum === undefined;
      if (maximum === undefined || !isOlder(maximum, tried)) throw error;
      this.#version = maximum;
      this.#settled = true;
      return send(`/v${this.#version}`);
    }
  }

  #body(options: CallOptions): RequestOptions {
    const body = options.json === undefined ? options.raw : JSON.stringify(options.json);
    return {
      ...(body === undefined ? {} : { body }),
      ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
      ...(options.headers === undefined ? {} : { headers: options.headers }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
  }
}

const isStreamed = (body: RequestBody | undefined): boolean => body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);

/** `1.9` is older than `1.41`. */
export function isOlder(a: string | undefined, b: string): boolean {
  const [aMajor = 0, aMinor = 0] = (a ?? '0').split('.').map(Number);
  const [bMajor = 0, bMinor = 0] = b.split('.').map(Number);
  return aMajor !== bMajor ? aMajor < bMajor : aMinor < bMinor;
}
