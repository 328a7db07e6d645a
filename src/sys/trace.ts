import { AsyncLocalStorage } from 'node:async_hooks';
import { monotonicNow } from './monotonic.ts';

/** One finished piece of work on the chain. Times are CLOCK_MONOTONIC nanoseconds. */
export interface Span {
  readonly link: string; // cli, api, engine, core, runtime, net, native, container
  readonly name: string;
  readonly start: bigint;
  readonly end: bigint;
  readonly detail?: string;
}

export class Trace {
  readonly spans: Span[] = [];
  readonly id: string;
  constructor(id: string) {
    this.id = id;
  }
}

const store = new AsyncLocalStorage<Trace>();
let anyTrace = false;

/** Run `work` with every `span()` inside it recorded into `trace`. */
export function withTrace<T>(trace: Trace, work: () => T): T {
  anyTrace = true;
  return store.run(trace, work);
}

/** The trace of the request being served, if it asked for one. */
export const currentTrace = (): Trace | undefined => (anyTrace ? store.getStore() : undefined);

/** Time `work` as a span of `link`; free when nobody traces. */
export function span<T>(link: string, name: string, work: () => T): T {
  const trace = currentTrace();
  if (trace === undefined) return work();
  const start = monotonicNow();
  const done = (): void => {
    trace.spans.push({ link, name, start, end: monotonicNow() });
  };
  let result: T;
  try {
    result = work();
  } catch (error) {
    done();
    throw error;
  }
  if (result instanceof Promise) return result.finally(done) as T;
  done();
  return result;
}
