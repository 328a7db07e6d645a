import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { launch } from './launch.ts';
import { nextDelay } from './restart-policy.ts';
import { stopContainer } from './stop-container.ts';
import { SIGKILL, SIGTERM, stopProcess } from './stop-process.ts';

/**
 * `kill` leaves what follows to the restart policy; `stop` is as if a person had stopped it; `restart` starts it again after the delay
 * of the restart policies, which doubles while it goes on being unhealthy soon after its start. Does nothing when the run ended meanwhile.
 */
export async function endUnhealthy(engine: EngineContext, container: Container, action: string): Promise<void> {
  const { task } = container;
  if (task === undefined) return;
  if (action === 'kill') {
    task.signal(SIGKILL);
    return;
  }
  if (action === 'stop') return stopContainer(engine, container, {});
  container.restartDelay = nextDelay(container.restartDelay, performance.now() - container.watchedSince);
  await new Promise((resolve) => setTimeout(resolve, container.restartDelay));
  await container.mutex.run('restart because it is unhealthy', async () => {
    if (container.task !== task || engine.closing.aborted) return;
    container.stopRequested = true;
    await stopProcess(engine, container, { signal: SIGTERM, timeout: container.doc.config.StopTimeout ?? 10 });
    container.state.restartCount++;
    await launch(engine, container);
  });
}
