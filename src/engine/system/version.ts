import { arch, release } from 'node:os';
import type { Json } from '#spec/engine-api.ts';

export const API_VERSION = '1.51';
export const MINIMUM_API_VERSION = '1.24';

export const architecture = (): string => (arch() === 'x64' ? 'amd64' : arch());

/** `GET /version`. */
export function versionView(version: string): Json {
  const details = {
    ApiVersion: API_VERSION, Arch: architecture(), BuildTime: '', Experimental: 'false', GitCommit: '', GoVersion: `bun ${process.versions['bun'] ?? process.version}`,
    KernelVersion: release(), MinAPIVersion: MINIMUM_API_VERSION, Os: 'linux',
  };
  return {
    Platform: { Name: 'naru' }, Version: version, ApiVersion: API_VERSION, MinAPIVersion: MINIMUM_API_VERSION, GitCommit: '', GoVersion: details.GoVersion,
    Os: 'linux', Arch: details.Arch, KernelVersion: details.KernelVersion, BuildTime: '',
    Components: [{ Name: 'Engine', Version: version, Details: details }, { Name: 'naru-runtime', Version: version, Details: { GitCommit: '' } }],
  };
}
