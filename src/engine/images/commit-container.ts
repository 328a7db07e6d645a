import type { ContainerConfig } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import type { EngineContext } from '../engine-context.ts';
import { containerEvent } from '../events/container-event.ts';
import { formatTime, nowNano } from '../time/timestamps.ts';
import { architecture } from '../system/version.ts';
import type { Container } from '../containers/container.ts';
import { cgroupPath } from '../containers/container-paths.ts';
import { mergeImageConfig } from '../containers/create/merge-image-config.ts';
import { applyChanges } from './parse-changes.ts';

export interface CommitOptions {
  readonly repo: string; readonly tag: string; readonly comment: string; readonly author: string; readonly pause: boolean;
  readonly changes: readonly string[]; readonly config?: ContainerConfig;
}

/** What belongs to one container and not to an image. */
const OWN = ['Hostname', 'Domainname', 'AttachStdin', 'AttachStdout', 'AttachStderr', 'Tty', 'OpenStdin', 'StdinOnce', 'MacAddress', 'NetworkDisabled', 'Image', 'StopTimeout'] as const;

/** A new image of the container's image and what the container changed. Frozen meanwhile, when it runs and `pause` is set. */
export async function commitContainer(engine: EngineContext, container: Container, options: CommitOptions): Promise<{ Id: string }> {
  const { store, tasks } = engine;
  const { doc } = container;
  const config = applyChanges(options.config === undefined ? { ...doc.config } : mergeImageConfig(options.config, doc.config), options.changes);
  for (const key of OWN) delete config[key];
  const base = doc.imageId === '' ? undefined : store.images.get(doc.imageId as Digest);
  const created = formatTime(nowNano());
  const image: ImageConfig = {
    created, architecture: base?.config.architecture ?? architecture(), os: 'linux', config,
    ...(base?.config.variant === undefined ? {} : { variant: base.config.variant }),
    ...(options.author === '' ? {} : { author: options.author }), ...(options.comment === '' ? {} : { comment: options.comment }),
    rootfs: { type: 'layers', diff_ids: base?.config.rootfs.diff_ids ?? [] },
    history: [
      ...(base?.config.history ?? []),
      { created, created_by: [doc.path, ...doc.args].join(' '), ...(options.author === '' ? {} : { author: options.author }), ...(options.comment === '' ? {} : { comment: options.comment }) },
    ],
  };
  const reference = options.repo === '' ? undefined : `${options.repo}:${options.tag || 'latest'}`;
  const record = await container.mutex.run('commit', async () => {
    const freeze = options.pause && container.state.status === 'running';
    if (freeze) await tasks.freeze(cgroupPath(engine, container), true);
    try {
      return await store.images.commit({ snapshot: container.id, base: base?.id, config: image, ...(reference === undefined ? {} : { reference }) });
    } finally {
      if (freeze) await tasks.freeze(cgroupPath(engine, container), false);
    }
  });
  containerEvent(engine, container, 'commit', { comment: options.comment, imageID: record.id, imageRef: reference ?? '' });
  return { Id: record.id };
}
