const LEVELS = ['error', 'warn', 'info', 'debug'] as const;

export interface Log {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
  /** From now on. */
  setLevel(level: (typeof LEVELS)[number]): void;
}

/** The daemon's own log: one line per event on stderr, `2024-01-01T00:00:00.000Z info text`. */
export function createLog(level: (typeof LEVELS)[number]): Log {
  let upTo = LEVELS.indexOf(level);
  const at = (name: (typeof LEVELS)[number]) => (text: string): void => {
    if (LEVELS.indexOf(name) <= upTo) process.stderr.write(`${new Date().toISOString()} ${name} ${text}\n`);
  };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), setLevel: (to) => void (upTo = LEVELS.indexOf(to)) };
}
