import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import type { HostFacts } from '#core/tasks/port.ts';
import type { OciLinux, OciMount, OciProcess, OciResources, OciSpec } from '#spec/oci-runtime.ts';
import { OCI_VERSION } from '#runtime/spec/default-spec.ts';
import type { ContainerDoc } from '../container.ts';
import type { SecurityOptions } from '../create/validate-security.ts';

/** Everything a spec depends on: builders read this and nothing else, so that a spec is a function of it. */
export interface SpecInput {
  readonly id: string;
  readonly doc: ContainerDoc;
  readonly security: SecurityOptions;
  readonly host: HostFacts;
  /** `uname -r`. */
  readonly kernel: string;
  readonly user: OciProcess['user'];
  /** Home directory of the user; undefined when passwd does not say. */
  readonly home: string | undefined;
  /** Absolute within each hierarchy. */
  readonly cgroupPath: string;
  /** The user's mounts, resolved to what is mounted, each with its flag. */
  readonly userMounts: readonly { readonly mount: OciMount; readonly flag: string }[];
  /** Of the network that the container is on; the user's win over them. */
  readonly networkSysctls: Readonly<Record<string, string>>;
  /** Host files for /etc; undefined where the container shares or has none. */
  readonly files: { readonly resolvConf: string; readonly hostname: string; readonly hosts: string } | undefined;
  /** Where /dev/shm is bound from: the host's, or that of the container that is joined; undefined: a tmpfs of its own, or none for IpcMode none. */
  readonly sharedMemory: { readonly source: string; readonly options: readonly string[] } | undefined;
  /** `/proc/<pid>/ns/<file>` of the container that is joined. */
  readonly join: { readonly network?: string; readonly ipc?: string; readonly pid?: string };
  /** Host device nodes below /dev; looked at for privileged containers only. */
  readonly hostDevices: () => NonNullable<OciLinux['devices']>;
  /** The device nodes of one `--device`. Throws invalid when there are none. */
  readonly devicesAt: (pathOnHost: string, pathInContainer: string) => NonNullable<OciLinux['devices']>;
  /** Host major and minor of a block device. Throws invalid. */
  readonly blockDevice: (path: string) => { major: number; minor: number };
  /** What the user asked for, without what the image says: for a plan, which tells them apart. */
  readonly given?: ContainerCreateRequest | undefined;
  /** Added to the environment. */
  readonly environment: readonly string[];
}

/** A spec being made. The parts that every builder touches are there from the start. */
export interface SpecDraft {
  readonly spec: OciSpec & { process: OciProcess; mounts: OciMount[]; linux: OciLinux & { resources: OciResources } };
  /** config.json pointer -> the user's flag. */
  readonly sources: Map<string, string>;
}

export type SpecBuilder = (draft: SpecDraft, input: SpecInput) => void;

/** Namespace-less start: the parts exist, empty. */
export const newDraft = (input: SpecInput): SpecDraft => ({
  spec: {
    ociVersion: OCI_VERSION,
    process: { user: input.user, cwd: '/', args: [], env: [] },
    root: { path: 'rootfs' },
    mounts: [],
    linux: { resources: {} },
  },
  sources: new Map(),
});
