import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { ImageConfig } from '#spec/oci-image.ts';
import { tarOf, type TarHeaderFields } from '../archive/tar-writer.ts';
import { digestOf } from '../content/digest.ts';
import type { DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import type { ImageRecord, ImageStore } from '../store.ts';
import { openImageTable } from './image-table.ts';
import { publishImages } from './publish-images.ts';
import { parseTag } from './reference.ts';
import { stageLayer } from './stage-layer.ts';

export type Images = ImageStore & { lowersOf(image: Digest): readonly string[] };

export function openImages(context: { db: Database; root: DataRoot; self: readonly string[] | undefined }): Images {
  const { db, root } = context;
  const table = openImageTable(db, root);
  const todo = (): never => {
    throw new NaruError('unsupported', 'not built yet');
  };
  return {
    ...table,
    load: todo, save: todo, import: todo, commit: todo,

    async builtin(reference, files, config) {
      const tag = parseTag(reference);
      const tar = tarOf(membersOf(files));
      const document: ImageConfig = {
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', os: 'linux', created: '1970-01-01T00:00:00Z', ...(config === undefined ? {} : { config }),
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
        history: [{ created: '1970-01-01T00:00:00Z', created_by: 'naru builtin' }],
      };
      const bytes = Buffer.from(JSON.stringify(document));
      const known = table.get(digestOf(bytes));
      if (known?.tags.includes(tag)) return known;
      const incoming = root.newIncoming();
      try {
        const layer = await stageLayer(once(tar), { incoming, name: '0' });
        // Not synced: it is made again when it is missing or damaged.
        const [image] = publishImages([{ config: bytes, tags: [tag] }], { db, root, staged: new Map([[layer.diffId, layer]]), durable: false });
        for (const old of image!.replaced) table.forget(old);
        table.forget(image!.id);
        return table.get(image!.id) as ImageRecord;
      } finally {
        await root.discard(incoming);
      }
    },
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

/** Files with all their parent directories, sorted. */
function membersOf(files: readonly { path: string; mode: number; data: Uint8Array }[]): (TarHeaderFields & { data?: Uint8Array })[] {
  const members = new Map<string, TarHeaderFields & { data?: Uint8Array }>();
  for (const { path, mode, data } of files) {
    const parts = path.split('/').filter((part) => part !== '');
    for (let i = 1; i < parts.length; i++) {
      const name = parts.slice(0, i).join('/');
      members.set(name, { name, type: 'directory', mode: 0o755 });
    }
    const name = parts.join('/');
    members.set(name, { name, type: 'file', mode, data });
  }
  return [...members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
