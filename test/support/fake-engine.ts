import { Readable } from 'node:stream';
import type { ClientDescriptor, Engine } from '#api/engine-port.ts';
import type * as A from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { closeQuietly, dupDescriptor } from '#sys/descriptors.ts';
import { type FdSocket, adoptSocket } from '#sys/fd-socket.ts';

export interface FakeCall { readonly method: string; readonly args: readonly unknown[] }

type Implementations = { [Noun in keyof Engine]?: Partial<Engine[Noun]> };

/** An engine that records what it was asked; methods that were not given throw `unsupported`. */
export function fakeEngine(given: Implementations = {}): Engine & { calls: FakeCall[] } {
  const calls: FakeCall[] = [];
  const noun = (name: keyof Engine): unknown =>
    new Proxy({}, {
      get: (_target, method: string) => (...args: unknown[]): unknown => {
        calls.push({ method: `${name}.${method}`, args });
        const implementation = (given[name] as Record<string, ((...a: unknown[]) => unknown) | undefined> | undefined)?.[method];
        if (implementation !== undefined) return implementation(...args);
        const result = DEFAULTS[`${name}.${method}`];
        if (result !== undefined) return Promise.resolve(structuredClone(result));
        return Promise.reject(new NaruError('unsupported', `the fake has no ${name}.${method}`));
      },
    });
  const nouns = ['containers', 'exec', 'images', 'volumes', 'networks', 'system', 'registries'] as const;
  return { calls, ...Object.fromEntries(nouns.map((name) => [name, noun(name)])) } as Engine & { calls: FakeCall[] };
}

/** Serves an attached client as `cat` with frames would: every input comes back on stdout; ends when the input ends. */
export async function echoClient(client: ClientDescriptor, frame: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): Promise<void> {
  const fd = dupDescriptor(client.fd);
  let socket: FdSocket | undefined;
  let pending: Uint8Array = new Uint8Array(0);
  let ended = false;
  const flush = (): void => {
    if (pending.byteLength > 0) pending = pending.subarray(socket!.write(pending));
    if (pending.byteLength > 0) return;
    socket!.resume();
    if (ended) socket!.close();
  };
  try {
    socket = await adoptSocket(fd, {
      data: (bytes) => {
        pending = Buffer.concat([pending, frame(bytes)]);
        if (pending.byteLength > 1 << 20) socket!.pause();
        flush();
      },
      drain: flush,
      end: () => {
        ended = true;
        flush();
      },
      close: () => undefined,
    });
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

export const stdoutFrame = (bytes: Uint8Array): Uint8Array => {
  const header = Buffer.alloc(8);
  header[0] = 1;
  header.writeUInt32BE(bytes.byteLength, 4);
  return Buffer.concat([header, bytes]);
};

const ID = 'f00d'.repeat(16);
const IMAGE_ID = `sha256:${'beef'.repeat(16)}`;

export const aContainer: A.ContainerInspect = {
  Id: ID, Created: '2026-01-02T03:04:05.000000006Z', Path: 'cat', Args: [], Image: IMAGE_ID, ResolvConfPath: '', HostnamePath: '', HostsPath: '',
  LogPath: '', Name: '/web', RestartCount: 0, Driver: 'overlay2', Platform: 'linux', MountLabel: '', ProcessLabel: '', AppArmorProfile: '',
  ExecIDs: null, HostConfig: { NetworkMode: 'default', LogConfig: { Type: 'json-file', Config: {} } }, GraphDriver: { Name: 'overlay2', Data: null }, Mounts: [],
  State: {
    Status: 'running', Running: true, Paused: false, Restarting: false, OOMKilled: false, Dead: false, Pid: 42, ExitCode: 0, Error: '',
    StartedAt: '2026-01-02T03:04:06Z', FinishedAt: '0001-01-01T00:00:00Z',
  },
  Config: { Image: 'busybox', Cmd: ['cat'], Tty: false, OpenStdin: true, Labels: {} },
  NetworkSettings: {
    Bridge: '', SandboxID: '', SandboxKey: '', Ports: {}, HairpinMode: false, LinkLocalIPv6Address: '', LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null, SecondaryIPv6Addresses: null, EndpointID: '', Gateway: '', GlobalIPv6Address: '', GlobalIPv6PrefixLen: 0,
    IPAddress: '', IPPrefixLen: 0, IPv6Gateway: '', MacAddress: '', Networks: { bridge: { MacAddress: '02:42:ac:11:00:02', IPAddress: '172.17.0.2' } },
  },
  ImageManifestDescriptor: {},
};

const aSummary: A.ContainerSummary = {
  Id: ID, Names: ['/web'], Image: 'busybox', ImageID: IMAGE_ID, Command: 'cat', Created: 1_767_323_045, Ports: [], Labels: {}, State: 'running',
  Status: 'Up 2 minutes', HostConfig: { NetworkMode: 'default', Annotations: { a: 'b' } }, NetworkSettings: { Networks: {} }, Mounts: [],
};

const anImage: A.ImageInspect = {
  Id: IMAGE_ID, RepoTags: ['busybox:latest'], RepoDigests: [], Parent: '', Comment: '', DockerVersion: '', Author: '', Config: {}, Architecture: 'amd64',
  Os: 'linux', Size: 1234, GraphDriver: { Name: 'overlay2', Data: null }, RootFS: { Type: 'layers', Layers: [] }, Metadata: { LastTagTime: '' }, Descriptor: {},
};

const DEFAULTS: Record<string, unknown> = {
  'containers.list': [aSummary],
  'containers.inspect': aContainer,
  'containers.create': { Id: ID, Warnings: [] },
  'containers.plan': 'clone pid mnt\nexec /bin/true\n',
  'containers.statPath': { name: 'etc', size: 4096, mode: 2147484141, mtime: '2026-01-02T03:04:05Z', linkTarget: '' },
  'images.inspect': anImage,
  'images.list': [{ Id: IMAGE_ID, ParentId: '', RepoTags: [], RepoDigests: [], Created: 1, Size: 5, SharedSize: -1, Labels: null, Containers: -1 }],
  'volumes.list': { Volumes: [], Warnings: null },
  'networks.list': [],
  'system.info': {
    ID: 'x', Name: 'fake', ServerVersion: '0.1.0', Containers: 1, ContainersRunning: 1, Images: 1, Driver: 'overlay2', OperatingSystem: 'Linux', OSType: 'linux',
    Architecture: 'x86_64', NCPU: 2, MemTotal: 1 << 30, DockerRootDir: '/var/lib/naru', CgroupDriver: 'cgroupfs', CgroupVersion: '1', SecurityOptions: [],
  },
  'system.version': { Version: '0.1.0', ApiVersion: '1.51', MinAPIVersion: '1.24', Os: 'linux', Arch: 'amd64', GitCommit: 'none', GoVersion: 'none', KernelVersion: '6', Platform: { Name: 'naru' }, Components: [] },
};

for (const method of ['start', 'stop', 'restart', 'kill', 'pause', 'unpause', 'rename', 'remove', 'resize']) DEFAULTS[`containers.${method}`] = null;

export const textStream = (...parts: (string | Uint8Array)[]): Readable => Readable.from(parts.map((part) => Buffer.from(part as string)), { objectMode: false });
