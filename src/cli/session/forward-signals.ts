const SIGNALS: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGTERM', 'SIGCONT', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGVTALRM', 'SIGIO', 'SIGXCPU'];
/** So many of SIGINT and SIGTERM end us, whatever the container does. */
const PATIENCE = 3;

/** Passes the signals that we get on to `kill`, until the returned function is called. `forced` is called when the user insists. */
export function forwardSignals(kill: (signal: string) => Promise<void>, forced: () => void): () => void {
  let terminations = 0;
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      if ((signal === 'SIGINT' || signal === 'SIGTERM') && ++terminations >= PATIENCE) return forced();
      kill(signal.slice(3)).catch(() => {}); // it may just have ended
    };
    process.on(signal, listener);
    return [signal, listener] as const;
  });
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
