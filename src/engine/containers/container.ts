import type { ContainerConfig, EndpointSettings, Health, HostConfig, StringMap } from '#spec/engine-api.ts';
import type { PreparedTask, Task, TaskRequest } from '#core/tasks/port.ts';
import type { EndpointRecord } from '#net/port.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { ZERO_TIME } from '../time/timestamps.ts';
import { transition, type StateEvent, type Status } from './container-state.ts';
import type { ExitWaiters } from './exit-waiters.ts';
import { createExitWaiters } from './exit-waiters.ts';
import type { IdMapping } from '#spec/oci-runtime.ts';

/** One mount as it was resolved at create: what inspect shows, and what the spec is made of. */
export interface MountRecord {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image';
  /** Volume name. */
  readonly name?: string;
  /** Host path of a bind or of a volume's data; an image's id. */
  readonly source: string;
  readonly destination: string;
  readonly driver?: string;
  /** As the user wrote it: `ro,z`. */
  readonly mode: string;
  readonly rw: boolean;
  readonly propagation: string;
  readonly subpath?: string;
  /** Do not fill an empty volume from the image. */
  readonly noCopy?: boolean;
  /** Anonymous: `rm -v` takes the volume along. */
  readonly anonymous?: boolean;
  /** A bind source that `-v` makes when it is missing. */
  readonly makeSource?: boolean;
  /** Owners of the source's files as they are seen through the mount: of the source to of the container. */
  readonly idmap?: { readonly uids: readonly IdMapping[]; readonly gids: readonly IdMapping[] };
  readonly nonRecursive?: boolean;
  readonly readOnlyNonRecursive?: boolean;
  readonly readOnlyForceRecursive?: boolean;
  /** tmpfs options as mount(8) has them. */
  readonly options?: readonly string[];
  /** The flag that caused it, for `naru plan`. */
  readonly flag: string;
}

export interface ContainerLink { readonly id: string; readonly alias: string }

/** What create decided. Changed only by rename-free verbs: `update` (limits, restart policy). */
export interface ContainerDoc {
  readonly created: string;
  readonly config: ContainerConfig;
  hostConfig: HostConfig;
  /** As the user wrote it. */
  readonly imageName: string;
  /** `sha256:…`; empty: over a directory. */
  readonly imageId: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly mounts: readonly MountRecord[];
  /** What was asked of each network, by its name; the first is the one of NetworkMode. Connect and disconnect change it. */
  endpoints: Readonly<Record<string, EndpointSettings>>;
  /** It was connected or disconnected since: an empty `endpoints` means none. */
  networksChosen?: boolean;
  /** Containers of the default bridge that it knows by an alias. */
  links?: readonly ContainerLink[];
}

/** What changes while it lives. */
export interface RunState {
  status: Status;
  /** Its volumes are being filled: nobody was told of it yet. */
  creating?: boolean;
  /** It is being removed with its anonymous volumes. */
  removeVolumes?: boolean;
  /** Counts starts; names the exit record `exit.<run>`. */
  run: number;
  pid: number;
  exitCode: number;
  error: string;
  startedAt: string;
  finishedAt: string;
  oomKilled: boolean;
  restartCount: number;
  /** Stopped by a person: `unless-stopped` and `always` heed it. */
  manuallyStopped: boolean;
  /** One for each network, the one with eth0 first. */
  endpoints: readonly EndpointRecord[];
  health: Health | undefined;
}

export const newRunState = (): RunState => ({
  status: 'created', run: 0, pid: 0, exitCode: 0, error: '', startedAt: ZERO_TIME, finishedAt: ZERO_TIME, oomKilled: false,
  restartCount: 0, manuallyStopped: false, endpoints: [], health: undefined,
});

/** A client that attached before the start; `fd` is ours. */
export interface PendingAttach {
  readonly fd: number;
  readonly attach: (to: PreparedTask) => Promise<unknown>;
}

/** A container in memory. The document is parsed when somebody looks: a thousand stopped ones cost little at start-up. */
export class Container {
  readonly id: string;
  readonly imageId: string;
  name: string;
  readonly state: RunState;
  readonly mutex: KeyedMutex;
  readonly waiters: ExitWaiters = createExitWaiters();
  task: Task | undefined;
  /** Since when the task is known, milliseconds of performance.now(): since its start, unless the daemon came back meanwhile. */
  watchedSince = 0;
  /** What it was started with; made again after a restart of the daemon when an exec needs it. */
  request: TaskRequest | undefined;
  /** Clients waiting for the start. */
  pendingAttaches: PendingAttach[] = [];
  /** The restart that was scheduled by the policy. */
  restartTimer: { cancel: () => void } | undefined;
  /** Delay before the next restart by policy, milliseconds. */
  restartDelay = 0;
  /** What an exit left to be released; a start or removal waits for it. Never rejects. */
  cleaning: Promise<void> = Promise.resolve();
  /** A stop or restart by a person is under way: the restart policy keeps still. */
  stopRequested = false;
  health: { stop: () => void } | undefined;
  /** When its links worked, CLOCK_MONOTONIC nanoseconds: the image `hello` tells. */
  readonly chain: { create?: { start: bigint; end: bigint }; start?: bigint } = {};
  /** Terminal size asked for before the start. */
  terminal: { rows: number; columns: number } | undefined;
  removed = false;
  #doc: ContainerDoc | undefined;
  #text: string;

  constructor(record: { id: string; name: string; imageId: string; doc: string | ContainerDoc; state: RunState }) {
    this.id = record.id;
    this.name = record.name;
    this.imageId = record.imageId;
    this.state = record.state;
    this.mutex = new KeyedMutex(`container ${record.name}`);
    this.#text = typeof record.doc === 'string' ? record.doc : '';
    this.#doc = typeof record.doc === 'string' ? undefined : record.doc;
  }

  get doc(): ContainerDoc {
    if (this.#doc === undefined) {
      this.#doc = JSON.parse(this.#text) as ContainerDoc;
      this.#text = '';
    }
    return this.#doc;
  }

  get shortId(): string {
    return this.id.slice(0, 12);
  }

  get labels(): StringMap {
    return this.doc.config.Labels ?? {};
  }

  /** Its image shows the way that it came by: the built-in `hello`. */
  get tellsChain(): boolean {
    return this.labels['naru.chain'] === '1';
  }

  apply(event: StateEvent): void {
    this.state.status = transition(this.state.status, event);
  }
}
