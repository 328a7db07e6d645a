import type { DnsCounters } from './port.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] extends readonly number[] ? number[] : T[K] };
export type Counters = Writable<DnsCounters>;

/** Upper bounds of the latency classes, milliseconds; one more class for what takes longer. */
export const LATENCY_CLASSES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const;

export const newCounters = (): Counters => ({
  queries: 0, local: 0, cached: 0, forwarded: 0, withheld: 0, failed: 0, refused: 0, timeouts: 0, mismatched: 0, tcp: 0, latency: Array<number>(LATENCY_CLASSES.length + 1).fill(0),
});

export function countLatency(counters: Counters, milliseconds: number): void {
  const at = LATENCY_CLASSES.findIndex((most) => milliseconds <= most);
  counters.latency[at < 0 ? LATENCY_CLASSES.length : at]!++;
}

export function addCounters(to: Counters, from: DnsCounters): void {
  for (const key of Object.keys(to) as (keyof Counters)[]) if (key !== 'latency') to[key] += from[key] as number;
  from.latency.forEach((count, i) => (to.latency[i]! += count));
}
