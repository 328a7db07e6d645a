import { NaruError } from '#spec/errors.ts';
import type { Containers } from '#api/engine-port.ts';
import { archiveLock, getArchive, putArchive, statPath } from '../archive/archive-container.ts';
import { prepareAttach } from '../attach/attach-container.ts';
import type { EngineContext } from '../engine-context.ts';
import { containerEvent } from '../events/container-event.ts';
import { commitContainer } from '../images/commit-container.ts';
import { openLogStream } from '../logs/open-log-stream.ts';
import { topProcesses } from '../processes/top.ts';
import { cgroupPath } from './container-paths.ts';
import { createContainer } from './create/create-container.ts';
import { notRunning } from './life/not-running.ts';
import { pauseContainer, unpauseContainer } from './life/pause-container.ts';
import { removeLink } from './life/remove-link.ts';
import { removeContainer } from './life/remove-container.ts';
import { renameContainer } from './life/rename-container.ts';
import { startContainer } from './life/start-container.ts';
import { killContainer, restartContainer, stopContainer } from './life/stop-container.ts';
import { updateContainer } from './life/update-container.ts';
import { waitContainer } from './life/wait-container.ts';
import { planContainer } from './plan-container.ts';
import { pruneContainers } from './prune-containers.ts';
import { inspectContainer } from './views/inspect-container.ts';
import { listContainers } from './views/list-containers.ts';
import type { Container } from './container.ts';

/** The API's containers: each verb is a function in a file of its own; here they meet. */
export function createContainers(engine: EngineContext): Containers {
  const find = (name: string): Container => engine.containers.find(name);
  return {
    create: (name, request, platform) => createContainer(engine, name, request, platform),
    list: (options) => listContainers(engine, options),
    inspect: async (name, size) => inspectContainer(engine, find(name), size),
    start: async (name) => startContainer(engine, find(name)),
    stop: async (name, options) => stopContainer(engine, find(name), options),
    async restart(name, options) {
      const container = find(name);
      await restartContainer(engine, container, options).catch((error: unknown) => {
        // Docker tells no kinds of failure apart here.
        throw error instanceof NaruError ? new NaruError('internal', `Cannot restart container ${name}: ${error.message}`, { cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) }) : error;
      });
    },
    async kill(name, signal) {
      const container = engine.containers.tryFind(name);
      if (container === undefined) throw new NaruError('not-found', `cannot kill container: ${name}: No such container: ${name}`);
      await killContainer(engine, container, signal);
    },
    pause: async (name) => pauseContainer(engine, find(name)),
    unpause: async (name) => unpauseContainer(engine, find(name)),
    rename: async (name, to) => renameContainer(engine, find(name), to),
    update: async (name, change) => updateContainer(engine, find(name), change),
    async remove(name, { force, volumes, link }) {
      if (link) return removeLink(engine, name);
      await removeContainer(engine, find(name), { force, volumes, as: name });
    },
    wait: async (name, condition, signal) => waitContainer(find(name), condition, signal),
    async resize(name, rows, columns) {
      const container = find(name);
      const { task } = container;
      if (task === undefined && container.state.status !== 'created' && container.state.status !== 'starting') throw notRunning(container);
      container.terminal = { rows, columns };
      task?.resize(rows, columns);
      containerEvent(engine, container, 'resize', { height: String(rows), width: String(columns) });
    },
    async top(name, psArgs) {
      const container = find(name);
      if (container.state.status === 'restarting') throw new NaruError('conflict', `Container ${container.id} is restarting, wait until the container is running`);
      if (container.task === undefined) throw notRunning(container);
      const top = topProcesses(await engine.tasks.pids(cgroupPath(engine, container)), psArgs);
      containerEvent(engine, container, 'top');
      return top;
    },
    changes: async (name) => (await engine.store.snapshots.changes(find(name).id)).map(({ path, kind }) => ({ Path: path, Kind: kind })),
    stats: (name, options, signal) => engine.stats.samples(find(name), options, signal),
    async logs(name, options, signal) {
      const container = find(name);
      return { tty: container.doc.config.Tty === true, stream: openLogStream(engine, container, options, signal) };
    },
    attachPrepare: async (name, options) => prepareAttach(engine, find(name), options),
    async export(name) {
      const container = find(name);
      const stream = engine.store.snapshots.exportTar(container.id);
      containerEvent(engine, container, 'export');
      return stream;
    },
    statPath: async (name, path) => statPath(engine, find(name), path),
    getArchive: async (name, path) => getArchive(engine, find(name), path),
    putArchive: async (name, path, archive, { noOverwriteDirNonDir }) => {
      const container = find(name);
      await archiveLock(container, () => putArchive(engine, container, path, { archive, noOverwriteDirNonDir }));
    },
    prune: (filters) => pruneContainers(engine, filters),
    commit: async (name, options) => commitContainer(engine, find(name), options),
    plan: (name, request) => planContainer(engine, name, request),
  };
}
