import type { WaitResponse } from '#spec/engine-api.ts';
import { countsAsRunning } from '../container-state.ts';
import type { Container } from '../container.ts';
import { waitResponse } from '../describe-exit.ts';

/** Registers at once; `done` resolves with the status. A container that does not run answers `not-running` immediately. */
export function waitContainer(container: Container, condition: 'not-running' | 'next-exit' | 'removed', signal: AbortSignal): { done: Promise<WaitResponse> } {
  const { status } = container.state;
  if (condition === 'not-running' && !countsAsRunning(status) && status !== 'starting') return { done: Promise.resolve(waitResponse(container)) };
  if (condition === 'removed' && status === 'dead') return { done: Promise.resolve(waitResponse(container)) };
  const done = container.waiters.register(condition === 'removed' ? 'removed' : 'exit', signal);
  // The caller may look at it late: an abort before that must not count as unhandled.
  done.catch(() => undefined);
  return { done };
}
