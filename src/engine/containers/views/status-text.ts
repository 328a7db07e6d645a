import { humanDuration } from '../../time/durations.ts';
import { toMilliseconds, ZERO_TIME } from '../../time/timestamps.ts';
import type { ContainerStatus } from '#spec/engine-api.ts';
import type { Container } from '../container.ts';

/** What clients see: a start that is under way looks like what was before it. */
export function shownStatus({ state }: Container): ContainerStatus {
  if (state.status !== 'starting') return state.status;
  return state.startedAt === ZERO_TIME ? 'created' : 'exited';
}

/** The STATUS column of `ps`: `Up 5 minutes (healthy)`, `Exited (0) 2 hours ago`. */
export function statusText(container: Container, now: number = Date.now()): string {
  const { state } = container;
  const since = (time: string): string => humanDuration(Math.max(0, now - toMilliseconds(time)));
  switch (shownStatus(container)) {
    case 'running': {
      const health = state.health === undefined || state.health.Status === 'none' ? '' : ` (${state.health.Status === 'starting' ? 'health: starting' : state.health.Status})`;
      return `Up ${since(state.startedAt)}${health}`;
    }
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}
