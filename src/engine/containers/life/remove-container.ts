import { rmSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly } from '#sys/descriptors.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import type { Container } from '../container.ts';
import { containerDirectory, stateDirectory } from '../container-paths.ts';
import { deleteContainer, saveState } from '../container-rows.ts';
import { waitResponse } from '../describe-exit.ts';
import { KILL_DEADLINE_MS, killAndWait } from './stop-process.ts';

export interface RemoveOptions {
  readonly force: boolean;
  /** Its anonymous volumes too. */
  readonly volumes: boolean;
  /** What the user calls it; default: its name. */
  readonly as?: string;
  /** By `--rm`: not again when somebody else is at it. */
  readonly automatic?: boolean;
}

/** Removes it with everything that is its own. Throws conflict when it runs and `force` is not set. */
export async function removeContainer(engine: EngineContext, container: Container, options: RemoveOptions): Promise<void> {
  if (container.removed) return;
  if (options.automatic !== true && container.state.status === 'removing' && container.mutex.held) {
    throw new NaruError('conflict', `removal of container ${container.name} is already in progress`);
  }
  // A container that is being started by its policy, or waits for it, is stopped without the mutex.
  if (options.force) await killAndWait(engine, container, KILL_DEADLINE_MS);
  await container.mutex.run('remove', async () => {
    if (container.removed) return;
    if (options.force) {
      // A restart that was under way may have started it once more; from here on nobody else can.
      container.stopRequested = true;
      await killAndWait(engine, container, KILL_DEADLINE_MS);
    }
    checkRemovable(container, options.as ?? container.name);
    await remove(engine, container, options);
  });
}

function checkRemovable({ name, state }: Container, as: string): void {
  const refuse = (why: string): NaruError => new NaruError('conflict', `cannot remove container ${JSON.stringify(as)}: ${why}`, { hint: `naru rm -f ${name} stops and removes it` });
  if (state.status === 'paused') throw refuse('container is paused and must be unpaused first');
  if (state.status === 'restarting') throw refuse('container is restarting: stop the container before removing or force remove');
  if (state.status === 'running' || state.status === 'starting') throw refuse('container is running: stop the container before removing or force remove');
}

/**
 * The run's remains first (cgroups: nobody would look for them without the row), then row and snapshots in one transaction, then files:
 * those without a row are swept at the next start. Volumes that go along need the row until they are gone: it says `removing`.
 */
async function remove(engine: EngineContext, container: Container, options: RemoveOptions): Promise<void> {
  const { store } = engine;
  const { doc, id } = container;
  container.restartTimer?.cancel();
  container.apply('remove');
  const volumes = options.volumes ? doc.mounts.filter(({ name, anonymous }) => name !== undefined && anonymous === true).map(({ name }) => name!) : [];
  if (volumes.length > 0) {
    container.state.removeVolumes = true;
    saveState(store.db, container, { durable: false, makesRoom: true });
  }
  try {
    for (const attach of container.pendingAttaches.splice(0)) closeQuietly(attach.fd);
    engine.execs.forgetContainer(id);
    await container.cleaning;
    // An earlier failure of a start is not this removal's.
    const response = { StatusCode: container.state.exitCode };
    const discarded: Promise<void>[] = [];
    const snapshots = [id, ...imageSnapshots(container)];
    if (volumes.length > 0) {
      store.db.transaction(() => store.db.sql('DELETE FROM container_volumes WHERE container = ?').run(id), { durable: true, makesRoom: true });
      await removeVolumes(engine, volumes);
    }
    store.db.transaction(() => {
      deleteContainer(store.db, id, { durable: false });
      for (const snapshot of snapshots) discarded.push(store.snapshots.remove(snapshot));
    }, { durable: doc.hostConfig.AutoRemove !== true, makesRoom: true });
    container.removed = true;
    engine.containers.delete(container);
    if (container.state.run > 0) discarded.push(store.discard(containerDirectory(engine, id)), removeState(stateDirectory(engine, id)));
    for (const result of await Promise.allSettled(discarded)) if (result.status === 'rejected') engine.report(result.reason, `remove files of container ${container.name}`);
    containerEvent(engine, container, 'destroy');
    container.waiters.removed(response);
  } catch (error) {
    if (!container.removed) {
      container.state.error = `removal failed: ${(error as Error).message}`;
      container.apply('remove-failed');
      saveState(store.db, container);
      container.waiters.removed(waitResponse(container));
    }
    throw error;
  }
}

/** A few small files on a tmpfs; mostly the run's release took them already. */
async function removeState(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
}

/** Read-only snapshots of images that are mounted as volumes (`--mount type=image`). */
export const imageSnapshots = ({ id, doc }: Container): string[] =>
  doc.mounts.flatMap((mount, index) => (mount.type === 'image' ? [`${id}.image${index}`] : []));

async function removeVolumes(engine: EngineContext, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const volume = engine.volumes.get(name);
    if (volume === undefined || !volume.anonymous || engine.volumes.users(name).length > 0) continue;
    await engine.volumes.remove(name);
    engine.events.emit('volume', 'destroy', { id: name, attributes: { driver: 'local' } });
  }
}
