import { NaruError } from '#spec/errors.ts';

/** So many at a time; the others wait in line. */
export interface Slots {
  /** Resolves to the function that gives the slot back (calling it again does nothing). Throws `canceled` when the signal aborts. */
  take(signal: AbortSignal): Promise<() => void>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const line: (() => void)[] = [];
  const give = (): (() => void) => {
    let given = true;
    return () => {
      if (!given) return;
      given = false;
      const next = line.shift();
      if (next === undefined) free++;
      else next();
    };
  };
  return {
    take: (signal) => new Promise((resolve, reject) => {
      const canceled = (): void => {
        const at = line.indexOf(start);
        if (at >= 0) line.splice(at, 1);
        reject(new NaruError('canceled', 'canceled'));
      };
      const start = (): void => {
        signal.removeEventListener('abort', canceled);
        resolve(give());
      };
      if (signal.aborted) return canceled();
      if (free > 0) {
        free--;
        return resolve(give());
      }
      line.push(start);
      signal.addEventListener('abort', canceled, { once: true });
    }),
  };
}
