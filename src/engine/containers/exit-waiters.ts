import { NaruError } from '#spec/errors.ts';
import type { WaitResponse } from '#spec/engine-api.ts';

/** Those who wait for one container's exit or removal. A waiter that goes away takes itself off the list. */
export interface ExitWaiters {
  /** Rejects with canceled when `signal` aborts. */
  register(what: 'exit' | 'removed', signal: AbortSignal): Promise<WaitResponse>;
  /** It exited: those who wait for an exit are told. */
  exited(response: WaitResponse): void;
  /** It is gone: all are told. */
  removed(response: WaitResponse): void;
  readonly size: number;
}

export function createExitWaiters(): ExitWaiters {
  const lists = { exit: new Set<(response: WaitResponse) => void>(), removed: new Set<(response: WaitResponse) => void>() };
  const flush = (set: Set<(response: WaitResponse) => void>, response: WaitResponse): void => {
    for (const tell of [...set]) tell(response);
  };
  return {
    register(what, signal) {
      return new Promise<WaitResponse>((resolve, reject) => {
        if (signal.aborted) return reject(canceled());
        const set = lists[what];
        const tell = (response: WaitResponse): void => {
          set.delete(tell);
          signal.removeEventListener('abort', abort);
          resolve(response);
        };
        const abort = (): void => {
          set.delete(tell);
          reject(canceled());
        };
        set.add(tell);
        signal.addEventListener('abort', abort, { once: true });
      });
    },
    exited: (response) => flush(lists.exit, response),
    removed(response) {
      flush(lists.exit, response);
      flush(lists.removed, response);
    },
    get size() {
      return lists.exit.size + lists.removed.size;
    },
  };
}

const canceled = (): NaruError => new NaruError('canceled', 'the client went away while it waited for a container');
