import { NaruError } from '#spec/errors.ts';
import { exitCodeOf } from './exit-codes.ts';

const AT_ONCE = 50;

/** Runs `work` for every name, up to 50 at a time; `done` hears of them in the order of the names, as soon as it can. */
export async function inParallel(names: readonly string[], work: (name: string) => Promise<void>, done: (name: string, error: unknown) => void): Promise<void> {
  const running = new Set<Promise<unknown>>();
  const begin = async (name: string): Promise<unknown> => {
    while (running.size >= AT_ONCE) await Promise.race(running);
    const outcome: Promise<unknown> = work(name).then(() => undefined, (error: unknown) => error ?? new Error('failed'));
    running.add(outcome);
    void outcome.then(() => running.delete(outcome));
    return outcome;
  };
  const outcomes = names.map(begin);
  for (const [i, name] of names.entries()) done(name, await outcomes[i]);
}

/** Throws the failures as one, a line each. */
export function failTogether(errors: readonly unknown[]): void {
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw first;
  const kind = first instanceof NaruError ? first.kind : 'internal';
  throw new NaruError(kind, errors.map((error) => (error as Error).message).join('\n'), { exitCode: exitCodeOf(first) || 1 });
}
