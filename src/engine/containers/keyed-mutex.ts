import { NaruError } from '#spec/errors.ts';

/** How long a mutation waits for the one before it, in milliseconds. */
export const MUTEX_DEADLINE_MS = 120_000;

interface Waiter { readonly run: () => void; readonly what: string }

/** One mutation at a time for one object, first come first served. Reads never take it. */
export class KeyedMutex {
  readonly #label: string;
  #holder: { what: string; since: number } | undefined;
  #queue: Waiter[] = [];

  /** `label` names the object in the message: `container web`. */
  constructor(label: string) {
    this.#label = label;
  }

  get held(): boolean {
    return this.#holder !== undefined;
  }

  /** Run `work` alone. Throws unavailable when the one before does not end within the deadline, saying what it is. */
  async run<T>(what: string, work: () => Promise<T> | T, deadline: number = MUTEX_DEADLINE_MS): Promise<T> {
    if (this.#holder !== undefined) await this.#wait(what, deadline);
    this.#holder = { what, since: performance.now() };
    try {
      return await work();
    } finally {
      this.#holder = undefined;
      this.#queue.shift()?.run();
    }
  }

  #wait(what: string, deadline: number): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        what,
        run: () => {
          clearTimeout(timer);
          // The place is taken at once: a newcomer must not slip in before this microtask runs.
          this.#holder = { what, since: performance.now() };
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#queue = this.#queue.filter((other) => other !== waiter);
        const holder = this.#holder;
        reject(new NaruError('unavailable', `${this.#label} is busy: cannot ${what} while "${holder?.what ?? '?'}" has been under way for ${Math.round((performance.now() - (holder?.since ?? performance.now())) / 1000)}s`, {
          hint: 'try again when that has ended',
        }));
      }, deadline);
      this.#queue.push(waiter);
    });
  }
}
