import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Manifest } from '#spec/oci-image.ts';
import type { StoredManifest } from '#core/transfers/transfer-store.ts';
import { DOCKER_MANIFEST, OCI_MANIFEST } from '#registry/protocol/media-types.ts';

export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const GZIP_LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
export const ZSTD_LAYER = 'application/vnd.oci.image.layer.v1.tar+zstd';
const OCI_GZIP_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export interface PushedManifest { readonly mediaType: string; readonly bytes: Uint8Array; readonly digest: Digest }

/**
 * The manifest of a push: the one that the image was pulled by when the registry has just those blobs (so its digest stays),
 * else a new one: Docker's schema 2, as Docker pushes, or OCI where schema 2 has no name for a layer's form.
 */
export function composeManifest({ config, layers, original }: { config: Descriptor; layers: readonly Descriptor[]; original: StoredManifest | undefined }): Omit<PushedManifest, 'digest'> {
  if (original !== undefined) {
    const { config: old, layers: oldLayers = [] } = JSON.parse(Buffer.from(original.bytes).toString('utf8')) as Manifest;
    const same = old.digest === config.digest && oldLayers.length === layers.length && oldLayers.every(({ digest }, i) => digest === layers[i]!.digest);
    if (same) return { mediaType: original.mediaType, bytes: original.bytes };
  }
  const docker = layers.every(({ mediaType }) => mediaType === GZIP_LAYER || mediaType === OCI_GZIP_LAYER);
  const mediaType = docker ? DOCKER_MANIFEST : OCI_MANIFEST;
  const manifest: Manifest = {
    schemaVersion: 2, mediaType, config: { ...config, mediaType: docker ? DOCKER_CONFIG : OCI_CONFIG },
    layers: layers.map((layer) => ({ mediaType: docker ? GZIP_LAYER : asOci(layer.mediaType), size: layer.size, digest: layer.digest })),
  };
  return { mediaType, bytes: Buffer.from(JSON.stringify(manifest, undefined, 3)) };
}

const asOci = (mediaType: string): string =>
  mediaType === GZIP_LAYER ? OCI_GZIP_LAYER : mediaType.startsWith('application/vnd.docker.image.rootfs.') ? mediaType.replace(/^application\/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:[.+](\w+))?$/, (_all, form?: string) => `application/vnd.oci.image.layer.v1.tar${form === undefined ? '' : `+${form}`}`) : mediaType;
