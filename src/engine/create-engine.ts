import { mkdirSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '#api/engine-port.ts';
import { cgroupPath } from './containers/container-paths.ts';
import { ContainerSet } from './containers/container-set.ts';
import { createContainers } from './containers/containers.ts';
import { createAfterExit } from './containers/life/after-exit.ts';
import { recoverContainers } from './containers/life/recover-containers.ts';
import { makeInitLayer } from './containers/to-spec/init-layer.ts';
import type { EngineContext, EngineOptions } from './engine-context.ts';
import { DEFAULT_SETTINGS } from './engine-settings.ts';
import { openEventJournal } from './events/event-journal.ts';
import { ExecSet } from './execs/exec-set.ts';
import { createExecs } from './execs/execs.ts';
import { createImages } from './images/images.ts';
import { createNetworks } from './networks/networks.ts';
import { createWatermark } from './images/watermark.ts';
import { openImagePolicy } from './policy/image-policy.ts';
import { createRegistries } from './registry/registry.ts';
import { createStatsSamplers } from './stats/stats-samplers.ts';
import { engineFacts, rebooted } from './system/engine-facts.ts';
import { createRemoteAnswers } from './system/remote-answers.ts';
import { createSystem } from './system/system.ts';
import { openNetworkTable } from './networks/network-table.ts';
import { openVolumeTable } from './volumes/volume-table.ts';
import { createVolumes } from './volumes/volumes.ts';

/** Which repositories need whose signatures, when there is such a file. */
const DEFAULT_IMAGE_POLICY = '/etc/naru/image-policy.json';

/**
 * The engine over its parts. Every container of the rows is brought back before this resolves (what runs is watched again, what ended
 * meanwhile is recorded); restart policies begin then. `close` lets go of everything and leaves containers running.
 */
export async function createEngine(options: EngineOptions): Promise<Engine & { /** The settings changed. */ reloaded(): void; close(): Promise<void> }> {
  const { dataRoot, stateRoot, store, tasks, network } = options;
  for (const directory of [join(dataRoot, 'containers'), join(stateRoot, 'c')]) mkdirSync(directory, { recursive: true, mode: 0o710 });
  const closing = new AbortController();
  const context: EngineContext = {
    ...options,
    settings: options.settings ?? (() => DEFAULT_SETTINGS),
    cgroupParent: options.cgroupParent ?? 'naru',
    report: (error, doing) => options.log?.warn(`${doing}: ${error instanceof Error ? error.message : String(error)}`),
    initLayer: makeInitLayer(dataRoot),
    containers: new ContainerSet(),
    execs: new ExecSet(),
    events: openEventJournal(join(dataRoot, 'events')),
    volumes: openVolumeTable(store.db, join(dataRoot, 'volumes')),
    networks: openNetworkTable(store.db, { bridge: network.bridge, facts: engineFacts(store.db) }),
    stats: createStatsSamplers({ tasks, network, cgroupPath: (container) => cgroupPath(context, container) }),
    afterExit: createAfterExit(() => context),
    watermark: createWatermark(() => context, options.imageMarks),
    answers: createRemoteAnswers(options.self),
    policy: openImagePolicy(options.imagePolicy ?? DEFAULT_IMAGE_POLICY),
    closing: closing.signal,
  };
  const facts = engineFacts(store.db);
  await recoverContainers(context, { rebooted: rebooted(store.db) });
  sweepDirectories(context);
  return {
    containers: createContainers(context),
    exec: createExecs(context),
    images: createImages(context),
    volumes: createVolumes(context),
    networks: createNetworks(context),
    system: createSystem(context, facts.id),
    registries: createRegistries(context),
    reloaded: () => context.events.emit('daemon', 'reload', { id: facts.id, attributes: { name: hostname(), labels: JSON.stringify(context.settings().labels), debug: String(context.settings().debug) } }),
    async close() {
      closing.abort();
      context.watermark.close();
      for (const container of context.containers.all()) {
        container.restartTimer?.cancel();
        container.health?.stop();
        await container.cleaning;
      }
      context.events.close();
    },
  };
}

/** Directories of containers that are no more: a removal was cut short after the row was gone. */
function sweepDirectories(engine: EngineContext): void {
  const { dataRoot, stateRoot, containers } = engine;
  const short = new Set(containers.all().map((container) => container.id.slice(0, 24)));
  const stale = [
    ...readdirSync(join(dataRoot, 'containers')).filter((id) => containers.get(id) === undefined).map((id) => join(dataRoot, 'containers', id)),
    ...readdirSync(join(stateRoot, 'c')).filter((id) => !short.has(id)).map((id) => join(stateRoot, 'c', id)),
  ];
  for (const path of stale) void rm(path, { recursive: true, force: true }).catch((error: unknown) => engine.report(error, `sweep ${path}`));
}
