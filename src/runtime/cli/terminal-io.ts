import type { TaskIo } from '#core/tasks/port.ts';

/** The streams of a program with a terminal, as it finds them at its first look. `callers`: it is seen in our own terminal, if we have one, whose size
 *  then counts, and not what the configuration says. */
export function terminalIo(asked: { readonly height: number; readonly width: number } | undefined, callers: boolean): TaskIo {
  const { stdout } = process;
  const { height, width } = callers && stdout.isTTY ? { height: stdout.rows, width: stdout.columns } : (asked ?? { height: 0, width: 0 });
  return { mode: 'pty', stdin: 'open', rows: height, columns: width };
}
