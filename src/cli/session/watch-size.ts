import type { Io } from '../io.ts';

const RETRIES = 10;

/** Gives the terminal's size to `resize` now and whenever it changes, until the returned function is called. */
export function watchSize(io: Io, resize: (rows: number, columns: number) => Promise<void>): () => void {
  let stopped = false;
  const apply = async (): Promise<boolean> => {
    const size = await io.size();
    if (size === undefined || (size.rows === 0 && size.columns === 0) || stopped) return true;
    try {
      await resize(size.rows, size.columns);
      return true;
    } catch {
      return false;
    }
  };
  const first = async (): Promise<void> => {
    // It may not have started yet.
    for (let i = 0; i <= RETRIES && !stopped; i++) {
      if (await apply()) return;
      await new Promise((resolve) => setTimeout(resolve, (i + 1) * 10));
    }
    if (!stopped) io.err('failed to resize tty, using default size\n');
  };
  const onChange = (): void => void apply();
  process.on('SIGWINCH', onChange);
  void first();
  return () => {
    stopped = true;
    process.off('SIGWINCH', onChange);
  };
}
