import { appendFileSync, writeSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';

type Level = 'debug' | 'info' | 'warning' | 'error';

export interface RuntimeLog {
  write(level: Level, message: string): void;
  /** What ended a command: to the log, and to stderr. */
  fail(verb: string | undefined, error: unknown): void;
}

/** --log and --log-format: a line for each entry, as logrus writes them (engines read `level` and `msg` from the last one).
 *  Without both, the bare sentence on stderr. */
export function openLog(path: string | undefined, format: string | undefined): RuntimeLog {
  if (format !== undefined && format !== 'text' && format !== 'json') throw new NaruError('invalid', `unknown log-format ${JSON.stringify(format)}`);
  const write = (level: Level, message: string): void => {
    const line = path === undefined && format === undefined ? message : format === 'json'
      ? JSON.stringify({ level, msg: message, time: new Date().toISOString() })
      : `time=${JSON.stringify(new Date().toISOString())} level=${level} msg=${JSON.stringify(message)}`;
    if (path === undefined) writeSync(2, `${line}\n`);
    else appendFileSync(path, `${line}\n`, { mode: 0o644 });
  };
  return {
    write,
    fail(verb, error) {
      const message = sentence(verb, error);
      try {
        write('error', message);
      } catch (cause) {
        writeSync(2, `cannot write the log: ${(cause as Error).message}\n`);
      }
      if (path !== undefined) writeSync(2, `${message}\n`);
    },
  };
}

function sentence(verb: string | undefined, error: unknown): string {
  const { message } = error as Error;
  const text = error instanceof NaruError || error instanceof Error ? message : String(error);
  return verb === 'create' || verb === 'run' || verb === 'exec' ? `${verb === 'exec' ? 'exec' : `runtime ${verb}`} failed: ${text}` : text;
}
