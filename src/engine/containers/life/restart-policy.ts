import type { HostConfig } from '#spec/engine-api.ts';
import type { Container } from '../container.ts';

export const FIRST_DELAY_MS = 100;
export const LONGEST_DELAY_MS = 60_000;
/** A run of this length counts as healthy: the delays begin anew. */
export const HEALTHY_RUN_MS = 10_000;

/** Will the policy start it again after this exit? `stopped`: by a person. */
export function wantsRestart(policy: HostConfig['RestartPolicy'], { exitCode, restarts, stopped }: { exitCode: number; restarts: number; stopped: boolean }): boolean {
  if (stopped) return false;
  switch (policy?.Name) {
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure':
      return exitCode !== 0 && (!policy.MaximumRetryCount || restarts < policy.MaximumRetryCount);
    default:
      return false;
  }
}

/** When the daemon starts: `always` comes back even when a person had stopped it, as with Docker. */
export function wantsStartAtBoot(container: Container): boolean {
  const { state, doc } = container;
  const policy = doc.hostConfig.RestartPolicy;
  if (state.run === 0) return false;
  if (policy?.Name === 'always') return true;
  return wantsRestart(policy, { exitCode: state.exitCode, restarts: state.restartCount, stopped: state.manuallyStopped });
}

/** The next delay, in milliseconds: doubles from 100 ms to a minute. */
export function nextDelay(previous: number, ranFor: number): number {
  if (ranFor >= HEALTHY_RUN_MS || previous === 0) return FIRST_DELAY_MS;
  return Math.min(previous * 2, LONGEST_DELAY_MS);
}
