import { Epoll } from '#sys/epoll.ts';

export type Handler = (events: number) => void;

/** Descriptors with what is done when they are ready, and one list of moments to wake up at. */
export class Reactor {
  readonly #epoll = new Epoll();
  readonly #handlers = new Map<number, Handler>();
  /** Since the last wait: what it told of them may be about another descriptor of the same number by now. */
  readonly #forgotten = new Set<number>();
  readonly #tickers: ((now: number) => number)[] = [];

  watch(fd: number, events: number, handler: Handler): void {
    this.#epoll.add(fd, events);
    this.#handlers.set(fd, handler);
  }

  change(fd: number, events: number): void {
    this.#epoll.modify(fd, events);
  }

  /** Before the descriptor is closed. */
  forget(fd: number): void {
    if (!this.#handlers.delete(fd)) return;
    this.#epoll.remove(fd);
    this.#forgotten.add(fd);
  }

  /** Called before each wait with the time (milliseconds, monotonic); says when it wants to be called again at the latest (Infinity: no matter). */
  onTick(ticker: (now: number) => number): void {
    this.#tickers.push(ticker);
  }

  /** Runs as long as `goOn` says so. */
  run(goOn: () => boolean): void {
    while (goOn()) {
      const now = performance.now();
      let next = Infinity;
      for (const ticker of this.#tickers) next = Math.min(next, ticker(now));
      const count = this.#epoll.wait(next === Infinity ? -1 : Math.max(0, Math.ceil(next - now)));
      this.#forgotten.clear();
      for (let i = 0; i < count; i++) {
        const fd = this.#epoll.fdOf(i);
        if (!this.#forgotten.has(fd)) this.#handlers.get(fd)?.(this.#epoll.eventsOf(i));
      }
    }
  }
}
