import { constants } from 'node:os';
import type { ExitStatus, Task } from '#core/tasks/port.ts';
import { discardContainer } from './container-record.ts';
import type { RuntimeContext } from './context.ts';
import { createContainer, type CreateOptions, runPoststart } from './create-container.ts';
import { signalProcess } from './signal-process.ts';

const SIGKILL = 9;
/** Not to be passed on: they are ours, or cannot be. */
const NOT_FORWARDED = new Set(['SIGKILL', 'SIGSTOP', 'SIGCHLD', 'SIGCLD', 'SIGURG', 'SIGPIPE', 'SIGWINCH', 'SIGPROF', 'SIGIO', 'SIGPOLL', 'SIGSTKFLT']);

/** A container whose end is waited for. Signals to us go to its program. */
export async function runForeground(options: Omit<CreateOptions, 'mode'>, { keep }: { keep: boolean }, context: RuntimeContext): Promise<number> {
  let detach: (() => Promise<void>) | undefined;
  const created = await createContainer({ ...options, mode: 'foreground' }, context, async (task, { spec }) => {
    if (spec.process?.terminal === true && options.consoleSocket === undefined) detach = await attachTerminal(task);
  }).catch(async (error: unknown) => {
    await detach?.();
    throw error;
  });
  forwardSignals(created.record.init!);
  // The shim does the rest: processes, groups, hooks.
  const ended = async (): Promise<ExitStatus> => {
    const status = await created.task.exited;
    await detach?.();
    if (!keep) discardContainer(created.directory);
    return status;
  };
  await runPoststart(created, context, async () => {
    signalProcess(created.record.init!, SIGKILL);
    await ended();
  });
  return exitStatus(await ended());
}

export const exitStatus = (status: ExitStatus): number => status.code;

export function forwardSignals(init: { readonly pid: number; readonly startTime: number }): void {
  for (const [name, number] of Object.entries(constants.signals)) {
    if (NOT_FORWARDED.has(name)) continue;
    try {
      process.on(name as NodeJS.Signals, () => void signalProcess(init, number));
    } catch {
      // one that cannot be caught
    }
  }
}

async function attachTerminal(task: Task): Promise<() => Promise<void>> {
  const { attachTerminal: attach } = await import('./attach-terminal.ts');
  return attach(task);
}
