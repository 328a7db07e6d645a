import type { StatsSample } from '#spec/engine-api.ts';
import type { TaskDriver } from '#core/tasks/port.ts';
import type { NetworkService } from '#net/port.ts';
import { formatTime, nowNano } from '../time/timestamps.ts';
import type { Container } from '../containers/container.ts';
import { hostCpu } from './host-facts.ts';
import { emptySample, toSample, type Reading } from './to-sample.ts';

export const INTERVAL_MS = 1000;

export interface StatsSamplers {
  /** Samples while `signal` is not aborted. `stream` false: one. `oneShot`: at once, without a reading before it. */
  samples(container: Container, options: { stream: boolean; oneShot: boolean }, signal: AbortSignal): AsyncIterable<StatsSample>;
}

interface Sampler {
  readonly listeners: Set<(sample: StatsSample | undefined) => void>;
  timer: ReturnType<typeof setInterval>;
  before: Reading | undefined;
}

export interface SamplerParts {
  readonly tasks: Pick<TaskDriver, 'stats'>;
  readonly network: Pick<NetworkService, 'counters'>;
  readonly cgroupPath: (container: Container) => string;
}

/** One sampler per watched container, however many watch it; it ends with the last of them. */
export function createStatsSamplers(parts: SamplerParts): StatsSamplers {
  const samplers = new Map<string, Sampler>();

  /** undefined: it does not run. */
  async function take(container: Container): Promise<Reading | undefined> {
    const { task } = container;
    if (task === undefined) return undefined;
    const [cgroup, networks] = await Promise.all([
      parts.tasks.stats(parts.cgroupPath(container)),
      container.doc.hostConfig.NetworkMode === 'host' ? {} : parts.network.counters(task.pid).catch(() => ({})),
    ]);
    if (cgroup === undefined || container.task !== task) return undefined;
    return { read: formatTime(nowNano()), cgroup, system: hostCpu(), networks };
  }

  function watch(container: Container, listener: (sample: StatsSample | undefined) => void): () => void {
    let sampler = samplers.get(container.id);
    if (sampler === undefined) {
      const own: Sampler = { listeners: new Set(), before: undefined, timer: setInterval(() => void tick(), INTERVAL_MS) };
      let busy = false;
      const tick = async (): Promise<void> => {
        if (busy) return;
        busy = true;
        try {
          const reading = container.removed ? undefined : await take(container).catch(() => undefined);
          const sample = reading === undefined ? undefined : toSample(container, reading, own.before);
          const first = own.before === undefined && reading !== undefined;
          own.before = reading;
          // The very first reading has nothing to be compared with: it is kept for the next.
          if (!first) for (const tell of [...own.listeners]) tell(sample);
        } finally {
          busy = false;
        }
      };
      samplers.set(container.id, (sampler = own));
      void tick();
    }
    const entry = sampler;
    entry.listeners.add(listener);
    return () => {
      entry.listeners.delete(listener);
      if (entry.listeners.size > 0) return;
      clearInterval(entry.timer);
      samplers.delete(container.id);
    };
  }

  return {
    async *samples(container, { stream, oneShot }, signal) {
      if (oneShot || (!stream && container.task === undefined)) {
        const reading = await take(container);
        yield reading === undefined ? emptySample(container) : toSample(container, reading, undefined);
        return;
      }
      // Only the latest is kept for a consumer that is slower than the clock.
      let latest: StatsSample | undefined;
      let wake: (() => void) | undefined;
      const stop = watch(container, (sample) => {
        latest = sample ?? emptySample(container);
        wake?.();
      });
      const abort = (): void => wake?.();
      signal.addEventListener('abort', abort);
      try {
        while (!signal.aborted) {
          if (latest === undefined) await new Promise<void>((resolve) => (wake = resolve));
          if (signal.aborted || latest === undefined) continue;
          const sample: StatsSample = latest;
          latest = undefined;
          yield sample;
          if (!stream || container.removed) return;
        }
      } finally {
        signal.removeEventListener('abort', abort);
        stop();
      }
    },
  };
}
