import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import type { Container } from '../container.ts';
import { saveState } from '../container-rows.ts';
import { countsAsRunning } from '../container-state.ts';
import { parseSignal } from '../create/signals.ts';
import { admitStart } from '../../policy/admit-image.ts';
import { launch } from './launch.ts';
import { cancelRestart, KILL_DEADLINE_MS, settleStart, SIGKILL, SIGTERM, stopProcess, thaw, waitForExit } from './stop-process.ts';

/** Signal, wait, SIGKILL. Throws not-modified when it does not run. `timeout` in seconds; negative: wait as long as it takes. */
export async function stopContainer(engine: EngineContext, container: Container, options: { signal?: string; timeout?: number }): Promise<void> {
  const signal = stopSignal(container, options.signal);
  await settleStart(container);
  if (!countsAsRunning(container.state.status)) throw new NaruError('not-modified', `container ${container.name} is already stopped`);
  container.state.manuallyStopped = true;
  await stopProcess(engine, container, { signal, timeout: options.timeout ?? container.doc.config.StopTimeout ?? 10 });
  if (!container.removed) saveState(engine.store.db, container);
  containerEvent(engine, container, 'stop');
}

/** Stop when it runs, then start: one mutation as far as `--rm` and the restart policy see it. */
export async function restartContainer(engine: EngineContext, container: Container, options: { signal?: string; timeout?: number }): Promise<void> {
  const signal = stopSignal(container, options.signal);
  await container.mutex.run('restart', async () => {
    const { status } = container.state;
    if (status === 'removing' || status === 'dead') throw new NaruError('conflict', 'container is marked for removal and cannot be started');
    admitStart(engine, container); // what may not start again goes on running
    if (countsAsRunning(status)) {
      container.stopRequested = true;
      await stopProcess(engine, container, { signal, timeout: options.timeout ?? container.doc.config.StopTimeout ?? 10 });
    }
    container.state.manuallyStopped = false;
    container.state.restartCount = 0;
    container.restartDelay = 0;
    await launch(engine, container);
  });
  containerEvent(engine, container, 'restart');
}

/** Throws conflict when it does not run, invalid for an unknown signal. */
export async function killContainer(engine: EngineContext, container: Container, signalText: string): Promise<void> {
  const signal = signalText === '' ? SIGKILL : parseSignal(signalText);
  await settleStart(container);
  const { task, state } = container;
  if (task === undefined && state.status === 'restarting') {
    cancelRestart(engine, container);
    return;
  }
  if (task === undefined || !countsAsRunning(state.status)) {
    throw new NaruError('conflict', `cannot kill container: ${container.name}: container ${container.id} is not running`);
  }
  // Docker's rule: what stops the container counts as a person's stop.
  const own = container.doc.config.StopSignal;
  if (signal === SIGKILL || !own || parseSignal(own) === signal) state.manuallyStopped = true;
  task.signal(signal);
  if (state.status === 'paused' && signal === SIGKILL) await thaw(engine, container);
  containerEvent(engine, container, 'kill', { signal: String(signal) });
  if (signal === SIGKILL) await waitForExit(engine, container, KILL_DEADLINE_MS).catch(() => undefined);
}

function stopSignal(container: Container, given: string | undefined): number {
  if (given !== undefined && given !== '') return parseSignal(given);
  return container.doc.config.StopSignal ? parseSignal(container.doc.config.StopSignal) : SIGTERM;
}
