import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import { openDatabase } from '#core/db/database.ts';
import type { ImageRecord, SnapshotMount, Store } from '#core/store.ts';
import type { AttachRequest, ExecRequest, ExitStatus, PreparedExec, PreparedTask, Task, TaskDriver, TaskRequest } from '#core/tasks/port.ts';
import type { Trees } from '#core/tree-port.ts';
import type { DnsService } from '#net/dns/port.ts';
import type { EndpointRecord, NetworkRecord, NetworkService } from '#net/port.ts';
import { ENGINE_SCHEMA } from '#engine/schema.ts';
import { createEngine } from '#engine/create-engine.ts';
import type { ContainerConfig } from '#spec/engine-api.ts';

/** The engine's parts without a kernel: tasks are objects that a test ends by hand. */

export class FakeTask implements Task {
  readonly id: string;
  readonly pid: number;
  readonly startedAt = BigInt(Date.now()) * 1_000_000n;
  readonly exited: Promise<ExitStatus>;
  readonly signals: number[] = [];
  readonly attached: AttachRequest[] = [];
  readonly execs: { request: ExecRequest; task: FakeTask }[] = [];
  /** Signals that end it. */
  deadly = new Set([9, 15]);
  /** What an exec's start fails with. */
  execFailure: NaruError | undefined;
  #exit!: (status: ExitStatus) => void;
  #alive = true;
  #oom: ((kills: number) => void)[] = [];

  constructor(id: string, pid: number) {
    this.id = id;
    this.pid = pid;
    this.exited = new Promise((resolve) => (this.#exit = resolve));
  }

  exit(code: number, oomKills = 0): void {
    this.#alive = false;
    this.#exit({ code, signal: 0, oomKills, at: BigInt(Date.now()) * 1_000_000n });
  }

  oom(): void {
    for (const listener of this.#oom) listener(1);
  }

  onOom(listener: (kills: number) => void): void {
    this.#oom.push(listener);
  }

  signal(signal: number): boolean {
    if (!this.#alive) return false;
    this.signals.push(signal);
    if (this.deadly.has(signal)) this.exit(128 + signal);
    return true;
  }

  closeStdin(): void {}
  resize(): void {}
  /** What its shim has said and nobody heard yet. */
  unheard: () => void = () => undefined;
  async caughtUp(): Promise<void> {
    this.unheard();
  }

  async attach(request: AttachRequest): Promise<{ ended: Promise<'exited'> }> {
    this.attached.push(request);
    return { ended: this.exited.then(() => 'exited' as const) };
  }

  exec(request: ExecRequest): PreparedExec {
    const task = new FakeTask(request.execId, this.pid + 1000 + this.execs.length);
    this.execs.push({ request, task });
    return {
      attach: (attach) => task.attach(attach), resize: () => undefined, abandon: () => undefined, caughtUp: () => task.caughtUp(), makeAhead: async () => undefined, ahead: false, wasGone: false,
      start: async () => {
        if (this.execFailure !== undefined) throw this.execFailure;
        return task;
      },
    };
  }
}

export class FakeDriver implements TaskDriver {
  readonly host = { cgroupVersion: 2 as const, hybrid: false, controllers: ['memory', 'cpu', 'pids'], seccomp: true, apparmor: false };
  readonly tasks: FakeTask[] = [];
  readonly requests: TaskRequest[] = [];
  readonly calls: string[] = [];
  failure: Error | undefined;
  /** What `recover` answers, by container id. */
  readonly recovered = new Map<string, Awaited<ReturnType<TaskDriver['recover']>>>();
  readonly preparedAttaches: AttachRequest[] = [];

  get last(): FakeTask {
    return this.tasks.at(-1)!;
  }

  async start(request: TaskRequest): Promise<Task> {
    this.requests.push(request);
    this.calls.push(`start ${request.id}`);
    if (this.failure !== undefined) throw this.failure;
    const task = new FakeTask(request.id, 1000 + this.tasks.length);
    this.tasks.push(task);
    return task;
  }

  prepare(): PreparedTask {
    return {
      attach: async (request) => {
        this.preparedAttaches.push(request);
        return { ended: new Promise(() => undefined) };
      },
      resize: () => undefined,
      abandon: () => this.calls.push('abandon'),
      caughtUp: async () => undefined,
    };
  }

  plan = (request: TaskRequest): string => `plan of ${request.spec.process?.args?.join(' ')}`;
  recover = async ({ id }: { id: string }): ReturnType<TaskDriver['recover']> => this.recovered.get(id);
  cleanUp = async ({ id }: { id: string }): Promise<void> => void this.calls.push(`clean ${id}`);
  stats = async (): ReturnType<TaskDriver['stats']> => undefined;
  pids = async (): Promise<number[]> => [process.pid];
  freeze = async (_path: string, frozen: boolean): Promise<void> => void this.calls.push(frozen ? 'freeze' : 'thaw');
  update = async (_path: string, resources: object): Promise<void> => void this.calls.push(`update ${JSON.stringify(resources)}`);
}

/** Remembers what it was told. */
export class FakeDns implements DnsService {
  readonly known = new Map<string, Parameters<DnsService['setContainer']>[1]>();
  makeReady = (): void => undefined;
  steps = (): [] => [];
  setContainer = (id: string, configuration: Parameters<DnsService['setContainer']>[1]): void => void this.known.set(id, configuration);
  has = (id: string): boolean => this.known.has(id);
  removeContainer = (id: string): void => void this.known.delete(id);
  settle = (): void => undefined;
  statistics = async (): Promise<undefined> => undefined;
  close = (): void => undefined;
}

export class FakeNetwork implements NetworkService {
  readonly bridge: NetworkRecord = {
    id: 'b'.repeat(64), name: 'bridge', driver: 'bridge', created: '', link: 'naru0', pools: [{ subnet: '172.17.0.0/16', ipRange: '', gateway: '172.17.0.1', auxiliary: {} }],
    ipv4: true, ipv6: false, internal: false, attachable: false, configOnly: false, configFrom: '', ipamOptions: {}, options: {}, labels: {},
  };
  readonly live = new Map<string, EndpointRecord>();
  reconciled: readonly EndpointRecord[] = [];
  reconcile = async (_networks: readonly NetworkRecord[], containers: readonly (readonly EndpointRecord[])[]): Promise<void> => void (this.reconciled = containers.flat());
  reserve(request: Parameters<NetworkService['reserve']>[0]): EndpointRecord[] {
    const taken = [...this.live.values()].flatMap(({ ports }) => ports);
    for (const { hostPort } of request.ports) {
      if (hostPort !== 0 && taken.some((port) => port.hostPort === hostPort)) throw new NaruError('conflict', `Bind for 0.0.0.0:${hostPort} failed: port is already allocated`);
    }
    const record: EndpointRecord = {
      containerId: request.containerId, networkId: this.bridge.id, network: 'bridge', endpointId: 'e'.repeat(64), hostInterface: 'veth0', interface: 'eth0',
      address: `172.17.0.${2 + this.live.size}`, prefixLength: 16, gateway: '172.17.0.1', ipv6: '', ipv6PrefixLength: 0, ipv6Gateway: '',
      mac: request.networks[0]?.mac ?? '02:42:ac:11:00:02', defaultIpv4: true, defaultIpv6: false, priority: 0,
      ports: request.ports.map(({ containerPort, protocol, hostIp, hostPort }, i) => ({ containerPort, protocol, hostIp: hostIp || '0.0.0.0', hostPort: hostPort || 32768 + i })),
    };
    this.live.set(request.containerId, record);
    return [record];
  }
  design = (request: Parameters<NetworkService['design']>[0]): NetworkRecord => ({ ...request, link: 'br-0' });
  make = async (): Promise<void> => undefined;
  forget = async (): Promise<void> => undefined;
  announce = async (): Promise<void> => undefined;
  connect = ({ endpoints }: { endpoints: readonly EndpointRecord[] }): EndpointRecord[] => [...endpoints];
  disconnect = async ({ endpoints }: { endpoints: readonly EndpointRecord[] }, networkId: string): Promise<EndpointRecord[]> => endpoints.filter((each) => each.networkId !== networkId);
  steps = (): [] => [];
  sysctls = (): Record<string, string> => ({ 'net.ipv6.conf.all.disable_ipv6': '1' });
  publish = async (): Promise<void> => undefined;
  release = async (endpoints: readonly EndpointRecord[]): Promise<void> => void this.live.delete(endpoints[0]?.containerId ?? '');
  counters = async (): ReturnType<NetworkService['counters']> => ({});
  close = (): void => undefined;
}

export const IMAGE_ID = `sha256:${'a'.repeat(64)}` as Digest;

function fakeStore(root: string, config: ContainerConfig): Store & { snapshotsMade: Map<string, SnapshotMount> } {
  const db = openDatabase(join(root, 'naru.db'), ENGINE_SCHEMA);
  const made = new Map<string, SnapshotMount>();
  const image = (): ImageRecord => ({
    id: IMAGE_ID, config: { created: '2024-01-01T00:00:00Z', architecture: process.arch === 'x64' ? 'amd64' : 'arm64', os: 'linux', config, rootfs: { type: 'layers', diff_ids: [] } },
    tags: [...tags], digests: [], variantOf: [], chainIds: [], size: 100, layerSizes: [100], lastTagged: 0n,
  });
  const tags = new Set(['busybox:latest']);
  let there = true;
  const unused = (): never => {
    throw new Error('not faked');
  };
  return {
    db, snapshotsMade: made, close: () => db.close(),
    transfers: undefined as never, documents: undefined as never, check: undefined as never, discardOrphan: undefined as never, discard: async (path) => rmSync(path, { recursive: true, force: true }), imageNames: undefined as never,
    images: {
      lastUsed: () => 0, variants: () => [], addVariant: () => undefined,
      find: (name) => (there && (tags.has(name) || tags.has(`${name}:latest`) || IMAGE_ID.includes(name)) ? image() : undefined), get: (id) => (there && id === IMAGE_ID ? image() : undefined), list: () => (there ? [image()] : []),
      tag: (_id, reference) => void tags.add(reference.includes(':') ? reference : `${reference}:latest`), untag: (reference) => tags.delete(reference),
      delete: (id) => {
        there = false;
        return { deleted: [id], bytes: 100 };
      },
      reclaimed: async () => undefined,
      load: unused, save: unused, import: unused, commit: unused, history: () => [], builtin: unused, layersSize: () => 100,
    },
    snapshots: {
      create(id) {
        const mount = { lowers: ['/layers/1'], upper: join(root, 'snapshots', id, 'upper'), work: join(root, 'snapshots', id, 'work') };
        mkdirSync(mount.upper, { recursive: true });
        made.set(id, mount);
        return mount;
      },
      mount: (id) => made.get(id) ?? { lowers: ['/layers/1'], upper: join(root, 'snapshots', id, 'upper'), work: join(root, 'snapshots', id, 'work') },
      remove: async (id) => void made.delete(id),
      usage: async () => ({ size: 10, inodes: 1 }), changes: async () => [], open: () => openSync(root, 'r'), openImage: () => openSync(root, 'r'), exportTar: () => Readable.from([]),
    },
  };
}

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n';
const GROUP = 'root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n';

export const fakeTrees: Trees = {
  stat: () => ({ name: 'x', size: 0, mode: 0, mtime: 0n, uid: 0, gid: 0, isDirectory: true, linkTarget: '' }),
  pack: () => Readable.from([]), unpack: async () => undefined, copyInto: async () => undefined,
  readLink: () => undefined,
  readFile: (_root, path) => new TextEncoder().encode(path === '/etc/passwd' ? PASSWD : GROUP),
};

export interface TestEngine {
  readonly engine: Awaited<ReturnType<typeof createEngine>>;
  readonly driver: FakeDriver;
  readonly network: FakeNetwork;
  readonly store: ReturnType<typeof fakeStore>;
  readonly root: string;
  readonly warnings: string[];
  /** A new engine over the same root, as after a kill -9: nothing was closed. */
  again(): Promise<TestEngine>;
  close(): Promise<void>;
}

/** An engine with one image, `busybox` (command `sh`). */
export async function testEngine(options: { config?: ContainerConfig; root?: string; driver?: FakeDriver } = {}): Promise<TestEngine> {
  const root = options.root ?? mkdtempSync(join(tmpdir(), 'naru-engine.'));
  const config = options.config ?? { Cmd: ['sh'], Env: ['PATH=/bin', 'FROM=image'], Labels: { image: 'yes' } };
  const driver = options.driver ?? new FakeDriver();
  const network = new FakeNetwork();
  const store = fakeStore(root, config);
  const warnings: string[] = [];
  const engine = await createEngine({ store, trees: fakeTrees, tasks: driver, network, dns: new FakeDns(), dataRoot: root, stateRoot: join(root, 'state'), version: '0.0.0', log: { warn: (text) => warnings.push(text) } });
  return {
    engine, driver, network, store, root, warnings,
    again: () => testEngine({ config, root, driver }),
    async close() {
      await engine.close();
      store.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Until `check` holds; fails after a second. */
export async function eventually(check: () => boolean | Promise<boolean>, what = 'condition'): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${what} did not come to hold`);
}
