import { NaruError } from '#spec/errors.ts';
import { fs } from '../on-demand.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

/**
 * Reads an `--env-file` or `--label-file`: one `key=value` a line, `#` comments. A key alone takes its value from `lookup`, and
 * is left out without one.
 */
export function readKeyValueFile(path: string, lookup: ((key: string) => string | undefined) | undefined): string[] {
  let bytes: Uint8Array;
  try {
    bytes = fs().readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : code === 'EISDIR' ? 'is a directory' : (cause as Error).message;
    throw new NaruError('invalid', `open ${path}: ${reason}`, { cause });
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid(`invalid env file (${path}): invalid utf8 bytes`);
  }
  const out: string[] = [];
  for (const rawLine of text.split('\n')) {
    const line = rawLine.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const key = equals < 0 ? line : line.slice(0, equals);
    if (key === '') throw invalid(`invalid env file (${path}): no variable name on line '${line}'`);
    if (/[ \t]/.test(key)) throw invalid(`invalid env file (${path}): variable '${key}' contains whitespaces`);
    if (equals >= 0) out.push(line);
    else {
      const value = lookup?.(line);
      if (value !== undefined) out.push(`${key}=${value}`);
    }
  }
  return out;
}
