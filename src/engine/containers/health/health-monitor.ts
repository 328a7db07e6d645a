import type { Health, Healthcheck, HealthLogEntry } from '#spec/engine-api.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import { formatTime, nowNano } from '../../time/timestamps.ts';
import type { Container } from '../container.ts';
import { probe } from './probe.ts';

/** Docker's defaults, nanoseconds. */
const DEFAULTS = { interval: 30e9, timeout: 30e9, startInterval: 5e9, retries: 3 };
/** Results that inspect shows. */
const LOG_ENTRIES = 5;
/** Longest sleep of a timer, milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/** What is to be run; undefined when there is no check. */
export function probeCommand(check: Healthcheck | null | undefined, shell: readonly string[] | null | undefined): string[] | undefined {
  const [kind, ...rest] = check?.Test ?? [];
  if (kind === 'CMD' && rest.length > 0) return rest;
  if (kind === 'CMD-SHELL' && rest.length > 0) return [...(shell ?? ['/bin/sh', '-c']), rest[0]!];
  return undefined;
}

/** The state after one result. During the start period failures do not count; one success ends it. */
export function nextHealth(before: Health, entry: HealthLogEntry, { retries, starting }: { retries: number; starting: boolean }): Health {
  const log = [...before.Log, entry].slice(-LOG_ENTRIES);
  if (entry.ExitCode === 0) return { Status: 'healthy', FailingStreak: 0, Log: log };
  if (starting) return { Status: before.Status, FailingStreak: before.FailingStreak, Log: log };
  const streak = before.FailingStreak + 1;
  return { Status: streak >= retries ? 'unhealthy' : before.Status, FailingStreak: streak, Log: log };
}

/** Probes the container as its health check says, until it ends. Does nothing without a check. */
export function startHealthMonitor(engine: EngineContext, container: Container): void {
  const check = container.doc.config.Healthcheck;
  const command = probeCommand(check, container.doc.config.Shell);
  container.health?.stop();
  container.health = undefined;
  container.state.health = undefined;
  if (command === undefined) return;

  const { task } = container;
  const interval = check!.Interval || DEFAULTS.interval;
  const timeout = check!.Timeout || DEFAULTS.timeout;
  const startPeriod = check!.StartPeriod || 0;
  const startInterval = check!.StartInterval || DEFAULTS.startInterval;
  const retries = check!.Retries || DEFAULTS.retries;
  const began = performance.now();
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let passedOnce = false;
  container.state.health = { Status: 'starting', FailingStreak: 0, Log: [] };
  container.health = {
    stop: () => {
      abort.abort();
      clearTimeout(timer);
    },
  };

  const inStartPeriod = (): boolean => !passedOnce && (performance.now() - began) * 1e6 < startPeriod;
  const schedule = (): void => {
    if (abort.signal.aborted) return;
    const wait = (inStartPeriod() ? startInterval : interval) / 1e6;
    timer = setTimeout(() => void run(), Math.min(wait, LONGEST_MS));
  };
  const run = async (): Promise<void> => {
    // A frozen container cannot answer: it is asked again when it can.
    if (container.state.status !== 'running') return schedule();
    const starting = inStartPeriod();
    const start = formatTime(nowNano());
    const result = await probe(engine, container, { command, timeoutMs: timeout / 1e6, signal: abort.signal });
    if (abort.signal.aborted || container.task !== task) return;
    const before = container.state.health!;
    const entry: HealthLogEntry = { Start: start, End: formatTime(nowNano()), ExitCode: result.exitCode, Output: result.output };
    if (result.exitCode === 0) passedOnce = true;
    container.state.health = nextHealth(before, entry, { retries, starting });
    const status = container.state.health.Status;
    if (status !== before.Status) containerEvent(engine, container, `health_status: ${status}`);
    if (status === 'unhealthy' && before.Status !== 'unhealthy') engine.afterExit.unhealthy(container);
    schedule();
  };
  schedule();
}
