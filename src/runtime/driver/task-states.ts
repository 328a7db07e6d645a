/**
 * The life of a task on the driver's side.
 *
 *   prepared ─spawn→ starting ─started→ running ─exited→ exited
 *                      └─created→ created ─started→ running        (OCI create: between the two it waits for START)
 *      │                 └─failed/lost→ failed    └─lost→ exited (killed, the shim is gone)
 *      ├─abandon→ abandoned
 *      └─ahead→ waiting ─start→ starting       (an exec that was made before it was asked for)
 *                 └─failed/lost/abandon→ abandoned
 */
export type TaskState = 'prepared' | 'waiting' | 'starting' | 'created' | 'running' | 'exited' | 'failed' | 'abandoned';
export type TaskEvent = 'spawn' | 'ahead' | 'start' | 'created' | 'started' | 'failed' | 'exited' | 'lost' | 'abandon';

const TRANSITIONS: Readonly<Record<TaskState, Partial<Record<TaskEvent, TaskState>>>> = {
  prepared: { spawn: 'starting', ahead: 'waiting', abandon: 'abandoned', lost: 'abandoned' },
  waiting: { start: 'starting', failed: 'abandoned', lost: 'abandoned', abandon: 'abandoned' },
  starting: { created: 'created', started: 'running', failed: 'failed', lost: 'failed' },
  created: { started: 'running', failed: 'failed', lost: 'failed', exited: 'exited' },
  running: { exited: 'exited', lost: 'exited' },
  exited: {},
  failed: {},
  abandoned: {},
};

/** The next state; undefined when the event means nothing in this state (a late message). */
export const transition = (state: TaskState, event: TaskEvent): TaskState | undefined => TRANSITIONS[state][event];
