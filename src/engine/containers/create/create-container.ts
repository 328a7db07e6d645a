import { NaruError } from '#spec/errors.ts';
import { monotonicNow } from '#sys/monotonic.ts';
import { span } from '#sys/trace.ts';
import type { ContainerCreateRequest, ContainerCreateResponse } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { EngineContext } from '../../engine-context.ts';
import { containerEvent } from '../../events/container-event.ts';
import { checkVolumeOptions } from '../../volumes/volume-source.ts';
import { newVolume, type VolumeRecord } from '../../volumes/volume-table.ts';
import { Container, newRunState } from '../container.ts';
import { checkName, newContainerId, randomName } from '../container-names.ts';
import { deleteContainer, insertContainer, saveState } from '../container-rows.ts';
import { designContainer, pathsLookedAt, type Design } from './design-container.ts';
import { populateVolumes, volumesToPopulate } from './populate-volumes.ts';

/**
 * Checks the request, then makes everything in one transaction: row, volumes, snapshot. Volumes are filled from the image after it;
 * until that is done the row says `creating`, and a daemon that finds it so at its start removes the container again.
 */
export async function createContainer(engine: EngineContext, name: string | undefined, request: ContainerCreateRequest, platform: string | undefined): Promise<ContainerCreateResponse & { tellsChain?: boolean }> {
  const began = monotonicNow();
  const id = newContainerId();
  const chosen = name === undefined || name === '' ? undefined : checkName(name);
  const reachable = engine.answers.of(pathsLookedAt(request));
  if (reachable !== undefined) await reachable;
  const design = span('engine', 'validate', () => designContainer(engine, request, { id, platform }));
  const finalName = chosen ?? randomName((candidate) => engine.containers.nameTaken(candidate));
  engine.containers.reserveName(finalName, id);
  const container = new Container({ id, name: finalName, imageId: design.doc.imageId, doc: design.doc, state: newRunState() });
  const made: string[] = [];
  try {
    const volumes = newVolumes(engine, design, container);
    span('engine', 'write container', () => write(engine, container, { design, volumes, made }));
    engine.containers.add(container);
    for (const volume of volumes) engine.events.emit('volume', 'create', { id: volume.name, attributes: { driver: 'local' } });
    if (container.state.creating === true) await populate(engine, container, made);
  } catch (error) {
    engine.containers.releaseName(finalName, id);
    throw error;
  }
  containerEvent(engine, container, 'create');
  container.chain.create = { start: began, end: monotonicNow() };
  return { Id: id, Warnings: design.warnings, ...(container.tellsChain ? { tellsChain: true } : {}) };
}

/** The volumes that must be made. Throws for options that the driver does not know. */
function newVolumes(engine: EngineContext, design: Design, container: Container): VolumeRecord[] {
  const records: VolumeRecord[] = [];
  for (const mount of container.doc.mounts) {
    if (mount.type !== 'volume' || mount.name === undefined || engine.volumes.get(mount.name) !== undefined) continue;
    if (records.some((record) => record.name === mount.name)) continue;
    const given = design.volumeOptions.get(mount.name);
    const options = given?.DriverConfig?.Options ?? {};
    checkVolumeOptions(mount.name, options);
    const labels = { ...given?.Labels, ...(mount.anonymous === true ? { 'com.docker.volume.anonymous': '' } : {}) };
    records.push(newVolume(mount.name, { labels, options, anonymous: mount.anonymous === true }));
  }
  return records;
}

function write(engine: EngineContext, container: Container, { design, volumes, made }: { design: Design; volumes: readonly VolumeRecord[]; made: string[] }): void {
  const { store } = engine;
  const durable = design.doc.hostConfig.AutoRemove !== true;
  const rootfs = design.doc.hostConfig['naru.Rootfs'];
  try {
    store.db.transaction(() => {
      for (const volume of volumes) {
        made.push(volume.name);
        engine.volumes.insert(volume);
      }
      store.snapshots.create(container.id, rootfs === undefined ? { image: design.doc.imageId as Digest } : { directory: rootfs }, { durable });
      if (container.doc.mounts.length > 0 && volumesToPopulate(engine, container).length > 0) container.state.creating = true;
      insertContainer(store.db, container);
    }, { durable: durable || volumes.some((volume) => !volume.anonymous) });
  } catch (error) {
    for (const volume of made) engine.volumes.forget(volume);
    // Its row went with the transaction, its directories did not.
    void store.snapshots.remove(container.id).catch((failure: unknown) => engine.report(failure, `take back the file system of ${container.name}`));
    throw error;
  }
}

async function populate(engine: EngineContext, container: Container, made: readonly string[]): Promise<void> {
  try {
    await populateVolumes(engine, container, volumesToPopulate(engine, container));
    delete container.state.creating;
    saveState(engine.store.db, container, { durable: container.doc.hostConfig.AutoRemove !== true });
  } catch (cause) {
    await undoCreate(engine, container, made);
    if (cause instanceof NaruError) throw cause;
    throw new NaruError('internal', `cannot fill a volume of container ${container.name} from its image: ${(cause as Error).message}`, { cause });
  }
}

/** Takes back a container that was only half made. `volumes`: those made for it. */
export async function undoCreate(engine: EngineContext, container: Container, volumes: readonly string[]): Promise<void> {
  deleteContainer(engine.store.db, container.id, { durable: true });
  engine.containers.delete(container);
  await engine.store.snapshots.remove(container.id);
  for (const volume of volumes) if (engine.volumes.users(volume).length === 0) await engine.volumes.remove(volume);
}
