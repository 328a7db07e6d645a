import type { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import { digestOf } from '../content/digest.ts';
import type { DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import type { Job, JobResult } from '../jobs/job.ts';
import { runStagingJob, saveArchive, type SelfCommand } from '../jobs/start-job.ts';
import type { ImageRecord, ImageStore, LoadEvent } from '../store.ts';
import { builtinImage } from './builtin-image.ts';
import { openImageTable, type ImageTable } from './image-table.ts';
import { publishImages, type StagedImage, type StagedLayer } from './publish-images.ts';
import { parseTag } from './reference.ts';
import { planSave } from './save-archive.ts';

export type Images = ImageStore & Pick<ImageTable, 'lowersOf' | 'forget'>;

export interface ImagesContext {
  readonly db: Database;
  readonly root: DataRoot;
  readonly self: SelfCommand;
  /** What a snapshot holds: the upper directory over an image, or the whole tree when there is none below. */
  readonly snapshotContent: (id: string) => { upper: string } | { tree: () => Readable };
}

export function openImages(context: ImagesContext): Images {
  const { db, root, self } = context;
  const table = openImageTable(db, root);

  function publish(images: readonly StagedImage[], layers: readonly StagedLayer[], durable = true): ReturnType<typeof publishImages> {
    const published = publishImages(images, { db, root, staged: new Map(layers.map((layer) => [layer.diffId, layer])), durable });
    for (const { id, replaced } of published) for (const changed of [id, ...replaced]) table.forget(changed);
    return published;
  }

  /** One layer out of a job, made into an image by `configOf`. */
  async function oneLayer(job: (incoming: string) => Job, source: { input?: Readable; signal?: AbortSignal; reference: string | undefined; configOf: (diffId: Digest) => ImageConfig }): Promise<ImageRecord> {
    const tags = source.reference === undefined ? [] : [parseTag(source.reference)];
    const incoming = root.newIncoming();
    try {
      const [layer] = (await lastOf(runStagingJob(self, job(incoming), source))).layers;
      const config = Buffer.from(JSON.stringify(source.configOf(layer!.diffId)));
      const [image] = publish([{ config, tags }], [layer!]);
      return table.get(image!.id) as ImageRecord;
    } finally {
      await root.discard(incoming);
    }
  }

  return {
    ...table,
    reclaimed: root.reclaimed,

    async *load(archive, signal, { platform } = {}): AsyncGenerator<LoadEvent, void, undefined> {
      const incoming = root.newIncoming();
      try {
        const job = runStagingJob(self, { kind: 'load', incoming, ...(platform === undefined ? {} : { platform }) }, { input: archive, signal });
        let step = await job.next();
        try {
          for (; step.done !== true; step = await job.next()) {
            const { name, done, total, complete } = step.value;
            yield { kind: 'layer', id: name, done, total, complete };
          }
        } finally {
          if (step.done !== true) await job.return(undefined as never);
        }
        const { images, layers } = step.value;
        const published = publish(images.map(({ config, tags }) => ({ config: Buffer.from(config, 'base64'), tags })), layers);
        for (const { id, tags } of published) {
          if (tags.length === 0) yield { kind: 'image', id, tag: undefined };
          for (const tag of tags) yield { kind: 'image', id, tag };
        }
      } finally {
        await root.discard(incoming);
      }
    },

    save: (selection) => saveArchive(self, { kind: 'save', archive: planSave(selection, { db, root }) }),

    import: (archive, { config, comment, platform, reference }, signal) => oneLayer((incoming) => ({ kind: 'layer', incoming }), {
      input: archive, signal, reference,
      configOf(diffId) {
        const created = new Date().toISOString();
        return {
          ...platform, created, comment, ...(config === undefined ? {} : { config }),
          rootfs: { type: 'layers', diff_ids: [diffId] }, history: [{ created, comment }],
        };
      },
    }),

    commit({ snapshot, base, config, reference }) {
      const content = context.snapshotContent(snapshot);
      const below = base === undefined ? undefined : table.get(base);
      if (base !== undefined && below === undefined) throw new NaruError('not-found', `No such image: ${base}`);
      const configOf = (diffId: Digest): ImageConfig => committedConfig(config, { below, diffId });
      return 'upper' in content
        ? oneLayer((incoming) => ({ kind: 'commit', incoming, upper: content.upper }), { reference, configOf })
        : oneLayer((incoming) => ({ kind: 'layer', incoming }), { input: content.tree(), reference, configOf });
    },

    async builtin(reference, files, config) {
      const tag = parseTag(reference);
      const image = builtinImage(files, config);
      const known = table.get(digestOf(image.config));
      if (known?.tags.includes(tag) === true) return known;
      const incoming = root.newIncoming();
      try {
        // Not synced: it is made again when it is missing.
        const [published] = publish([{ config: image.config, tags: [tag] }], [await image.stage(incoming)], false);
        return table.get(published!.id) as ImageRecord;
      } finally {
        await root.discard(incoming);
      }
    },
  };
}

async function lastOf(job: AsyncGenerator<unknown, JobResult, undefined>): Promise<JobResult> {
  for (;;) {
    const step = await job.next();
    if (step.done === true) return step.value;
  }
}

/** The caller's config with the layers that the image really has, and a history entry for each of them. */
function committedConfig(config: ImageConfig, { below, diffId }: { below: ImageRecord | undefined; diffId: Digest }): ImageConfig {
  const diffIds = [...(below?.config.rootfs.diff_ids ?? []), diffId];
  const history = [...(config.history ?? [])];
  const named = history.filter((entry) => entry.empty_layer !== true).length;
  // The caller's history may lack the new layer's entry.
  for (let missing = Math.min(1, diffIds.length - named); missing > 0; missing--) history.push({ created: config.created ?? new Date().toISOString() });
  return { ...config, rootfs: { type: 'layers', diff_ids: diffIds }, history };
}
