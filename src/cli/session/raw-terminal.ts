/** Puts the terminal at stdin into raw mode until the returned function is called, or the process exits. */
export async function rawTerminal(): Promise<() => void> {
  const { ReadStream } = await import('node:tty');
  const terminal = process.stdin instanceof ReadStream ? process.stdin : undefined;
  if (terminal === undefined) return () => {};
  terminal.setRawMode(true);
  let restored = false;
  const restore = (): void => {
    if (restored) return;
    restored = true;
    process.off('exit', restore);
    terminal.setRawMode(false);
  };
  process.on('exit', restore);
  return restore;
}
