/** `2 minutes`, `About an hour`: how Docker names a length of time given in seconds. */
export function humanDuration(lengthSeconds: number): string {
  const seconds = Math.trunc(lengthSeconds);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(lengthSeconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(lengthSeconds / 3600 + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 14) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 60) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(Math.trunc(lengthSeconds / 3600) / 24 / 365)} years`;
}

/** The time since a moment given in Unix seconds. */
export const humanAge = (unixSeconds: number, now = Date.now()): string => `${humanDuration(now / 1000 - unixSeconds)} ago`;

const two = (n: number): string => String(n).padStart(2, '0');

function offset(date: Date): { sign: string; hours: string; minutes: string } {
  const minutes = -date.getTimezoneOffset();
  return { sign: minutes < 0 ? '-' : '+', hours: two(Math.trunc(Math.abs(minutes) / 60)), minutes: two(Math.abs(minutes) % 60) };
}

const day = (date: Date): string => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
const clock = (date: Date): string => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

/** Go's default print of a local time: `2006-01-02 15:04:05 -0700 MST`. */
export function goTime(unixSeconds: number): string {
  const date = new Date(unixSeconds * 1000);
  const { sign, hours, minutes } = offset(date);
  const utc = `${sign}${hours}${minutes}` === '+0000';
  const zone = utc ? 'UTC' : (/\(([A-Z]{2,5})\)|([A-Z]{3,4})$/.exec(date.toLocaleTimeString('en-US', { timeZoneName: 'short' }))?.slice(1).find(Boolean) ?? `${sign}${hours}`);
  return `${day(date)} ${clock(date)} ${sign}${hours}${minutes} ${zone}`;
}

/** RFC 3339 in local time, with `nanoseconds` as a fraction of nine digits when given. */
export function rfc3339(unixSeconds: number, nanoseconds?: number): string {
  const date = new Date(unixSeconds * 1000);
  const { sign, hours, minutes } = offset(date);
  const zone = sign === '+' && hours === '00' && minutes === '00' ? 'Z' : `${sign}${hours}:${minutes}`;
  return `${day(date)}T${clock(date)}${nanoseconds === undefined ? '' : `.${String(nanoseconds).padStart(9, '0')}`}${zone}`;
}
