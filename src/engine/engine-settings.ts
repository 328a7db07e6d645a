import type { StringMap, Ulimit } from '#spec/engine-api.ts';

/** What an administrator decides for all containers, where a container does not say otherwise. May change while the daemon runs. */
export interface EngineSettings {
  readonly debug: boolean;
  readonly labels: readonly string[];
  readonly logDriver: string;
  /** For containers with that driver that name no options of their own. */
  readonly logOptions: StringMap;
  readonly ulimits: readonly Ulimit[];
  /** Bytes; undefined: Docker's 64 MiB. */
  readonly shmSize: number | undefined;
  readonly ipcMode: '' | 'private' | 'shareable';
  readonly cgroupnsMode: '' | 'private' | 'host';
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly init: boolean;
  readonly noNewPrivileges: boolean;
  /** host[:port] or CIDR: reached without a check of certificates, and without TLS. */
  readonly insecureRegistries: readonly string[];
  /** Asked first for what Docker Hub has. */
  readonly registryMirrors: readonly string[];
}

export const DEFAULT_SETTINGS: EngineSettings = {
  debug: false, labels: [], logDriver: 'json-file', logOptions: {}, ulimits: [], shmSize: undefined, ipcMode: '', cgroupnsMode: '', dns: [], dnsOptions: [], dnsSearch: [],
  init: false, noNewPrivileges: false, insecureRegistries: [], registryMirrors: [],
};
