import { Trace } from '#sys/trace.ts';

const KEPT = 64;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The latest traces. All requests that name the same id (create, start, wait ...) write into one trace. */
export class TraceBook {
  readonly #traces = new Map<string, Trace>();

  /** undefined when the id is not a word of at most 64 letters. */
  open(id: string): Trace | undefined {
    if (!ID.test(id)) return undefined;
    const known = this.#traces.get(id);
    if (known !== undefined) return known;
    const trace = new Trace(id);
    this.#traces.set(id, trace);
    if (this.#traces.size > KEPT) this.#traces.delete(this.#traces.keys().next().value!);
    return trace;
  }

  find(id: string): Trace | undefined {
    return this.#traces.get(id);
  }
}
