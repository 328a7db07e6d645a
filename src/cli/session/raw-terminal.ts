/**
 * Puts the terminal at stdin into raw mode until the returned function is called, or the process exits. Node's raw mode still
 * turns line feeds into carriage return and line feed on output, which breaks programs that move the cursor by line feeds:
 * `stty` turns that off too.
 */
export async function rawTerminal(): Promise<() => void> {
  const { ReadStream } = await import('node:tty');
  const terminal = process.stdin instanceof ReadStream ? process.stdin : undefined;
  if (terminal === undefined) return () => {};
  terminal.setRawMode(true);
  process.getBuiltinModule('node:child_process').spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  let restored = false;
  const restore = (): void => {
    if (restored) return;
    restored = true;
    process.off('exit', restore);
    for (const [signal, listener] of fatal) process.off(signal, listener);
    terminal.setRawMode(false);
  };
  // A signal that nobody else takes ends us: not without giving the terminal back.
  const fatal = ([['SIGTERM', 143], ['SIGHUP', 129], ['SIGQUIT', 131]] as const).map(([signal, status]) => {
    const listener = (): void => {
      if (process.listenerCount(signal) > 1) return;
      restore();
      process.exit(status);
    };
    process.on(signal, listener);
    return [signal, listener] as const;
  });
  process.on('exit', restore);
  return restore;
}
