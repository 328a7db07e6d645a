import type { ImageHistoryItem, ImageInspect } from '#spec/engine-api.ts';
import type { ImageRecord } from '#core/store.ts';
import type { Referrer } from '#spec/naru-api.ts';
import type { EngineContext } from '../engine-context.ts';
import { toMilliseconds } from '../time/timestamps.ts';
import { descriptorOf, manifestsOf } from './image-platforms.ts';
import { keptReferrers } from './image-signatures.ts';
import { formatTime } from '../time/timestamps.ts';

export function inspectImage(engine: EngineContext, image: ImageRecord, { manifests }: { manifests: boolean }): ImageInspect {
  const descriptor = descriptorOf(engine, image);
  const { config } = image;
  return {
    Id: image.id, RepoTags: [...image.tags], RepoDigests: [...image.digests], Parent: config.parent ?? '', Comment: config.comment ?? config.history?.at(-1)?.comment ?? '',
    ...(config.created === undefined ? {} : { Created: config.created }), DockerVersion: config.docker_version ?? '', Author: config.author ?? '',
    Config: config.config ?? {}, Architecture: config.architecture, ...(config.variant === undefined ? {} : { Variant: config.variant }), Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }), Size: image.size,
    GraphDriver: { Name: 'overlay2', Data: null }, RootFS: { Type: 'layers', Layers: [...config.rootfs.diff_ids] },
    ...(descriptor === undefined ? {} : { Descriptor: descriptor }), ...(manifests ? { Manifests: manifestsOf(engine, image) } : {}), ...referrersOf(engine, image),
    Metadata: { LastTagTime: image.lastTagged === 0n ? '0001-01-01T00:00:00Z' : formatTime(image.lastTagged) },
  };
}

/** `naru.Referrers`, when anything is kept about the image. */
function referrersOf(engine: EngineContext, image: ImageRecord): { 'naru.Referrers'?: Referrer[] } {
  const referrers = keptReferrers(engine, image.id);
  return referrers.length === 0 ? {} : { 'naru.Referrers': referrers };
}

/** Newest first; only the newest step has the image's id and names. */
export function imageHistory({ store }: EngineContext, image: ImageRecord): ImageHistoryItem[] {
  const steps = store.images.history(image.id);
  return steps.map((step, i) => ({
    Id: i === 0 ? image.id : '<missing>', Created: step.created === '' ? 0 : Math.floor(toMilliseconds(step.created) / 1000), CreatedBy: step.createdBy,
    Tags: i === 0 && image.tags.length > 0 ? [...image.tags] : null, Size: step.size, Comment: step.comment,
  }));
}
