import type { EngineSettings } from './engine-settings.ts';
import type { Store } from '#core/store.ts';
import type { Trees } from '#core/tree-port.ts';
import type { TaskDriver } from '#core/tasks/port.ts';
import type { DnsService } from '#net/dns/port.ts';
import type { NetworkService } from '#net/port.ts';
import type { AfterExit } from './containers/life/after-exit.ts';
import type { ContainerSet } from './containers/container-set.ts';
import type { EventJournal } from './events/event-journal.ts';
import type { ExecSet } from './execs/exec-set.ts';
import type { StatsSamplers } from './stats/stats-samplers.ts';
import type { NetworkTable } from './networks/network-table.ts';
import type { Watermark, WatermarkOptions } from './images/watermark.ts';
import type { RemoteAnswers } from './system/remote-answers.ts';
import type { ImagePolicy } from './policy/image-policy.ts';
import type { VolumeTable } from './volumes/volume-table.ts';

/** What the composition root gives to the engine. */
export interface EngineOptions {
  readonly store: Store;
  readonly trees: Trees;
  readonly tasks: TaskDriver;
  readonly network: NetworkService;
  readonly dns: DnsService;
  /** Where what survives a reboot lies: `containers/<id>/`, `volumes/`, `events/`. */
  readonly dataRoot: string;
  /** Where what a reboot ends lies (a tmpfs, where there is one): `containers/<id>/`. */
  readonly stateRoot: string;
  /** Of the product: `0.1.0`. */
  readonly version: string;
  /** What it was built from: commit and ISO 8601 time, empty where not known. */
  readonly build?: { readonly commit: string; readonly time: string };
  /** cgroup under which containers live when they name no parent: `naru`. */
  readonly cgroupParent?: string;
  /** Directory with one file for each registry that needs words (registry/client/host-config.ts); default /etc/naru/registries.d. */
  readonly registries?: string;
  /** The image policy (policy/image-policy.ts); default /etc/naru/image-policy.json. */
  readonly imagePolicy?: string;
  /** What holds for all containers now; default: DEFAULT_SETTINGS. */
  readonly settings?: () => EngineSettings;
  /** Images that nothing uses go when the disk fills (images/watermark.ts); undefined: never. */
  readonly imageMarks?: WatermarkOptions;
  /** How this executable is called, for helpers of its own. */
  readonly self?: readonly string[];
  /** Where failures go that nobody waits for. */
  readonly log?: { warn(text: string): void };
}

/** All parts of the engine, passed to every verb. */
export interface EngineContext extends EngineOptions {
  readonly settings: () => EngineSettings;
  readonly report: (error: unknown, doing: string) => void;
  readonly cgroupParent: string;
  /** The lowest layer of every container: what is mounted on. */
  readonly initLayer: string;
  readonly containers: ContainerSet;
  readonly execs: ExecSet;
  readonly events: EventJournal;
  readonly volumes: VolumeTable;
  readonly networks: NetworkTable;
  readonly stats: StatsSamplers;
  readonly afterExit: AfterExit;
  readonly policy: ImagePolicy;
  readonly answers: RemoteAnswers;
  readonly watermark: Watermark;
  /** Aborts when the engine closes: timers and followers end. */
  readonly closing: AbortSignal;
}
