import { NaruError } from '#spec/errors.ts';
import { nowNano, parseTime } from './timestamps.ts';
import { parseDuration } from './durations.ts';

/** A moment as the `until` and `since` filters take it: seconds since the epoch with an optional fraction, RFC 3339, or a Go
 *  duration before now. Nanoseconds. Throws invalid. */
export function parseMoment(text: string, now: bigint = nowNano()): bigint {
  const unix = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(text);
  if (unix !== null) return BigInt(unix[1]!) * 1_000_000_000n + BigInt((unix[2] ?? '').padEnd(9, '0'));
  const duration = parseDuration(text);
  if (duration !== undefined) return now - duration;
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new NaruError('invalid', `failed to parse value as time or duration: ${JSON.stringify(text)}`, { hint: 'use seconds since the epoch, RFC 3339, or a duration such as 10m' });
}
