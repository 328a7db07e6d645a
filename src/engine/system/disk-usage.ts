import type { ContainerSummary, DiskUsage, ImageSummary, Volume } from '#spec/engine-api.ts';
import type { EngineContext } from '../engine-context.ts';
import { listContainers } from '../containers/views/list-containers.ts';
import { listImages } from '../images/list-images.ts';
import { volumeSize, volumeView } from '../volumes/volumes.ts';

/** `docker system df`. `types` empty: all of them. */
export async function diskUsage(engine: EngineContext, types: readonly string[]): Promise<DiskUsage> {
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const [containers, images, volumes] = await Promise.all([
    wants('container') ? listContainers(engine, { all: true, limit: -1, size: true, filters: new Map() }) : ([] as ContainerSummary[]),
    wants('image') ? listImages(engine, { all: false, filters: new Map(), sharedSize: true, digests: false, manifests: false }) : ([] as ImageSummary[]),
    wants('volume') ? volumesWithUsage(engine) : ([] as Volume[]),
  ]);
  return { LayersSize: wants('image') ? engine.store.images.layersSize() : 0, Images: images, Containers: containers, Volumes: volumes, BuildCache: [] };
}

const volumesWithUsage = (engine: EngineContext): Promise<Volume[]> =>
  Promise.all(engine.volumes.all().map(async (record) => ({
    ...volumeView(engine, record), UsageData: { Size: await volumeSize(engine, record), RefCount: engine.volumes.users(record.name).length },
  })));
