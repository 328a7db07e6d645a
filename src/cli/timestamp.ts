import { NaruError } from '#spec/errors.ts';
import { parseDuration } from './flags/numbers.ts';

/**
 * `--since` and `--until` for the API: `42m` (so long ago), `2013-01-02T13:23:37Z` and shorter forms (local without a zone), or
 * Unix seconds with a fraction. Answers Unix `seconds[.nanoseconds]`.
 */
export function apiTimestamp(text: string, now = Date.now()): string {
  if (/^-?\d+(\.\d+)?$/.test(text)) return text;
  try {
    return String(Math.floor(now / 1000 - parseDuration(text) / 1e9));
  } catch {
    // No duration: a date.
  }
  const match = /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(text);
  const bad = (): NaruError => new NaruError('invalid', `invalid value for "since": failed to parse value as time or duration: ${JSON.stringify(text)}`);
  if (match === null) throw bad();
  const [, date, hours = '00', minutes = '00', seconds = '00', fraction = '', zone = ''] = match;
  const milliseconds = Date.parse(`${date}T${hours}:${minutes}:${seconds}${zone}`);
  if (Number.isNaN(milliseconds)) throw bad();
  return fixed(BigInt(Math.trunc(milliseconds / 1000)), Number(fraction.padEnd(9, '0')));
}

const fixed = (seconds: bigint, nanoseconds: number): string => `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
