import { rmSync } from 'node:fs';
import type { EndpointRecord } from '#net/port.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { networkNamesOf } from '../network-names.ts';
import { cgroupPath, stateDirectory } from '../container-paths.ts';

/**
 * Network, cgroups and volatile files of the run that ended. Those who wait for the exit are answered first; what anybody asks after
 * such an answer is read after the addresses and ports are free again. Never rejects: failures are reported, and tried again by a removal.
 */
export function releaseRun(engine: EngineContext, container: Container): Promise<void> {
  const { endpoints } = container.state;
  container.state.endpoints = [];
  return new Promise((resolve) => setImmediate(() => resolve(release(engine, container, endpoints))));
}

async function release(engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[]): Promise<void> {
  engine.dns.removeContainer(container.id);
  const stateDir = stateDirectory(engine, container.id);
  const results = await Promise.allSettled([
    engine.network.release(endpoints),
    engine.tasks.cleanUp({ id: container.id, stateDir, cgroupPath: cgroupPath(engine, container) }),
  ]);
  const report = (reason: unknown): void => engine.report(reason, `release what container ${container.name} used`);
  for (const result of results) if (result.status === 'rejected') report(result.reason);
  try {
    rmSync(stateDir, { recursive: true, force: true }); // a few small files of ours
  } catch (error) {
    report(error);
  }
}

/** `network connect` and `network disconnect` of every network that it is on, as Docker tells them. */
export function networkEvents(engine: EngineContext, container: Container, action: 'connect' | 'disconnect'): void {
  for (const name of networkNamesOf(container)) networkEvent(engine, { container: container.id, name }, action);
}

export function networkEvent(engine: EngineContext, { container, name }: { container: string; name: string }, action: 'connect' | 'disconnect'): void {
  const network = engine.networks.tryFind(name);
  engine.events.emit('network', action, { id: network?.id ?? name, attributes: { container, name, type: network?.driver ?? 'bridge' } });
}
