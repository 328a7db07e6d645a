import type { HeaderList, Reply } from '#api/http/reply.ts';
import type { HttpRequest } from '#api/http/request.ts';
import { NaruError } from '#spec/errors.ts';
import { monotonicNow } from '#sys/monotonic.ts';
import { span, withTrace } from '#sys/trace.ts';
import { LATEST_MINOR, MAX_API_VERSION, negotiateVersion } from './api-version.ts';
import type { Call } from './call.ts';
import type { Engine } from './engine-port.ts';
import type { Admit } from './origin-guard.ts';
import { Query } from './query.ts';
import { errorReply } from './replies.ts';
import { type Match, Router } from './router.ts';
import { ROUTES } from './routes.ts';
import { noteClient, TraceBook } from './trace-book.ts';

export interface ApiHandlerOptions {
  readonly engine: Engine;
  /** naru's own version, for the `Server` header. */
  readonly version: string;
  /** Told about failures that are no answer to the client's mistake (status 500): log it, once, here. */
  readonly onFault?: (error: unknown, request: string) => void;
}

const VERSIONED = /^\/v([0-9][0-9.]*)(\/.*)$/;

/** `admit` is the listener's own check, made first. */
export type ApiHandler = (request: HttpRequest, admit?: Admit) => Reply | Promise<Reply>;

/** Route, version, handler, errors to statuses, headers: the whole API as one function. */
export function createApiHandler({ engine, version, onFault }: ApiHandlerOptions): ApiHandler {
  const router = new Router(ROUTES);
  const traces = new TraceBook();
  const dress = dresser([
    ['Api-Version', MAX_API_VERSION], ['Docker-Experimental', 'false'], ['Ostype', 'linux'], ['Server', `Naru/${version} (linux)`],
  ]);
  return (request, admit) => {
    const fail = (error: unknown): Reply => {
      const reply = errorReply(error);
      if (reply.status === 500) onFault?.(error, `${request.head.method} ${request.head.path}`);
      return dress(reply);
    };
    try {
      admit?.(request);
      const prefix = VERSIONED.exec(request.head.path);
      const match = router.match(request.head.method, prefix?.[2] ?? request.head.path);
      if (match === undefined) throw new NaruError('not-found', 'page not found');
      const minor = prefix === null ? LATEST_MINOR : negotiateVersion(prefix[1]!);
      if (match.takesOver) request.holdInput();
      const call = { engine, request, params: match.params, query: new Query(request.head.query), version: minor, traces };
      const reply = run(match, call, request);
      return reply instanceof Promise ? reply.then(dress, fail) : dress(reply);
    } catch (error) {
      return fail(error);
    }
  };
}

function run(match: Match, call: Call, request: HttpRequest): Reply | Promise<Reply> {
  const id = request.header('naru-trace');
  const trace = id !== undefined ? call.traces.open(id) : call.params.name === undefined ? undefined : call.traces.followed(call.params.name);
  if (trace === undefined) return match.handler(call);
  if (trace.spans.length === 0) noteClient(trace, request.header('naru-elapsed'), monotonicNow());
  return withTrace(trace, () => span('api', match.name, () => match.handler(call)));
}

/** Adds the headers that every answer has. Lists that are constants (frozen) are joined once. */
function dresser(common: HeaderList): (reply: Reply) => Reply {
  const joined = new WeakMap<HeaderList, HeaderList>();
  return (reply) => {
    if (!Object.isFrozen(reply.headers)) return { ...reply, headers: [...common, ...reply.headers] };
    let headers = joined.get(reply.headers);
    if (headers === undefined) joined.set(reply.headers, (headers = Object.freeze([...common, ...reply.headers])));
    return { ...reply, headers };
  };
}
