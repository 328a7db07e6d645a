import type { Readable } from 'node:stream';
import type * as N from '#spec/naru-api.ts';
import type * as A from '#spec/engine-api.ts';

/**
 * What the HTTP layer needs of the engine: the consumer's own contract, in the API's JSON types. Every method throws
 * NaruError; a `name` is a name, a full id or an unambiguous id prefix. `signal` aborts when the client went away.
 * Streams that a method returns are destroyed by the caller when the client goes.
 */
export interface Engine {
  readonly containers: Containers;
  readonly exec: Execs;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly system: System;
  readonly registries: Registries;
}

/** The client's end of an attach: either its raw socket's descriptor (already answered 101/200; the receiver dups it, so
 *  the HTTP layer closes its own copy when the call returns) or, where bytes must be re-coded (TLS, ssh, HTTP chunked
 *  answers), one end of a socketpair that the HTTP layer pumps. */
export interface ClientDescriptor { readonly fd: number }

export interface AttachOptions {
  stdin: boolean; stdout: boolean; stderr: boolean; logs: boolean; stream: boolean;
  /** Docker's detach-keys syntax (`ctrl-p,ctrl-q`); empty: the default. */
  detachKeys: string;
  /** False: stdout and stderr without Docker's frames. */
  framed?: boolean;
}

export interface LogOptions {
  stdout: boolean; stderr: boolean; follow: boolean; timestamps: boolean;
  /** Nanoseconds since the epoch, 0n: unset. */
  since: bigint; until: bigint;
  /** Lines from the end; -1: all. */
  tail: number;
  details: boolean;
  /** False: the lines without Docker's frames. */
  framed?: boolean;
}

export interface ListOptions { all: boolean; limit: number; size: boolean; filters: A.Filters }

/** `tellsChain`: its program shows how it came about, so the requests for it are timed. */
export interface CreatedContainer extends A.ContainerCreateResponse { readonly tellsChain?: boolean }

export interface Containers {
  create(name: string | undefined, request: A.ContainerCreateRequest, platform: string | undefined): Promise<CreatedContainer>;
  list(options: ListOptions): Promise<A.ContainerSummary[]>;
  inspect(name: string, size: boolean): Promise<A.ContainerInspect>;
  start(name: string, options: { detachKeys: string }): Promise<void>; // kind not-modified when it runs
  stop(name: string, options: { signal?: string; timeout?: number }): Promise<void>;
  restart(name: string, options: { signal?: string; timeout?: number }): Promise<void>;
  kill(name: string, signal: string): Promise<void>;
  pause(name: string): Promise<void>;
  unpause(name: string): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  update(name: string, change: A.Resources & { RestartPolicy?: A.RestartPolicy }): Promise<{ Warnings: string[] }>;
  remove(name: string, options: { force: boolean; volumes: boolean; link: boolean }): Promise<void>;
  /** Resolves twice: the outer promise once the wait is registered (headers can go out), `done` with the status. */
  wait(name: string, condition: 'not-running' | 'next-exit' | 'removed', signal: AbortSignal): Promise<{ done: Promise<A.WaitResponse> }>;
  resize(name: string, rows: number, columns: number): Promise<void>;
  top(name: string, psArgs: string): Promise<A.TopResponse>;
  changes(name: string): Promise<A.FilesystemChange[]>;
  /** A stream of StatsSample; oneShot: a single sample without waiting for a second reading. */
  stats(name: string, options: { stream: boolean; oneShot: boolean }, signal: AbortSignal): AsyncIterable<A.StatsSample>;
  /** tty: the stream is raw; otherwise Docker's 8-byte frames. */
  logs(name: string, options: LogOptions, signal: AbortSignal): Promise<{ tty: boolean; stream: Readable }>;
  /** Validates and says whether the container has a tty (so that the right content type can be answered) ... */
  attachPrepare(name: string, options: AttachOptions): Promise<{ tty: boolean; attach(client: ClientDescriptor): Promise<void> }>;
  export(name: string): Promise<Readable>;
  statPath(name: string, path: string): Promise<A.PathStat>;
  getArchive(name: string, path: string): Promise<{ stat: A.PathStat; stream: Readable }>;
  putArchive(name: string, path: string, archive: Readable, options: { noOverwriteDirNonDir: boolean; copyUidGid: boolean }): Promise<void>;
  prune(filters: A.Filters): Promise<A.PruneReport>;
  commit(name: string, options: { repo: string; tag: string; comment: string; author: string; pause: boolean; changes: string[]; config?: A.ContainerConfig }): Promise<{ Id: string }>;
  /** The compiled plan for this request, as text, without making anything (`naru plan run`). */
  plan(name: string | undefined, request: A.ContainerCreateRequest): Promise<string>;
}

export interface Execs {
  create(container: string, config: A.ExecConfig): Promise<{ Id: string }>;
  /** start with a client descriptor, or detached (client undefined). `begin` attaches and starts. */
  startPrepare(id: string, options: A.ExecStart): Promise<{ tty: boolean; start(client: ClientDescriptor | undefined): Promise<void> }>;
  resize(id: string, rows: number, columns: number): Promise<void>;
  inspect(id: string): Promise<A.ExecInspect>;
}

/** A body of known size that somebody else can write, once: one of the two is called. */
export interface WrittenBody {
  readonly size: number;
  stream(): Readable;
  /** Writes all of it to a blocking descriptor; rejects when it could not. */
  writeTo(fd: number, signal: AbortSignal): Promise<void>;
}

export interface Images {
  list(options: { all: boolean; filters: A.Filters; sharedSize: boolean; digests: boolean; manifests: boolean }): Promise<A.ImageSummary[]>;
  /** `platform`, here and below: `os/architecture`, or a platform in JSON; '' for whatever is there. */
  inspect(name: string, options: { platform: string; manifests: boolean }): Promise<A.ImageInspect>;
  history(name: string, options: { platform: string }): Promise<A.ImageHistoryItem[]>;
  tag(name: string, repo: string, tag: string): Promise<void>;
  remove(name: string, options: { force: boolean; noPrune: boolean }): Promise<A.ImageDeleteItem[]>;
  /** docker-archive or OCI layout, possibly compressed; yields progress messages; errors are thrown before the first message
   *  where possible, or come as `error` messages. */
  load(archive: Readable, options: { quiet: boolean; platform: string }, signal: AbortSignal): AsyncIterable<A.ProgressMessage>;
  /** `import`: the tar of a root file system, in the request or at a URL. */
  import(source: Readable | string, options: { repo: string; tag: string; message: string; changes: string[]; platform: string }, signal: AbortSignal): AsyncIterable<A.ProgressMessage>;
  save(names: string[], options: { platform: string }): Promise<WrittenBody>;
  prune(filters: A.Filters): Promise<A.PruneReport>;
  pull(reference: string, options: { platform: string; auth: string; /** what refers to the image too */ referrers: boolean }, signal: AbortSignal): AsyncIterable<A.ProgressMessage>;
  push(reference: string, options: { auth: string; platform: string; /** '' for what the registry's file says */ compression: string; level: number }, signal: AbortSignal): AsyncIterable<A.ProgressMessage>;
  verify(request: N.VerifyRequest, how: { auth: string; signal: AbortSignal }): Promise<N.ImageVerification>;
  addSignature(request: N.SignatureRequest, how: { auth: string; signal: AbortSignal }): Promise<{ Document: string }>;
  registryManifest(name: string, how: { auth: string; insecure: boolean; signal: AbortSignal }): Promise<N.RegistryManifest>;
  pushManifestList(request: N.ManifestListRequest, how: { auth: string; insecure: boolean; signal: AbortSignal }): Promise<{ Digest: string }>;
  /** What refers to an image, in its registry or as it is kept here. */
  referrers(options: { name: string; local: boolean; artifactType: string }, how: { auth: string; signal: AbortSignal }): Promise<N.Referrer[]>;
}

export interface Volumes {
  create(request: A.VolumeCreateRequest): Promise<A.Volume>;
  list(filters: A.Filters): Promise<{ Volumes: A.Volume[]; Warnings: string[] | null }>;
  inspect(name: string): Promise<A.Volume>;
  remove(name: string, force: boolean): Promise<void>;
  prune(filters: A.Filters): Promise<A.PruneReport>;
}

export interface Networks {
  create(request: A.NetworkCreateRequest): Promise<A.NetworkCreateResponse>;
  list(filters: A.Filters): Promise<A.NetworkInspect[]>;
  inspect(name: string): Promise<A.NetworkInspect>;
  /** Throws forbidden while containers that run are on it, and for the predefined ones. */
  remove(name: string): Promise<void>;
  connect(name: string, container: string, settings: A.EndpointSettings): Promise<void>;
  disconnect(name: string, container: string, force: boolean): Promise<void>;
  prune(filters: A.Filters): Promise<A.PruneReport>;
  dns(): Promise<N.DnsReport>;
}

export interface System {
  info(): Promise<A.Json>;
  version(): Promise<A.Json>;
  /** Looks at all that is stored; with `repair` puts right what can be. */
  check(options: { repair: boolean; auth: string }, signal: AbortSignal): AsyncIterable<N.CheckMessage>;
  diskUsage(types: readonly string[]): Promise<A.DiskUsage>;
  events(options: { since: bigint; until: bigint; filters: A.Filters }, signal: AbortSignal): AsyncIterable<A.EventMessage>;
}

export interface Registries {
  /** `auth` is the body of `POST /auth`: Docker's AuthConfig. Throws unauthorized when the registry refuses it. */
  login(auth: unknown, signal: AbortSignal): Promise<{ Status: string; IdentityToken: string }>;
  /** `auth` is the X-Registry-Auth header, here and below. */
  search(term: string, options: { limit: number | undefined; filters: A.Filters; auth: string }, signal: AbortSignal): Promise<{ name: string; description: string; star_count: number; is_official: boolean; is_automated: boolean }[]>;
  /** Digest and platforms of an image in its registry. */
  distribution(name: string, auth: string, signal: AbortSignal): Promise<A.Json>;
}
