import type { EngineContext } from '../../engine-context.ts';
import type { ExitStatus } from '#core/tasks/port.ts';
import { containerEvent } from '../../events/container-event.ts';
import { formatTime, toMilliseconds } from '../../time/timestamps.ts';
import type { Container } from '../container.ts';
import { saveState } from '../container-rows.ts';
import { waitResponse } from '../describe-exit.ts';
import { networkEvents, releaseRun } from './release-run.ts';
import { nextDelay, wantsRestart } from './restart-policy.ts';

/**
 * A container's process ended. All that others can see happens here at once, in one turn of the event loop: state, row, event, those
 * who wait. What the run left behind is released behind it; a start or a removal waits for that. Takes no mutex: whoever holds it may
 * be waiting for this very exit.
 */
export function handleExit(engine: EngineContext, container: Container, status: ExitStatus): void {
  const { state, doc } = container;
  const began = container.task === undefined ? toMilliseconds(state.startedAt) : Number(container.task.startedAt / 1_000_000n);
  const ranFor = Number(status.at / 1_000_000n) - began;
  // The clock may have been set since the start: for the delays that is no long run.
  const watched = container.task === undefined ? ranFor : performance.now() - container.watchedSince;
  container.task = undefined;
  container.health?.stop();
  container.health = undefined;
  engine.execs.containerExited(container.id);
  state.pid = 0;
  state.exitCode = status.code;
  state.oomKilled = status.oomKills > 0;
  state.finishedAt = formatTime(status.at);

  const again = !container.stopRequested && !engine.closing.aborted &&
    wantsRestart(doc.hostConfig.RestartPolicy, { exitCode: status.code, restarts: state.restartCount, stopped: state.manuallyStopped });
  const gone = !again && doc.hostConfig.AutoRemove === true && !container.stopRequested;
  container.apply(again ? 'await-restart' : 'exit');
  if (again) {
    state.restartCount++;
    container.restartDelay = nextDelay(container.restartDelay, watched);
  }
  container.cleaning = releaseRun(engine, container);
  if (!gone) saveExit(engine, container);
  containerEvent(engine, container, 'die', { exitCode: String(status.code), execDuration: String(Math.max(0, Math.floor(ranFor / 1000))) });
  networkEvents(engine, container, 'disconnect');
  container.waiters.exited(waitResponse(container));
  if (again) engine.afterExit.scheduleRestart(container);
  if (gone) engine.afterExit.remove(container);
}

/** How long until a disk that took nothing is asked again. */
const AGAIN_MS = 1000;

/** A full or broken disk keeps nobody from hearing of the exit: the row is written when the disk takes it. */
function saveExit(engine: EngineContext, container: Container): void {
  const { run } = container.state;
  try {
    saveState(engine.store.db, container);
  } catch (error) {
    engine.report(error, `record the exit of container ${container.name}`);
    const timer = setTimeout(() => {
      // Whatever came after it is written with what came before.
      if (!container.removed && container.state.run === run && container.task === undefined && !engine.closing.aborted) saveExit(engine, container);
    }, AGAIN_MS);
    timer.unref();
  }
}
