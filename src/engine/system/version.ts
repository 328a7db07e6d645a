import { arch, release } from 'node:os';
import type { Json } from '#spec/engine-api.ts';

export const API_VERSION = '1.51';
export const MINIMUM_API_VERSION = '1.24';

export const architecture = (): string => (arch() === 'x64' ? 'amd64' : arch());

/** `GET /version`. */
export function versionView(version: string, build = { commit: '', time: '' }): Json {
  const details = {
    ApiVersion: API_VERSION, Arch: architecture(), BuildTime: build.time, Experimental: 'false', GitCommit: build.commit, GoVersion: `bun ${process.versions['bun'] ?? process.version}`,
    KernelVersion: release(), MinAPIVersion: MINIMUM_API_VERSION, Os: 'linux',
  };
  return {
    Platform: { Name: 'naru' }, Version: version, ApiVersion: API_VERSION, MinAPIVersion: MINIMUM_API_VERSION, GitCommit: build.commit, GoVersion: details.GoVersion,
    Os: 'linux', Arch: details.Arch, KernelVersion: details.KernelVersion, BuildTime: build.time,
    Components: [{ Name: 'Engine', Version: version, Details: details }, { Name: 'naru-runtime', Version: version, Details: { GitCommit: build.commit } }],
  };
}
