import { rm } from 'node:fs/promises';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { cgroupPath, stateDirectory } from '../container-paths.ts';

/** Network, cgroups and volatile files of the run that ended. Never rejects: failures are reported, and tried again by a removal. */
export async function releaseRun(engine: EngineContext, container: Container): Promise<void> {
  const { endpoint } = container.state;
  container.state.endpoint = undefined;
  const stateDir = stateDirectory(engine, container.id);
  const results = await Promise.allSettled([
    endpoint === undefined ? undefined : engine.network.release(endpoint),
    engine.tasks.cleanUp({ id: container.id, stateDir, cgroupPath: cgroupPath(engine, container) }),
  ]);
  results.push(...(await Promise.allSettled([rm(stateDir, { recursive: true, force: true })])));
  for (const result of results) if (result.status === 'rejected') engine.report(result.reason, `release what container ${container.name} used`);
}

/** `network connect` and `network disconnect`, as Docker tells them. */
export function networkEvent(engine: EngineContext, container: Container, action: 'connect' | 'disconnect'): void {
  const mode = container.doc.hostConfig.NetworkMode ?? 'bridge';
  if (mode.startsWith('container:')) return;
  const id = mode === 'bridge' ? engine.network.bridge.id : mode;
  const type = mode === 'none' ? 'null' : mode;
  engine.events.emit('network', action, { id, attributes: { container: container.id, name: mode, type } });
}
