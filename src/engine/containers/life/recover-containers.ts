import { existsSync } from 'node:fs';
import { makeRoomForDescriptors } from '#sys/descriptors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { formatTime, nowNano, ZERO_TIME } from '../../time/timestamps.ts';
import { tellResolver } from '../../networks/container-dns.ts';
import { startHealthMonitor } from '../health/health-monitor.ts';
import { Container } from '../container.ts';
import { cgroupPath, exitFile, stateDirectory } from '../container-paths.ts';
import { loadContainers, saveState } from '../container-rows.ts';
import type { Status } from '../container-state.ts';
import { undoCreate } from '../create/create-container.ts';
import { wantsStartAtBoot } from './restart-policy.ts';
import { watchTask } from './launch.ts';
import { handleExit } from './handle-exit.ts';
import { releaseRun } from './release-run.ts';
import { removeContainer } from './remove-container.ts';
import { startByPolicy } from './start-container.ts';

/** Docker's exit code of a container that a reboot ended. */
const LOST_BY_REBOOT = 255;
/** How many starts by policy run at a time when the daemon comes up. */
const PARALLEL_STARTS = 8;

const MAY_RUN: ReadonlySet<Status> = new Set<Status>(['starting', 'running', 'paused']);

/**
 * Brings every container of the rows back to what the world says: see the table in container-state.ts. Runs before the API answers;
 * starts by restart policy begin here but are not waited for.
 */
export async function recoverContainers(engine: EngineContext, options: { rebooted: boolean }): Promise<void> {
  const mayRun: Container[] = [];
  for (const row of loadContainers(engine.store.db)) {
    const container = new Container(row);
    engine.containers.add(container);
    if (options.rebooted) findUnrecordedRun(engine, container);
    if (MAY_RUN.has(container.state.status)) mayRun.push(container);
  }
  // A connection to the shim, the process, and its ports
  makeRoomForDescriptors(mayRun.reduce((sum, { state }) => sum + 2 + state.endpoints.reduce((ports, each) => ports + each.ports.length, 0), 0));
  await Promise.all(mayRun.map((container) => recover(engine, container, options)));
  const endpoints = mayRun.filter(({ task, state }) => task !== undefined && state.endpoints.length > 0).map(({ state }) => state.endpoints);
  await engine.network.reconcile(engine.networks.userDefined(), endpoints);
  for (const container of mayRun) if (container.task !== undefined) tellResolver(engine, container);
  engine.dns.settle();
  finishHalfDone(engine);
  void startByPolicies(engine);
}

/** A power cut took the row back to before a start (which is not synced), but the exit record of that run is there (which is). */
function findUnrecordedRun(engine: EngineContext, container: Container): void {
  const { state } = container;
  if (!['created', 'exited'].includes(state.status) || !existsSync(exitFile(engine, container, state.run + 1))) return;
  state.run++;
  container.apply('start');
}

/** Running again, or its exit recorded. */
async function recover(engine: EngineContext, container: Container, { rebooted }: { rebooted: boolean }): Promise<void> {
  const { state, id } = container;
  const was = state.status;
  try {
    const found = await engine.tasks.recover({ id, stateDir: stateDirectory(engine, id), exitFile: exitFile(engine, container), cgroupPath: cgroupPath(engine, container) });
    if (found !== undefined && 'task' in found) {
      if (was === 'starting') container.apply('started');
      // A commit, a pause, an unpause may have been cut short: the row decides.
      await engine.tasks.freeze(cgroupPath(engine, container), was === 'paused').catch((error: unknown) => engine.report(error, `freeze or thaw container ${container.name}`));
      state.startedAt = was === 'starting' || state.pid !== found.task.pid ? formatTime(found.task.startedAt) : state.startedAt;
      watchTask(engine, container, found.task);
      startHealthMonitor(engine, container);
      return;
    }
    if (found !== undefined) {
      // Policies are applied below, for all.
      settle(engine, container, { code: found.exited.code, at: found.exited.at, oomKills: found.exited.oomKills, error: '' });
      return;
    }
  } catch (error) {
    engine.report(error, `recover container ${container.name}`);
  }
  // A row says `starting` as long as it runs: over a reboot it cannot tell the two apart, and its policy brings it back either way.
  if (rebooted) return settle(engine, container, { code: LOST_BY_REBOOT, at: nowNano(), oomKills: 0, error: 'the machine went down while it ran' });
  if (was === 'starting') return neverStarted(engine, container);
  settle(engine, container, { code: 137, at: nowNano(), oomKills: 0, error: 'the daemon lost it: its shim is gone and left no exit record' });
}

/** The daemon died before the program ran: as if the start had failed. */
function neverStarted(engine: EngineContext, container: Container): void {
  const { state } = container;
  container.apply(state.startedAt === ZERO_TIME ? 'start-failed-first' : 'start-failed');
  state.error = 'the daemon died while it was being started';
  state.exitCode = 128;
  container.cleaning = releaseRun(engine, container);
  saveState(engine.store.db, container);
}

function settle(engine: EngineContext, container: Container, { code, at, oomKills, error }: { code: number; at: bigint; oomKills: number; error: string }): void {
  const { state } = container;
  if (state.startedAt === ZERO_TIME) state.startedAt = formatTime(at);
  state.error = error;
  // As if it had ended now, but the policies wait until everything is known.
  container.stopRequested = true;
  handleExit(engine, container, { code, signal: 0, oomKills, at });
  container.stopRequested = false;
}

/** Removals and creates that were cut short, `--rm` that was not done. Not waited for: their names and networks are free already. */
function finishHalfDone(engine: EngineContext): void {
  for (const container of engine.containers.all()) {
    const { status, creating } = container.state;
    let work: Promise<unknown> | undefined;
    if (creating === true) work = undoCreate(engine, container, container.doc.mounts.flatMap((mount) => (mount.name !== undefined && mount.anonymous === true ? [mount.name] : [])));
    else if (status === 'removing') work = removeContainer(engine, container, { force: false, volumes: container.state.removeVolumes === true || container.doc.hostConfig.AutoRemove === true, automatic: true });
    else if ((status === 'exited' || (status === 'created' && container.state.run > 0)) && container.doc.hostConfig.AutoRemove === true) work = removeContainer(engine, container, { force: false, volumes: true, automatic: true });
    work?.catch((error: unknown) => engine.report(error, `finish what was half done with container ${container.name}`));
  }
}

async function startByPolicies(engine: EngineContext): Promise<void> {
  const queue = engine.containers.all().filter(({ state, doc }) => {
    if (state.status === 'restarting') return true;
    const policy = doc.hostConfig.RestartPolicy?.Name ?? 'no';
    return state.status === 'exited' && policy !== 'no' && policy !== '';
  }).filter((container) => container.state.status === 'restarting' || wantsStartAtBoot(container));
  for (const container of queue) if (container.state.status === 'exited') container.apply('await-restart');
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined && !engine.closing.aborted; next = queue.shift()) {
      const container = next;
      await startByPolicy(engine, container).catch((error: unknown) => {
        engine.report(error, `start container ${container.name} by its restart policy`);
        if (container.state.status === 'restarting' && container.restartTimer === undefined) {
          container.apply('give-up-restart');
          saveState(engine.store.db, container);
        }
      });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_STARTS }, worker));
}
