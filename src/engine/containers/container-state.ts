import { NaruError } from '#spec/errors.ts';
import type { ContainerStatus } from '#spec/engine-api.ts';

/**
 * The life of a container. A transition happens in memory, and on disk in the order that makes a kill -9 harmless:
 *
 *   | event    | written before the effect                       | what a restart of the daemon does with a half of it       |
 *   | -------- | ----------------------------------------------- | ---------------------------------------------------------- |
 *   | create   | row, volumes and snapshot, one transaction      | nothing was told yet: the row is there or it is not         |
 *   | start    | status `starting`, the run's number, the endpoint | asks the task driver: running, exited, or never came to be |
 *   | started  | nothing: the shim knows pid and time            | learns both from the shim                                   |
 *   | exit     | nothing: the shim's exit record came first      | reads the record `exit.<run>` and writes the row            |
 *   | remove   | status `removing`                               | removes again (each part is idempotent), then the row       |
 *
 * `starting` is internal: clients see what was before.
 */
export type Status = ContainerStatus | 'starting';

export type StateEvent = 'start' | 'started' | 'start-failed' | 'start-failed-first' | 'pause' | 'unpause' | 'exit' | 'await-restart' | 'give-up-restart' | 'remove' | 'remove-failed' | 'lost';

const TABLE: Record<Status, Partial<Record<StateEvent, Status>>> = {
  created: { start: 'starting', remove: 'removing' },
  starting: { started: 'running', 'start-failed': 'exited', 'start-failed-first': 'created', exit: 'exited', 'await-restart': 'restarting', lost: 'exited', remove: 'removing' },
  running: { pause: 'paused', exit: 'exited', 'await-restart': 'restarting', lost: 'exited', remove: 'removing' },
  paused: { unpause: 'running', exit: 'exited', 'await-restart': 'restarting', lost: 'exited', remove: 'removing' },
  restarting: { start: 'starting', 'give-up-restart': 'exited', remove: 'removing' },
  exited: { start: 'starting', 'await-restart': 'restarting', remove: 'removing' },
  removing: { 'remove-failed': 'dead', remove: 'removing' },
  dead: { remove: 'removing' },
};

/** The status after `event`. Throws internal for what the table does not allow: the verbs check first, in Docker's words. */
export function transition(from: Status, event: StateEvent): Status {
  const to = TABLE[from][event];
  if (to === undefined) throw new NaruError('internal', `a container that is ${from} cannot ${event}`);
  return to;
}

/** Has it a process, or will it have one again without anybody asking (Docker counts both as running)? */
export const countsAsRunning = (status: Status): boolean => status === 'running' || status === 'paused' || status === 'restarting';
