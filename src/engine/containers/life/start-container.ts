import { NaruError } from '#spec/errors.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { launch } from './launch.ts';

/** A person's start. Throws not-modified when it runs, conflict when its state forbids it, and what the start itself throws. */
export function startContainer(engine: EngineContext, container: Container): Promise<void> {
  return container.mutex.run('start', async () => {
    const { status } = container.state;
    if (status === 'running' || status === 'restarting') throw new NaruError('not-modified', `container ${container.name} is already running`);
    if (status === 'paused') throw new NaruError('conflict', 'cannot start a paused container, try unpause instead');
    if (status === 'removing' || status === 'dead') throw new NaruError('conflict', 'container is marked for removal and cannot be started');
    container.state.manuallyStopped = false;
    container.state.restartCount = 0;
    container.restartDelay = 0;
    await launch(engine, container);
  });
}

/** The restart policy's start. Does nothing when a person stopped or removed the container meanwhile. */
export function startByPolicy(engine: EngineContext, container: Container): Promise<void> {
  return container.mutex.run('restart by policy', async () => {
    if (container.state.status !== 'restarting' || engine.closing.aborted) return;
    await launch(engine, container);
  });
}
