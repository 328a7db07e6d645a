import type { CheckMessage } from '#spec/naru-api.ts';
import type * as A from '#spec/engine-api.ts';
import type { EngineTransport } from './engine-transport.ts';
import { jsonStream } from './json-stream.ts';
import { filterQuery } from './query.ts';

/** What `/version` answers. */
export interface ServerVersion {
  Platform?: { Name: string }; Components?: { Name: string; Version: string; Details?: A.StringMap }[]; Version: string; ApiVersion: string; MinAPIVersion?: string;
  GitCommit: string; GoVersion: string; Os: string; Arch: string; KernelVersion?: string; Experimental?: boolean; BuildTime?: string;
}
export interface TraceSpan { readonly link: string; readonly name: string; readonly start: number | string; readonly end: number | string; readonly detail?: string }

/** An event and its exact time: nanoseconds since 1970 are more than a number holds. */
export interface EventWithTime { readonly event: A.EventMessage; readonly timeNano: bigint }

function parseEvent(line: string): EventWithTime {
  const event = JSON.parse(line) as A.EventMessage;
  return { event, timeNano: BigInt(/"timeNano":(\d+)/.exec(line)?.[1] ?? Math.trunc(event.timeNano ?? 0)) };
}

/** Everything that belongs to the daemon itself, and naru's own extensions. */
export class SystemClient {
  readonly #engine: EngineTransport;
  constructor(engine: EngineTransport) {
    this.#engine = engine;
  }

  /** Throws when no daemon answers. */
  async ping(): Promise<{ apiVersion: string | undefined }> {
    const answer = await this.#engine.transport.request('HEAD', '/_ping');
    await answer.body.collect();
    return { apiVersion: answer.headers.get('api-version') };
  }

  check(options: { repair: boolean }): AsyncGenerator<CheckMessage, void> {
    return this.#engine.stream<CheckMessage>('POST', '/naru/system/check', { query: { repair: options.repair } });
  }

  version(): Promise<ServerVersion> {
    return this.#engine.json('GET', '/version');
  }

  info(): Promise<Record<string, A.Json>> {
    return this.#engine.json('GET', '/info');
  }

  diskUsage(): Promise<A.DiskUsage> {
    return this.#engine.json('GET', '/system/df');
  }

  /** Ends when the stream ends (an `until` in the past) or `signal` aborts. */
  async *events(options: { since?: string; until?: string; filters?: A.Filters } = {}, signal?: AbortSignal): AsyncGenerator<EventWithTime, void> {
    const answer = await this.#engine.call('GET', '/events', { query: { since: options.since, until: options.until, filters: filterQuery(options.filters) }, ...(signal === undefined ? {} : { signal }) });
    yield* jsonStream(answer.body, parseEvent);
  }

  auth(credentials: { username: string; password: string; serveraddress: string }): Promise<{ Status: string; IdentityToken?: string }> {
    return this.#engine.json('POST', '/auth', { json: credentials });
  }

  pruneBuildCache(options: { all?: boolean; keepStorage?: number; filters?: A.Filters } = {}): Promise<A.PruneReport> {
    return this.#engine.json('POST', '/build/prune', { query: { all: options.all, 'keep-storage': options.keepStorage, filters: filterQuery(options.filters) } });
  }

  /** naru: the plan that this container would be started by, as text. */
  async plan(request: A.ContainerCreateRequest, options: { name?: string } = {}): Promise<string> {
    const answer = await this.#engine.transport.request('POST', `/naru/plan${options.name === undefined ? '' : `?name=${encodeURIComponent(options.name)}`}`, { body: JSON.stringify(request) });
    return answer.body.text();
  }

  /** naru: what the requests with the header `Naru-Trace: id` did, and when (CLOCK_MONOTONIC nanoseconds). */
  async trace(id: string): Promise<TraceSpan[]> {
    const answer = await this.#engine.transport.request('GET', `/naru/trace/${encodeURIComponent(id)}`);
    const parsed = JSON.parse(await answer.body.text()) as TraceSpan[] | { spans: TraceSpan[] };
    return Array.isArray(parsed) ? parsed : parsed.spans;
  }
}
