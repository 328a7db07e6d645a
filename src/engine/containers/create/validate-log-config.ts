import { NaruError } from '#spec/errors.ts';
import type { LogConfig } from '#spec/engine-api.ts';

const OPTIONS: Record<string, ReadonlySet<string>> = {
  'json-file': new Set(['max-size', 'max-file', 'compress', 'labels', 'labels-regex', 'env', 'env-regex', 'tag', 'mode', 'max-buffer-size']),
  local: new Set(['max-size', 'max-file', 'compress', 'mode', 'max-buffer-size']),
  none: new Set(),
};
export const LOG_DRIVERS: readonly string[] = Object.keys(OPTIONS);
export const DEFAULT_LOG = { maxSize: 100 * 1024 * 1024, maxFiles: 5 };

const UNITS: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `10m`, `1g`, `1024` to bytes; undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text);
  return match === null ? undefined : Math.floor(Number(match[1]) * UNITS[match[2]!.toLowerCase()]!);
}

/** Throws for an unknown driver, option, or value. */
export function validateLogConfig(config: LogConfig | undefined): LogConfig {
  const driver = config?.Type || 'json-file';
  const accepted = OPTIONS[driver];
  if (accepted === undefined || !Object.hasOwn(OPTIONS, driver)) throw new NaruError('invalid', `logger: no log driver named '${driver}' is registered`);
  const options = config?.Config ?? {};
  for (const key of Object.keys(options)) {
    if (!accepted.has(key)) throw new NaruError('invalid', `unknown log opt '${key}' for ${driver} log driver`);
  }
  logLimits({ Type: driver, Config: options });
  return { Type: driver, Config: options };
}

/** Bytes of one file, and how many files. */
export function logLimits({ Config }: LogConfig): { maxSize: number; maxFiles: number } {
  const size = Config['max-size'];
  const files = Config['max-file'];
  const maxSize = size === undefined || size === '-1' ? DEFAULT_LOG.maxSize : parseSize(size);
  if (maxSize === undefined || maxSize <= 0) throw new NaruError('invalid', `invalid size: '${size}'`);
  const maxFiles = files === undefined ? DEFAULT_LOG.maxFiles : Number(files);
  if (!Number.isInteger(maxFiles) || maxFiles < 1 || maxFiles > 1000) throw new NaruError('invalid', 'max-file cannot be less than 1');
  // A record of the log is at most a pipe's read: smaller files would hold nothing.
  return { maxSize: Math.max(maxSize, 64 * 1024), maxFiles };
}
