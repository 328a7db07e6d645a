import type { ExecConfig } from '#spec/engine-api.ts';
import type { PreparedTask, Task } from '#core/tasks/port.ts';

/** One `docker exec`. */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  state: 'created' | 'starting' | 'running' | 'exited';
  exitCode: number | null;
  pid: number;
  task: (PreparedTask | Task) | undefined;
  terminal: { rows: number; columns: number } | undefined;
}
