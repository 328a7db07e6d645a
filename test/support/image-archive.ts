import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { tarOf } from '#core/archive/tar-writer.ts';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

export interface ArchiveOptions {
  readonly tags?: readonly string[] | null;
  readonly config?: Record<string, unknown>;
  /** Instead of the digests of the layers. */
  readonly diffIds?: readonly string[];
  /** How a layer is stored. */
  readonly pack?: (tar: Uint8Array) => Uint8Array;
}

const configOf = (layers: readonly Uint8Array[], options: ArchiveOptions): Uint8Array => json({
  architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', os: 'linux', config: { Cmd: ['/x'] }, ...options.config,
  rootfs: { type: 'layers', diff_ids: options.diffIds ?? layers.map((layer) => `sha256:${sha256(layer)}`) },
});

/** What `docker save` wrote before it wrote OCI layouts. */
export function dockerArchive(layers: readonly Uint8Array[], options: ArchiveOptions = {}): Uint8Array {
  const config = configOf(layers, options);
  const name = `${sha256(config)}.json`;
  return tarOf([
    ...layers.map((layer, i) => ({ name: `${i}/layer.tar`, type: 'file' as const, mode: 0o644, data: options.pack?.(layer) ?? layer })),
    { name, type: 'file', mode: 0o644, data: config },
    { name: 'manifest.json', type: 'file', mode: 0o644, data: json([{ Config: name, RepoTags: options.tags === undefined ? ['test:latest'] : options.tags, Layers: layers.map((_, i) => `${i}/layer.tar`) }]) },
  ]);
}

export interface LayoutOptions extends ArchiveOptions {
  /** Changes documents before they get their digests. */
  readonly manifest?: (manifest: Record<string, unknown>) => unknown;
  readonly index?: (index: Record<string, unknown>) => unknown;
  /** Changes blobs after they got their digests, by path. */
  readonly blobs?: (blobs: Map<string, Uint8Array>) => void;
}

/** An OCI layout. */
export function ociArchive(layers: readonly Uint8Array[], options: LayoutOptions = {}): Uint8Array {
  const blobs = new Map<string, Uint8Array>();
  const put = (bytes: Uint8Array, mediaType: string): { mediaType: string; digest: string; size: number } => {
    blobs.set(`blobs/sha256/${sha256(bytes)}`, bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.byteLength };
  };
  const manifest = {
    schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: put(configOf(layers, options), 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((layer) => put(options.pack?.(layer) ?? layer, 'application/vnd.oci.image.layer.v1.tar')),
  };
  const descriptor = { ...put(json(options.manifest?.(manifest) ?? manifest), manifest.mediaType), annotations: { 'io.containerd.image.name': `docker.io/library/${options.tags?.[0] ?? 'test:latest'}` } };
  const index = { schemaVersion: 2, manifests: [descriptor] };
  blobs.set('index.json', json(options.index?.(index) ?? index));
  blobs.set('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  options.blobs?.(blobs);
  return tarOf([...blobs].map(([name, data]) => ({ name, type: 'file' as const, mode: 0o644, data })));
}

/** A stream in pieces of odd sizes. */
export function streamOf(bytes: Uint8Array, piece = 10_007): Readable {
  return Readable.from((function* () {
    for (let at = 0; at < bytes.byteLength; at += piece) yield Buffer.from(bytes.subarray(at, at + piece));
  })(), { objectMode: false });
}
