import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { padding } from '../archive/tar-entry.ts';
import { TAR_END, tarHeader } from '../archive/tar-writer.ts';
import { digester, digestOf, hexOf } from '../content/digest.ts';
import { readBlob, type DataRoot } from '../data-root.ts';
import type { Database } from '../db/database.ts';
import type { SavePlan } from '../jobs/job.ts';
import { layerTar } from '../layers/write-layer-tar.ts';
import { blobPath } from './archive-contents.ts';
import { parseReference } from './reference.ts';

type Member = SavePlan['members'][number];

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json', CONFIG = 'application/vnd.oci.image.config.v1+json',
  LAYER = 'application/vnd.oci.image.layer.v1.tar', INDEX = 'application/vnd.oci.image.index.v1+json';

/**
 * What an archive of these images holds, as Docker ≥ 25 writes it: an OCI layout (`index.json`, `oci-layout`, `blobs/`) with a
 * `manifest.json` that makes it a docker-archive. Layers are uncompressed, so that their digest is the diffId. The same images
 * give the same bytes always: members sorted, times zero. Throws not-found.
 */
export function planSave(selection: readonly { id: Digest; tags: readonly string[] }[], { db, root }: { db: Database; root: DataRoot }): SavePlan {
  const blobs = new Map<string, Member>();
  const document = (value: unknown): { bytes: Buffer; digest: Digest } => {
    const bytes = Buffer.from(JSON.stringify(value));
    return { bytes, digest: digestOf(bytes) };
  };
  const put = (path: string, bytes: Uint8Array): void => void blobs.set(path, { path, bytes: Buffer.from(bytes).toString('base64') });

  const manifests: object[] = [];
  const dockerManifests: object[] = [];
  for (const { id, tags } of selection) {
    if (db.sql('SELECT 1 FROM images WHERE id = ?').get(id) === undefined) throw new NaruError('not-found', `No such image: ${id}`);
    const config = readBlob(root, hexOf(id));
    put(blobPath(id), config);
    const layers = db.sql(
      'SELECT l.diff_id, l.dir, l.tar_size FROM image_layers i JOIN layers l USING (chain_id) WHERE i.image = ? ORDER BY i.position',
    ).all(id) as { diff_id: Digest; dir: number; tar_size: number }[];
    for (const layer of layers) {
      const path = blobPath(layer.diff_id);
      blobs.set(path, { path, layer: `${root.layers}/${layer.dir}`, recipe: `${root.recipes}/${layer.dir}`, size: layer.tar_size, digest: layer.diff_id });
    }
    const manifest = document({
      schemaVersion: 2, mediaType: MANIFEST, config: { mediaType: CONFIG, digest: id, size: config.byteLength },
      layers: layers.map((layer) => ({ mediaType: LAYER, digest: layer.diff_id, size: layer.tar_size })),
    });
    put(blobPath(manifest.digest), manifest.bytes);
    const descriptor = { mediaType: MANIFEST, digest: manifest.digest, size: manifest.bytes.byteLength };
    if (tags.length === 0) manifests.push(descriptor);
    for (const tag of tags) {
      const { domain, path, tag: name } = parseReference(tag);
      manifests.push({ ...descriptor, annotations: { 'io.containerd.image.name': `${domain}/${path}:${name ?? 'latest'}`, 'org.opencontainers.image.ref.name': name ?? 'latest' } });
    }
    dockerManifests.push({ Config: blobPath(id), RepoTags: tags.length === 0 ? null : tags, Layers: layers.map((layer) => blobPath(layer.diff_id)) });
  }
  put('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests })));
  put('manifest.json', Buffer.from(JSON.stringify(dockerManifests)));
  put('oci-layout', Buffer.from(JSON.stringify({ imageLayoutVersion: '1.0.0' })));
  for (const path of ['blobs', 'blobs/sha256']) blobs.set(path, { path, directory: true });
  const members = [...blobs.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { members, size: members.reduce((sum, member) => sum + memberSize(member), TAR_END.byteLength) };
}

function memberSize(member: Member): number {
  const content = 'directory' in member ? 0 : 'bytes' in member ? Buffer.byteLength(member.bytes, 'base64') : member.size;
  return headerOf(member).byteLength + content + padding(content);
}

function headerOf(member: Member): Uint8Array {
  if ('directory' in member) return tarHeader({ name: member.path, type: 'directory', mode: 0o755 });
  return tarHeader({ name: member.path, type: 'file', mode: 0o644, size: 'bytes' in member ? Buffer.byteLength(member.bytes, 'base64') : member.size });
}

/** The bytes of the archive. Chunks are views. Throws `corrupt` when a layer does not come out as it went in. */
export function* saveChunks({ members }: SavePlan): Generator<Uint8Array, void, undefined> {
  for (const member of members) {
    if ('directory' in member) {
      yield headerOf(member);
      continue;
    }
    if ('bytes' in member) {
      const bytes = Buffer.from(member.bytes, 'base64');
      yield Buffer.concat([headerOf(member), bytes, Buffer.alloc(padding(bytes.byteLength))]);
      continue;
    }
    yield headerOf(member);
    // In this thread: the reader keeps the other core busy, and a thread costs as much again as what it takes over.
    const hash = digester();
    for (const chunk of layerTar(member.layer, member.recipe)) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest() !== member.digest) {
      throw new NaruError('corrupt', `layer ${member.digest} in the store is damaged`, { hint: 'remove the image and load it again' });
    }
    yield new Uint8Array(padding(member.size));
  }
  yield TAR_END;
}
