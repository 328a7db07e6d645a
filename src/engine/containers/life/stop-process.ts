import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import type { Container } from '../container.ts';
import { cgroupPath } from '../container-paths.ts';
import { saveState } from '../container-rows.ts';

export const SIGKILL = 9;
export const SIGTERM = 15;
/** After SIGKILL the kernel needs this long at most, in milliseconds (a process in a hung file system needs for ever). */
export const KILL_DEADLINE_MS = 30_000;
const THAW_AFTER_MS = 500;

/** For a removal by force: nothing runs, and no policy brings it back, when this resolves. Throws unavailable after the deadline. */
export async function killAndWait(engine: EngineContext, container: Container, deadline: number): Promise<void> {
  await settleStart(container);
  container.state.manuallyStopped = true;
  if (container.state.status === 'restarting') cancelRestart(engine, container);
  const { task } = container;
  if (task === undefined) return;
  task.signal(SIGKILL);
  if (container.state.status === 'paused') await thaw(engine, container);
  containerEvent(engine, container, 'kill', { signal: String(SIGKILL) });
  await waitForExit(engine, container, deadline);
}

/** A start that is under way ends first, one way or the other. */
export async function settleStart(container: Container): Promise<void> {
  if (container.state.status === 'starting') await container.mutex.run('wait for the start', () => undefined);
}

export async function stopProcess(engine: EngineContext, container: Container, { signal, timeout }: { signal: number; timeout: number }): Promise<void> {
  const { task } = container;
  if (task === undefined) {
    cancelRestart(engine, container);
    return;
  }
  if (task.signal(signal)) containerEvent(engine, container, 'kill', { signal: String(signal) });
  if (container.state.status === 'paused') await thaw(engine, container);
  if (timeout !== 0 && (await exited(container, timeout < 0 ? undefined : timeout * 1000))) return;
  if (container.task !== task) return;
  if (signal !== SIGKILL || timeout !== 0) {
    task.signal(SIGKILL);
    containerEvent(engine, container, 'kill', { signal: String(SIGKILL) });
  }
  await waitForExit(engine, container, KILL_DEADLINE_MS);
}

/** Takes back a restart that the policy has scheduled. */
export function cancelRestart(engine: EngineContext, container: Container): void {
  container.restartTimer?.cancel();
  container.restartTimer = undefined;
  if (container.state.status !== 'restarting') return;
  container.state.manuallyStopped = true;
  container.apply('give-up-restart');
  saveState(engine.store.db, container);
}

export async function thaw(engine: EngineContext, container: Container): Promise<void> {
  await engine.tasks.freeze(cgroupPath(engine, container), false);
  if (container.state.status === 'paused') container.apply('unpause');
}

/** True when the task of now ended in time. `milliseconds` undefined: no limit. */
async function exited(container: Container, milliseconds: number | undefined): Promise<boolean> {
  const { task } = container;
  if (task === undefined) return true;
  const abort = new AbortController();
  const timer = milliseconds === undefined ? undefined : setTimeout(() => abort.abort(), milliseconds);
  try {
    await container.waiters.register('exit', abort.signal);
    return true;
  } catch {
    return container.task !== task;
  } finally {
    clearTimeout(timer);
  }
}

/** After SIGKILL. Somebody else may have frozen its cgroup, and what is frozen does not die. Throws unavailable after the deadline. */
export async function waitForExit(engine: EngineContext, container: Container, milliseconds: number): Promise<void> {
  if (await exited(container, Math.min(milliseconds, THAW_AFTER_MS))) return;
  await thaw(engine, container).catch((error: unknown) => engine.report(error, `thaw container ${container.name}`));
  if (await exited(container, milliseconds)) return;
  throw new NaruError('unavailable', `container ${container.name}: the process did not end within ${milliseconds / 1000}s of SIGKILL`, {
    hint: 'it is probably stuck in the kernel, on a device or a network file system',
  });
}
