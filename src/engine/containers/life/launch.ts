import { mkdirSync, rmSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { PreparedTask, Task } from '#core/tasks/port.ts';
import type { AttachmentRequest, EndpointRecord, NetworkRecord, SandboxRequest } from '#net/port.ts';
import type { EndpointSettings } from '#spec/engine-api.ts';
import { monotonicNow } from '#sys/monotonic.ts';
import { span } from '#sys/trace.ts';
import { closeQuietly } from '#sys/descriptors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { hasResolver, tellResolver } from '../../networks/container-dns.ts';
import { containerEvent } from '../../events/container-event.ts';
import { formatTime, nowNano, ZERO_TIME } from '../../time/timestamps.ts';
import type { Container } from '../container.ts';
import { containerDirectory, exitFile, stateDirectory } from '../container-paths.ts';
import { saveState } from '../container-rows.ts';
import { networkNamesOf } from '../network-names.ts';
import { checkEndpoint } from '../create/endpoints.ts';
import { portRequests } from '../create/ports.ts';
import { startHealthMonitor } from '../health/health-monitor.ts';
import { buildTaskRequest } from '../to-spec/build-task-request.ts';
import { admitStart } from '../../policy/admit-image.ts';
import { updateLinkedHosts } from '../to-spec/links.ts';
import { useVolumes } from '../../volumes/use-volumes.ts';
import { sourcesOf } from '../../volumes/volume-source.ts';
import { handleExit } from './handle-exit.ts';
import { networkEvents, releaseRun } from './release-run.ts';
import { nextDelay, wantsRestart } from './restart-policy.ts';

/**
 * Start, under the mutex. In order: what an earlier run used is released; the network's address and ports are reserved; the row says
 * `starting` (from here on a daemon that dies asks the task driver); the spec is made; ports are published, so that the program never
 * runs unreachable; the program starts.
 */
export async function launch(engine: EngineContext, container: Container): Promise<void> {
  const { state } = container;
  container.chain.start = monotonicNow();
  await container.cleaning;
  const first = state.startedAt === ZERO_TIME;
  container.apply('start');
  state.run++;
  state.endpoints = [];
  state.error = '';
  state.exitCode = 0;
  state.oomKilled = false;
  container.stopRequested = false;
  let prepared: PreparedTask | undefined;
  let resolves = false;
  try {
    admitStart(engine, container);
    const endpoints = span('net', 'reserve', () => reserveEndpoints(engine, container));
    state.endpoints = endpoints;
    span('engine', 'write state', () => saveState(engine.store.db, container));
    makeDirectories(engine, container);
    const reachable = engine.answers.of(sourcesOf(engine, container.doc.mounts));
    if (reachable !== undefined) await reachable;
    const task = await useVolumes(engine, container, async (servers) => {
      const request = await span('engine', 'make spec', () => buildTaskRequest(engine, container, endpoints, { dry: false, servers }));
      if (endpoints.some(({ ports }) => ports.length > 0)) await span('net', 'publish', () => engine.network.publish(endpoints));
      const waiting = container.pendingAttaches.splice(0);
      if (waiting.length > 0) {
        prepared = engine.tasks.prepare(request);
        const to = prepared;
        await Promise.all(waiting.map((attach) => attach.attach(to)));
      }
      resolves = hasResolver(engine, container, endpoints);
      if (resolves) engine.dns.makeReady();
      return container.task = await span('runtime', 'start', () => engine.tasks.start(request, prepared));
    });
    state.startedAt = formatTime(task.startedAt);
    state.finishedAt = first ? ZERO_TIME : state.finishedAt;
    container.apply('started');
    networkEvents(engine, container, 'connect');
    containerEvent(engine, container, 'start');
    watchTask(engine, container, task);
    if (resolves) tellResolver(engine, container);
    startHealthMonitor(engine, container);
    updateLinkedHosts(engine, container);
  } catch (error) {
    prepared?.abandon();
    await failStart(engine, container, { error, first });
    throw error;
  }
}

/** From now on this task is the container's. */
export function watchTask(engine: EngineContext, container: Container, task: Task): void {
  container.task = task;
  container.watchedSince = performance.now();
  container.state.pid = task.pid;
  task.onOom(() => containerEvent(engine, container, 'oom'));
  const { terminal } = container;
  if (terminal !== undefined && container.doc.config.Tty === true) task.resize(terminal.rows, terminal.columns);
  void task.exited.then(
    (status) => {
      if (container.task === task) handleExit(engine, container, status);
    },
    (error: unknown) => {
      engine.report(error, `follow container ${container.name}`);
      if (container.task === task) {
        container.state.error = 'the shim was lost: the exit code is unknown';
        handleExit(engine, container, { code: 137, signal: 9, oomKills: 0, at: nowNano() });
      }
    },
  );
}

async function failStart(engine: EngineContext, container: Container, { error, first }: { error: unknown; first: boolean }): Promise<void> {
  const { state, doc } = container;
  state.error = (error as Error).message;
  state.exitCode = error instanceof NaruError && error.exitCode !== undefined ? error.exitCode : 128;
  state.pid = 0;
  for (const attach of container.pendingAttaches.splice(0)) closeQuietly(attach.fd);
  const again = state.restartCount > 0 && !container.stopRequested &&
    wantsRestart(doc.hostConfig.RestartPolicy, { exitCode: state.exitCode, restarts: state.restartCount, stopped: state.manuallyStopped });
  container.apply(again ? 'await-restart' : first ? 'start-failed-first' : 'start-failed');
  container.cleaning = releaseRun(engine, container);
  await container.cleaning;
  if (!first) state.finishedAt = formatTime(nowNano());
  saveState(engine.store.db, container);
  containerEvent(engine, container, 'die', { exitCode: String(state.exitCode), execDuration: '0' });
  if (again) {
    state.restartCount++;
    container.restartDelay = nextDelay(container.restartDelay, 0);
    engine.afterExit.scheduleRestart(container);
  } else if (doc.hostConfig.AutoRemove === true) {
    // The removal waits for the mutex that we hold.
    engine.afterExit.remove(container);
  } else {
    // Whoever asked for the start is told why; to those who only wait, clients would tell it a second time.
    container.waiters.exited({ StatusCode: state.exitCode });
  }
}

/** Its endpoints on bridge, macvlan and ipvlan networks, in order. Throws conflict for a port that is taken, not-found for a network that is gone. */
export function reserveEndpoints(engine: EngineContext, container: Container): EndpointRecord[] {
  const networks = networkNamesOf(container).flatMap((name) => {
    const record = engine.networks.ofContainer(container, name);
    if (record.driver === 'host' || record.driver === 'null') return [];
    if (!container.doc.endpoints[name]?.NetworkID) checkEndpoint(record, container.doc.endpoints[name] ?? {}); // it was not there when the container was made
    return [attachmentRequest(record, container.doc.endpoints[name])];
  });
  if (networks.length === 0) return [];
  return engine.network.reserve({ containerId: container.id, containerName: container.name, networks, ports: portsOf(container) });
}

export function portsOf({ doc }: Container): SandboxRequest['ports'] {
  const { hostConfig, config } = doc;
  return portRequests(hostConfig.PortBindings, Object.keys(config.ExposedPorts ?? {}), hostConfig.PublishAllPorts === true);
}

export function attachmentRequest(record: NetworkRecord, settings: EndpointSettings | undefined): AttachmentRequest {
  return {
    networkId: record.id, ...(settings?.MacAddress ? { mac: settings.MacAddress } : {}), priority: settings?.GwPriority ?? 0,
    ipv4: settings?.IPAMConfig?.IPv4Address ?? '', ipv6: settings?.IPAMConfig?.IPv6Address ?? '',
    linkLocal: settings?.IPAMConfig?.LinkLocalIPs ?? [],
  };
}

function makeDirectories(engine: EngineContext, container: Container): void {
  mkdirSync(stateDirectory(engine, container.id), { recursive: true, mode: 0o700 });
  const { hostConfig } = container.doc;
  if (hostConfig.AutoRemove === true && hostConfig.LogConfig?.Type === 'none') return;
  // Not on the first run alone: that one may have failed before it came here.
  mkdirSync(containerDirectory(engine, container.id), { recursive: true, mode: 0o710 });
  // The run before has been recorded in the row long ago.
  if (container.state.run > 1) rmSync(exitFile(engine, container, container.state.run - 1), { force: true });
}
