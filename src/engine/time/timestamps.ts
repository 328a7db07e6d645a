/** Docker's zero time: what `StartedAt` and `FinishedAt` hold before there was any. */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

let last = 0n;

/** Nanoseconds since the epoch; strictly increasing within this process, so that two events never share a time. */
export function nowNano(): bigint {
  const now = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
  last = now > last ? now : last + 1n;
  return last;
}

/** RFC 3339 in UTC with nanoseconds, trailing zeros dropped as Go's RFC3339Nano does. */
export function formatTime(nano: bigint): string {
  const seconds = nano / 1_000_000_000n;
  const head = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = (nano % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return fraction === '' ? `${head}Z` : `${head}.${fraction}Z`;
}

/** The fixed-width form that log lines carry: always nine digits. */
export function formatLogTime(nano: bigint): string {
  const head = new Date(Number(nano / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${head}.${(nano % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}

const RFC3339 = /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}:\d{2})?$/;

/** RFC 3339 (or a date alone, UTC) to nanoseconds; undefined when it is not one. */
export function parseTime(text: string): bigint | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const clock = match[2] ?? '00:00:00';
  const milliseconds = Date.parse(`${match[1]}T${clock.length === 5 ? `${clock}:00` : clock}${(match[4] ?? 'Z').toUpperCase()}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1_000_000n + BigInt((match[3] ?? '').padEnd(9, '0'));
}

/** Milliseconds since the epoch of a stored time; 0 for the zero time. */
export const toMilliseconds = (time: string): number => (time === ZERO_TIME || time === '' ? 0 : Number((parseTime(time) ?? 0n) / 1_000_000n));
