import { readFileSync } from 'node:fs';
import { NR } from './numbers.ts';
import { syscall } from './syscalls.ts';

const MADV_DONTNEED = 4;
/** How often a process that means to be small when idle looks at itself, milliseconds. */
const TICK_MS = 250;
/** Less CPU time than this in a tick is idleness; more than this since the last trim makes another worth while. Microseconds. */
const IDLE_US = 2_000;
const WORTH_US = 30_000;

const used = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Trims whenever the process did something and has been idle since. Returns what stops it. */
export function trimWhenIdle(): () => void {
  let before = used();
  let trimmedAt = 0;
  const interval = setInterval(() => {
    const now = used();
    const idle = now - before < IDLE_US;
    before = now;
    if (!idle || now - trimmedAt < WORTH_US) return;
    trimMemory();
    before = trimmedAt = used();
  }, TICK_MS);
  interval.unref();
  return () => clearInterval(interval);
}

/** The same for a process with an event loop of its own, which asks before each wait. */
export class IdleTrimmer {
  #trimmedAt = 0;
  #before = 0;
  #due = 0;

  /** `now` and the result: milliseconds, monotonic; the result is when it wants to be asked again at the latest. */
  tick(now: number): number {
    if (this.#due === Infinity) this.#due = now + TICK_MS;
    if (now < this.#due) return this.#due;
    const at = used();
    const idle = at - this.#before < IDLE_US;
    this.#before = at;
    this.#due = now + TICK_MS;
    if (!idle) return this.#due;
    if (at - this.#trimmedAt >= WORTH_US) {
      trimMemory();
      this.#before = this.#trimmedAt = used();
    }
    // Nothing to look at until something happens.
    this.#due = Infinity;
    return Infinity;
  }
}

/** Collects garbage and unmaps the program text that starting up has touched: it stays in the page cache, and what is needed again is
 *  mapped again by a minor fault. Only text is given back, which is never written to. */
function trimMemory(): void {
  Bun.gc(true);
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ [1-9]\d*\s/.exec(line);
    if (match === null) continue;
    const start = Number.parseInt(match[1]!, 16);
    syscall(NR.madvise, start, Number.parseInt(match[2]!, 16) - start, MADV_DONTNEED);
  }
}
