import type { Writable } from 'node:stream';

/** Resolves when a stream whose `write` said "enough" takes more again, or is closed. Leaves no listener behind. */
export function drained(sink: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (sink.destroyed) return resolve();
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
  });
}
