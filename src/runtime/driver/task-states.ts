/**
 * The life of a task on the driver's side.
 *
 *   prepared ─spawn→ starting ─started→ running ─exited→ exited
 *      │                 └─failed/lost→ failed    └─lost→ exited (killed, the shim is gone)
 *      └─abandon→ abandoned
 */
export type TaskState = 'prepared' | 'starting' | 'running' | 'exited' | 'failed' | 'abandoned';
export type TaskEvent = 'spawn' | 'started' | 'failed' | 'exited' | 'lost' | 'abandon';

const TRANSITIONS: Readonly<Record<TaskState, Partial<Record<TaskEvent, TaskState>>>> = {
  prepared: { spawn: 'starting', abandon: 'abandoned', lost: 'abandoned' },
  starting: { started: 'running', failed: 'failed', lost: 'failed' },
  running: { exited: 'exited', lost: 'exited' },
  exited: {},
  failed: {},
  abandoned: {},
};

/** The next state; undefined when the event means nothing in this state (a late message). */
export const transition = (state: TaskState, event: TaskEvent): TaskState | undefined => TRANSITIONS[state][event];
