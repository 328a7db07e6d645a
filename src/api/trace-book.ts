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

  readonly #followed = new Map<string, Trace>();

  /** From now on the requests for this container, by its id and until `unfollow`, write into a trace that nobody asked for: it is told how it came. */
  follow(container: string): Trace {
    const trace = new Trace(container);
    this.#followed.set(container, trace);
    if (this.#followed.size > KEPT) this.#followed.delete(this.#followed.keys().next().value!);
    return trace;
  }

  followed(container: string): Trace | undefined {
    return this.#followed.get(container);
  }

  unfollow(container: string): void {
    this.#followed.delete(container);
  }

  find(id: string): Trace | undefined {
    return this.#traces.get(id);
  }
}

/** The client's part, from the start of its process to its first request, which came at `end`: it says how many milliseconds that took. */
export function noteClient(trace: Pick<Trace, 'spans'>, elapsed: string | undefined, end: bigint): void {
  const milliseconds = Number(elapsed);
  if (elapsed === undefined || !(milliseconds >= 0 && milliseconds < 60_000)) return;
  trace.spans.push({ link: 'cli', name: 'start, words, first request', start: end - BigInt(Math.round(milliseconds * 1e6)), end });
}
