import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { removeContainer } from './remove-container.ts';
import { endUnhealthy } from './end-unhealthy.ts';
import { startByPolicy } from './start-container.ts';

/** What follows an exit without anybody asking. Apart from handle-exit, which every start needs, so that the two know nothing of each
 *  other. Nobody waits for these: failures are reported. */
export interface AfterExit {
  /** After the container's own delay. */
  scheduleRestart(container: Container): void;
  /** `--rm`. */
  remove(container: Container): void;
  /** What the container's health check asks for when it says unhealthy (`--health-on-failure`). */
  unhealthy(container: Container): void;
}

/** `engine` is looked at only when something is to be done. */
export function createAfterExit(engine: () => EngineContext): AfterExit {
  return {
    scheduleRestart(container) {
      const timer = setTimeout(() => {
        container.restartTimer = undefined;
        void startByPolicy(engine(), container).catch((error: unknown) => engine().report(error, `restart container ${container.name} by its policy`));
      }, container.restartDelay);
      container.restartTimer = { cancel: () => clearTimeout(timer) };
    },
    unhealthy(container) {
      const action = container.doc.hostConfig['naru.HealthOnFailure'] ?? 'none';
      if (action === 'none') return;
      void endUnhealthy(engine(), container, action).catch((error: unknown) => engine().report(error, `${action} container ${container.name}, which is unhealthy`));
    },
    remove(container) {
      void removeContainer(engine(), container, { force: false, volumes: true, automatic: true })
        .catch((error: unknown) => engine().report(error, `remove container ${container.name} after its end`));
    },
  };
}
