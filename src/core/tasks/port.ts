import type { OciSpec } from '#spec/oci-runtime.ts';
import type { NetworkStep } from '#spec/network-steps.ts';

/**
 * Tasks: running processes, as containerd means the word. This is core's port to a runtime: naru's own (runtime/driver),
 * later a foreign OCI runtime or a virtual machine. Nothing here knows images or Docker.
 */
export interface TaskDriver {
  /** Compile and start. Resolves when the program runs (exec succeeded); rejects with a NaruError whose message is Docker's
   *  where clients match on it (`exec: "x": executable file not found in $PATH`, exitCode 126/127) after undoing all. */
  start(request: TaskRequest, prepared?: PreparedTask): Promise<Task>;
  /** Everything up to, not including, the start of the program: clients may attach to the result before `start`. */
  prepare(request: TaskRequest): PreparedTask;
  /** The plan that `start` would execute. */
  plan(request: TaskRequest): string;
  /** Find a task again after the daemon was restarted: connects to its shim, or reads its exit record. undefined: there is
   *  neither (the machine was rebooted, or the shim was killed): the caller records an unknown exit. */
  recover(request: RecoverRequest): Promise<{ task: Task } | { exited: ExitStatus } | undefined>;
  /** Remove cgroups and state that a task left (idempotent). */
  cleanUp(request: { id: string; stateDir: string; cgroupPath: string }): Promise<void>;
  /** Counters of a task's cgroup; undefined when it is gone. */
  stats(cgroupPath: string): Promise<CgroupStats | undefined>;
  pids(cgroupPath: string): Promise<number[]>;
  freeze(cgroupPath: string, frozen: boolean): Promise<void>;
  /** Change limits of a running cgroup (OCI linux.resources). */
  update(cgroupPath: string, resources: NonNullable<NonNullable<OciSpec['linux']>['resources']>): Promise<void>;
  readonly host: HostFacts;
}

export interface HostFacts {
  readonly cgroupVersion: 1 | 2;
  readonly hybrid: boolean;
  readonly controllers: readonly string[];
  readonly seccomp: boolean;
  /** Groups have a share of real time (v1, CONFIG_RT_GROUP_SCHED). */
  readonly realtime?: boolean;
  readonly apparmor: boolean;
}

export interface TaskRequest {
  /** The container's id. */
  readonly id: string;
  /** A whole config.json. `root.path` is ignored where `rootfs` says more. linux.cgroupsPath names the cgroup. */
  readonly spec: OciSpec;
  readonly rootfs: Rootfs;
  /** A directory of the task's own on a tmpfs (or other volatile place), exists, 0700: the shim's socket. */
  readonly stateDir: string;
  /** Written when the process ended, before anybody is told. durable: survives a power cut. */
  readonly exitFile: string;
  readonly durable: boolean;
  readonly log?: { readonly path: string; readonly maxSize: number; readonly maxFiles: number };
  readonly io: TaskIo;
  readonly network: readonly NetworkStep[];
  /** A reaper of our own as PID 1, which shows itself by these words (`/proc/1/cmdline`). */
  readonly init: false | readonly string[];
  /** config.json pointer (`/mounts/3`, `/process/rlimits/0`) -> the user's flag, for `naru plan`. */
  readonly sources?: ReadonlyMap<string, string>;
}

export type Rootfs =
  /** lowers: top first. volatile: skip overlay's syncs (the container dies with the machine anyway). */
  | { readonly kind: 'overlay'; readonly lowers: readonly string[]; readonly upper: string; readonly work: string; readonly volatile: boolean }
  | { readonly kind: 'directory'; readonly path: string };

export interface TaskIo {
  readonly mode: 'null' | 'pipes' | 'pty';
  readonly stdin: 'none' | 'open' | 'once';
  readonly rows?: number;
  readonly columns?: number;
}

export interface ExitStatus {
  /** 0..255; 128 + signal when a signal ended it. */
  readonly code: number;
  readonly signal: number;
  readonly oomKills: number;
  /** Nanoseconds since the epoch. */
  readonly at: bigint;
}

export interface AttachRequest {
  /** A stream socket to the client. The driver passes it on to the shim and closes it. */
  readonly fd: number;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Docker's 8-byte frames (not for a pty). */
  readonly framed: boolean;
  /** Close the process's stdin when this client ends its own. */
  readonly closeStdin: boolean;
  /** Raw bytes of the detach sequence; empty: none. */
  readonly detachKeys: Uint8Array;
}

/** How an attach ended. */
export type AttachEnd = 'client' | 'detached' | 'error' | 'exited';

interface Attachable {
  /** Resolves when the shim has the client; `ended` when it let go of it. */
  attach(request: AttachRequest): Promise<{ readonly ended: Promise<AttachEnd> }>;
  resize(rows: number, columns: number): void;
  /** Resolves when what the shim has said until now was heard: whoever saw a client's end asks for the exit that came before it. */
  caughtUp(): Promise<void>;
}

export interface PreparedTask extends Attachable {
  /** Give up without starting (attached clients are closed). */
  abandon(): void;
}

export interface Task extends Attachable {
  readonly id: string;
  /** The host's pid. */
  readonly pid: number;
  readonly startedAt: bigint;
  readonly exited: Promise<ExitStatus>;
  /** Called for each OOM kill while it runs. */
  onOom(listener: (kills: number) => void): void;
  /** Through the pidfd; false when it is gone. */
  signal(signal: number): boolean;
  closeStdin(): void;
  /** Another process inside: the same containment, its own stdio. */
  exec(request: ExecRequest): PreparedExec;
}

export interface PreparedExec extends PreparedTask {
  start(): Promise<Task>;
  /** Do all of `start` that nobody can see, neither in the container nor in its counters. It fails silently, waits for `start` or
   *  `abandon`, and ends with the container. */
  makeAhead(): Promise<void>;
  /** It was made ahead and waits. */
  readonly ahead: boolean;
  /** It was made ahead, and its process was gone before `start` reached it: nothing of the program was done, another one can be made. */
  readonly wasGone: boolean;
}

export interface ExecRequest {
  /** Unique among the container's execs. */
  readonly execId: string;
  /** OCI process object. */
  readonly process: NonNullable<OciSpec['process']>;
  readonly spec: OciSpec; // the container's, for its seccomp profile and cgroup
  readonly io: TaskIo;
  readonly exitFile?: string;
}

export interface RecoverRequest { readonly id: string; readonly stateDir: string; readonly exitFile: string; readonly cgroupPath: string }

export interface CgroupStats {
  readonly cpu: { usage: bigint; user: bigint; system: bigint; periods: bigint; throttledPeriods: bigint; throttledTime: bigint; perCpu: bigint[] };
  readonly memory: { usage: bigint; limit: bigint; maxUsage: bigint; failcnt: bigint; stats: Record<string, number> };
  readonly pids: { current: bigint; limit: bigint };
  readonly blkio: { op: string; major: number; minor: number; value: bigint; kind: 'bytes' | 'ios' }[];
}
