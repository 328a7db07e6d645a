import type { Digest } from './ids.ts';
import type { ContainerConfig } from './engine-api.ts';

/** https://github.com/opencontainers/image-spec: the documents as they stand in blobs. */
export interface Descriptor {
  mediaType: string; digest: Digest; size: number; urls?: string[]; annotations?: Record<string, string>;
  platform?: Platform; artifactType?: string; data?: string;
}
export interface Platform { architecture: string; os: string; 'os.version'?: string; variant?: string }
export interface Manifest {
  schemaVersion: 2; mediaType?: string; artifactType?: string; config: Descriptor; layers: Descriptor[]; subject?: Descriptor;
  annotations?: Record<string, string>;
}
export interface Index { schemaVersion: 2; mediaType?: string; manifests: Descriptor[]; annotations?: Record<string, string>; subject?: Descriptor }
export interface HistoryEntry { created?: string; created_by?: string; author?: string; comment?: string; empty_layer?: boolean }
export interface ImageConfig {
  created?: string; author?: string; architecture: string; os: string; variant?: string; 'os.version'?: string;
  config?: ContainerConfig; rootfs: { type: 'layers'; diff_ids: Digest[] }; history?: HistoryEntry[];
  /** Docker's additions. */
  docker_version?: string; comment?: string; parent?: string;
}
