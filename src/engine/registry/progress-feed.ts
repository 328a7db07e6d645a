import type { ProgressMessage } from '#spec/engine-api.ts';

/** Between two counts of one line, milliseconds. */
const EVERY = 100;
/** Counts are left out while the reader is this far behind. */
const MAX_WAITING = 256;

/** Messages from work that goes on at the same time, as one stream in order. Counts are thinned out; a reader that is slow gets
 *  fewer of them. */
export class ProgressFeed {
  readonly #waiting: ProgressMessage[] = [];
  readonly #shown = new Map<string, number>();
  #wake: () => void = () => {};

  say(message: ProgressMessage): void {
    this.#waiting.push(message);
    this.#wake();
  }

  /** A step of the layer `id`: one line of the display. */
  step(id: string, status: string): void {
    this.say({ status, progressDetail: {}, id });
  }

  count(id: string, status: string, { current, total }: { current: number; total: number }): void {
    const now = performance.now();
    const key = `${id} ${status}`;
    if (now - (this.#shown.get(key) ?? -EVERY) < EVERY || this.#waiting.length > MAX_WAITING) return;
    this.#shown.set(key, now);
    this.say({ status, progressDetail: { current, total }, id });
  }

  /** All messages until `work` is done; returns what it returns, throws what it throws. When the reader stops, `stop` ends the work. */
  async *during<T>(work: Promise<T>, stop: () => void): AsyncGenerator<ProgressMessage, T, undefined> {
    let over = false;
    const end = (): void => {
      over = true;
      this.#wake();
    };
    work.then(end, end);
    try {
      for (;;) {
        while (this.#waiting.length > 0) yield this.#waiting.shift()!;
        if (over) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      return await work;
    } finally {
      if (!over) {
        stop();
        await work.catch(() => {});
      }
    }
  }
}
