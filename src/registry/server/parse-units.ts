import { NaruError } from '#spec/errors.ts';

const SIZES: Record<string, number> = { '': 1, b: 1, k: 1e3, kb: 1e3, m: 1e6, mb: 1e6, g: 1e9, gb: 1e9, t: 1e12, tb: 1e12, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 };
const TIMES: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3, w: 7 * 86_400e3 };

function parse(text: unknown, units: Record<string, number>, what: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(typeof text === 'number' ? String(text) : typeof text === 'string' ? text.trim() : '');
  const factor = match === null ? undefined : units[(match[2] as string).toLowerCase()];
  const value = Number(match?.[1]) * (factor ?? NaN);
  if (Number.isFinite(value) && value <= Number.MAX_SAFE_INTEGER) return Math.floor(value);
  throw new NaruError('invalid', `${JSON.stringify(text)?.slice(0, 60)} is no ${what}`, { hint: `a number and one of ${Object.keys(units).filter((u) => u !== '').join(', ')}` });
}

/** `10GiB` or a number of bytes, in bytes. Throws `invalid`. */
export const parseSize = (text: unknown): number => parse(text, SIZES, 'size');

/** `30s`, `12h`, `7d`, in milliseconds. Throws `invalid`. */
export const parseTime = (text: unknown): number => parse(text, TIMES, 'length of time');
