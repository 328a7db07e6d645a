import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import type { Container } from '../container.ts';
import { cgroupPath } from '../container-paths.ts';
import { saveState } from '../container-rows.ts';
import { notRunning } from './not-running.ts';

/** Freezes every process of it. Throws conflict in Docker's words. */
export function pauseContainer(engine: EngineContext, container: Container): Promise<void> {
  return container.mutex.run('pause', async () => {
    const { status } = container.state;
    if (status === 'paused') throw new NaruError('conflict', `Container ${container.id} is already paused`);
    if (status === 'restarting') throw new NaruError('conflict', `Container ${container.id} is restarting, wait until the container is running`);
    if (status !== 'running') throw notRunning(container);
    await engine.tasks.freeze(cgroupPath(engine, container), true);
    if (container.task === undefined) throw notRunning(container);
    container.apply('pause');
    saveState(engine.store.db, container);
    containerEvent(engine, container, 'pause');
  });
}

export function unpauseContainer(engine: EngineContext, container: Container): Promise<void> {
  return container.mutex.run('unpause', async () => {
    if (container.state.status !== 'paused') throw new NaruError('conflict', `Container ${container.id} is not paused`);
    await engine.tasks.freeze(cgroupPath(engine, container), false);
    if (container.state.status === 'paused') container.apply('unpause');
    saveState(engine.store.db, container);
    containerEvent(engine, container, 'unpause');
  });
}
