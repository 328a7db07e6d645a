import type { HttpRequest } from '#api/http/request.ts';
import type { Reply } from '#api/http/reply.ts';
import type { ApiMinor } from './api-version.ts';
import type { Engine } from './engine-port.ts';
import type { Query } from './query.ts';
import type { TraceBook } from './trace-book.ts';

/** One API request with everything that a handler needs. */
export interface Call {
  readonly engine: Engine;
  readonly request: HttpRequest;
  /** The path's variables, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** What the client speaks: shapes and defaults follow it. */
  readonly version: ApiMinor;
  readonly traces: TraceBook;
}

/** About 25 lines: read the request, call the engine once, shape the answer. Throws NaruError. */
export type Handler = (call: Call) => Reply | Promise<Reply>;
