/** https://github.com/opencontainers/image-spec/blob/main/media-types.md and Docker's image manifest v2, schema 2. */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const OCTET_STREAM = 'application/octet-stream';

/** Every manifest type that both ends of ours understand, best first: what a pull asks for. */
export const MANIFEST_TYPES: readonly string[] = [OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

export const isIndexType = (mediaType: string): boolean => mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST;
export const isImageManifestType = (mediaType: string): boolean => mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;

/** The type without parameters, lower case: servers ignore parameters of a pushed manifest's Content-Type. */
export const withoutParameters = (contentType: string): string => (contentType.split(';')[0] as string).trim().toLowerCase();

/** Layers that a registry need not hold (image-spec, "Non-Distributable Layers"; Docker's foreign layers). */
export const isNonDistributable = (mediaType: string): boolean =>
  mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.') || mediaType === 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
