import type { BenchEngine } from './engines.ts';
import type { Bench } from './net.ts';

const SECONDS = 1, RUNS = 3;
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const metric = (window: number): string => `DNS answers for a local name, ${window} under way`;

/** Answers per second that one container gets for the name of another: one question at a time, and 32 under way. */
export function dnsAnswers(engine: BenchEngine, { record, call, programs }: Bench): void {
  call(engine, 'network', 'create', '--subnet', '10.253.53.0/24', 'bench-dns');
  call(engine, 'run', '-d', '--name', 'bench-web', '--network', 'bench-dns', 'busybox', 'sleep', '1000');
  call(engine, 'run', '-d', '--name', 'bench-asks', '--network', 'bench-dns', '-v', `${programs}:/b:ro`, 'busybox', 'sleep', '1000');
  measure(engine, call, (window, value) => record(metric(window), '1/s', engine.name, value));
  call(engine, 'rm', '-f', 'bench-asks', 'bench-web');
  call(engine, 'network', 'rm', 'bench-dns');
}

/** The same from a program that looks nothing up, in the same container as the one that asks: the kernel's part, both wake-ups included. */
export function dnsFloor(engine: BenchEngine, { record, call, programs }: Bench): void {
  call(engine, 'run', '-d', '--name', 'bench-asks', '--network', 'none', '-v', `${programs}:/b:ro`, 'busybox', '/b/dns-floor');
  measure(engine, call, (window, value) => record(metric(window), '1/s', 'floor', value));
  call(engine, 'rm', '-f', 'bench-asks');
}

function measure(engine: BenchEngine, call: Bench['call'], say: (window: number, value: number) => void): void {
  for (const window of [1, 32]) {
    const once = (): number => Number(call(engine, 'exec', 'bench-asks', '/b/dns-client', 'bench-web', String(SECONDS), String(window)));
    once();
    say(window, median(Array.from({ length: RUNS }, once)));
  }
}
