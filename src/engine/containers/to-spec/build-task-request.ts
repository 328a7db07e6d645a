import { release } from 'node:os';
import { monotonicNow } from '#sys/monotonic.ts';
import { currentTrace } from '#sys/trace.ts';
import type { TaskRequest } from '#core/tasks/port.ts';
import { NaruError } from '#spec/errors.ts';
import type { NetworkStep } from '#spec/network-steps.ts';
import type { EndpointRecord } from '#net/port.ts';
import type { EngineContext } from '../../engine-context.ts';
import { dnsConfigurationOf } from '../../networks/container-dns.ts';
import type { Container } from '../container.ts';
import { cgroupPath, exitFile, logPath, stateDirectory } from '../container-paths.ts';
import { logLimits } from '../create/validate-log-config.ts';
import { parseSecurityOptions } from '../create/validate-security.ts';
import { blockDevice, devicesAt, hostDevices } from './host-devices.ts';
import { joined, sharedMemory, writeHostFiles } from './host-files.ts';
import { linkEnvironment } from './links.ts';
import { findProcessUser } from './process-user.ts';
import { NETWORK_POINTER } from './flag-sources.ts';
import { toSpec } from './to-spec.ts';
import { resolveUserMounts, type MountingOptions } from './user-mounts.ts';

const kernel = release();

/**
 * Everything that the task driver must know to start the container: the spec, its root file system, streams, log, network. Writes the
 * files for /etc. Throws in Docker's words what only shows here: a user that the image does not know, a device that is not there.
 * `dry`: for a plan, volumes and bind sources need not exist.
 */
export function buildTaskRequest(engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[], mounting: MountingOptions = { dry: false }): TaskRequest {
  const { doc, id } = container;
  const { config, hostConfig } = doc;
  const snapshot = engine.store.snapshots.mount(id);
  if (snapshot === undefined) throw new NaruError('corrupt', `container ${container.name} has lost its file system`, { hint: 'remove it and create it again' });
  const { user, home } = findProcessUser(engine, container, { user: config.User ?? '', groups: hostConfig.GroupAdd ?? [] });
  const join = joins(engine, container);
  const { spec, sources } = toSpec({
    id, doc, kernel, user, home, join, given: mounting.given, host: engine.tasks.host, security: parseSecurityOptions(hostConfig.SecurityOpt), cgroupPath: cgroupPath(engine, container),
    userMounts: resolveUserMounts(engine, container, mounting), files: writeHostFiles(engine, container, endpoints), sharedMemory: sharedMemory(engine, container),
    hostDevices, devicesAt, blockDevice, networkSysctls: engine.network.sysctls(endpoints), environment: [...chainEnvironment(container), ...linkEnvironment(engine, container)],
  });
  const request: TaskRequest = {
    id, spec, sources, stateDir: stateDirectory(engine, id), exitFile: exitFile(engine, container), durable: hostConfig.AutoRemove !== true,
    // A directory's own tree may hold the data root, and overlayfs takes no layer inside another.
    rootfs: { kind: 'overlay', ...snapshot, lowers: container.imageId === '' ? snapshot.lowers : [...snapshot.lowers, engine.initLayer], volatile: hostConfig.AutoRemove === true },
    ...(hostConfig.LogConfig?.Type === 'none' ? {} : { log: { path: logPath(engine, id), ...logLimits(hostConfig.LogConfig ?? { Type: 'json-file', Config: {} }) } }),
    io: {
      mode: config.Tty === true ? 'pty' : 'pipes', stdin: config.OpenStdin !== true ? 'none' : config.StdinOnce === true ? 'once' : 'open',
      ...terminalSize(container),
    },
    network: hasOwnNetwork(container) ? [...engine.network.steps(endpoints).map((step) => ({ ...step, source: NETWORK_POINTER })), ...resolverStepsOf(engine, container, endpoints)] : [],
    // In somebody else's PID namespace it would be no init: nothing is handed to it.
    init: hostConfig.Init === true && !hostConfig.PidMode && ['/sbin/docker-init', '--', ...(spec.process?.args ?? [])],
  };
  container.request = request;
  return request;
}

/** What it was started with; after a restart of the daemon it is made again, of what is there. */
export const currentRequest = (engine: EngineContext, container: Container): TaskRequest =>
  container.request ?? buildTaskRequest(engine, container, container.state.endpoints, { dry: true });

function resolverStepsOf(engine: EngineContext, container: Container, endpoints: readonly EndpointRecord[]): NetworkStep[] {
  const configuration = dnsConfigurationOf(engine, container, endpoints);
  return configuration === undefined ? [] : engine.dns.steps(container.id, configuration);
}

/** A network namespace of its own, even if nothing but loopback is in it. */
function hasOwnNetwork({ doc }: Container): boolean {
  const mode = doc.hostConfig.NetworkMode ?? '';
  return mode !== 'host' && !mode.startsWith('container:');
}

function joins(engine: EngineContext, { doc }: Container): { network?: string; ipc?: string; pid?: string } {
  const { NetworkMode, IpcMode, PidMode } = doc.hostConfig;
  const path = (mode: string | undefined, file: string): string | undefined => {
    const other = joined(engine, mode);
    return other === undefined ? undefined : `/proc/${other.task!.pid}/ns/${file}`;
  };
  const [network, ipc, pid] = [path(NetworkMode, 'net'), path(IpcMode, 'ipc'), path(PidMode, 'pid')];
  return { ...(network === undefined ? {} : { network }), ...(ipc === undefined ? {} : { ipc }), ...(pid === undefined ? {} : { pid }) };
}

function terminalSize({ doc, terminal }: Container): { rows?: number; columns?: number } {
  const [height, width] = doc.hostConfig.ConsoleSize ?? [0, 0];
  const size = terminal ?? { rows: height, columns: width };
  return doc.config.Tty === true && size.rows > 0 && size.columns > 0 ? { rows: size.rows, columns: size.columns } : {};
}

/** The built-in image `hello` shows the way it came: `link=start:end,…` in CLOCK_MONOTONIC nanoseconds, the last one still open. */
function chainEnvironment({ tellsChain, chain }: Container): string[] {
  if (!tellsChain) return [];
  const now = monotonicNow();
  const links = (currentTrace()?.spans ?? []).map(({ link, name, start, end }) => `${link} ${name}=${start}:${end}`);
  if (links.length === 0) {
    if (chain.create !== undefined) links.push(`engine create=${chain.create.start}:${chain.create.end}`);
    if (chain.start !== undefined) links.push(`engine start=${chain.start}:${now}`);
  }
  return [`NARU_CHAIN=${[...links, `runtime start=${now}:0`].join(',')}`];
}
