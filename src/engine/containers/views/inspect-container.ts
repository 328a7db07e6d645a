import type { ContainerConfig, ContainerInspect, ContainerState, HostConfig } from '#spec/engine-api.ts';
import type { Digest } from '#spec/ids.ts';
import type { EngineContext } from '../../engine-context.ts';
import type { Container } from '../container.ts';
import { logPath, stateDirectory } from '../container-paths.ts';
import { countsAsRunning } from '../container-state.ts';
import { HOST_CONFIG_DEFAULTS } from '../create/default-host-config.ts';
import { parseSecurityOptions } from '../create/validate-security.ts';
import { maskedPaths, READONLY_PATHS } from '#runtime/spec/default-spec.ts';
import { mountPoints } from './mount-points.ts';
import { networkSettings } from './network-view.ts';
import { shownStatus } from './status-text.ts';

const CONFIG_DEFAULTS: ContainerConfig = {
  Hostname: '', Domainname: '', User: '', AttachStdin: false, AttachStdout: false, AttachStderr: false, Tty: false, OpenStdin: false,
  StdinOnce: false, Env: [], Cmd: null, Image: '', Volumes: null, WorkingDir: '', Entrypoint: null, OnBuild: null, Labels: {},
};

/** Everything about one container. Reads memory only, except for the sizes. */
export async function inspectContainer(engine: EngineContext, container: Container, size: boolean): Promise<ContainerInspect> {
  const { doc, id } = container;
  const state = stateDirectory(engine, id);
  const mount = engine.store.snapshots.mount(id);
  const sizes = size ? await containerSizes(engine, container) : {};
  const own = doc.hostConfig.NetworkMode?.startsWith('container:') !== true;
  return {
    Id: id, Created: doc.created, Path: doc.path, Args: [...doc.args], State: containerState(container), Image: doc.imageId,
    ResolvConfPath: own ? `${state}/resolv.conf` : '', HostnamePath: own ? `${state}/hostname` : '', HostsPath: own ? `${state}/hosts` : '',
    LogPath: doc.hostConfig.LogConfig?.Type === 'none' ? '' : logPath(engine, id), Name: `/${container.name}`, RestartCount: container.state.restartCount,
    Driver: 'overlay2', Platform: 'linux', MountLabel: '', ProcessLabel: '', AppArmorProfile: '', ExecIDs: engine.execs.idsOf(id),
    HostConfig: { ...hostConfigView(doc.hostConfig), ...(doc.links === undefined ? {} : { Links: linkNames(engine, container) }) },
    GraphDriver: { Name: 'overlay2', Data: mount === undefined ? null : { LowerDir: mount.lowers.join(':'), UpperDir: mount.upper, WorkDir: mount.work, ID: id } },
    ...sizes, Mounts: mountPoints(engine, container), Config: configView(doc.config), NetworkSettings: networkSettings(engine, container),
  };
}

/** `/other:/self/alias`, as Docker shows them. */
const linkNames = (engine: EngineContext, { doc, name }: Container): string[] =>
  (doc.links ?? []).flatMap(({ id, alias }) => {
    const other = engine.containers.get(id);
    return other === undefined ? [] : [`/${other.name}:/${name}/${alias}`];
  });

/** Bytes that the container wrote, and those with its image. */
export async function containerSizes({ store }: EngineContext, container: Container): Promise<{ SizeRw: number; SizeRootFs: number }> {
  const { size } = await store.snapshots.usage(container.id);
  const image = container.imageId === '' ? undefined : store.images.get(container.imageId as Digest);
  return { SizeRw: size, SizeRootFs: size + (image?.size ?? 0) };
}

export function containerState(container: Container): ContainerState {
  const { state } = container;
  const status = shownStatus(container);
  return {
    Status: status, Running: countsAsRunning(status), Paused: status === 'paused', Restarting: status === 'restarting', OOMKilled: state.oomKilled,
    Dead: status === 'dead', Pid: state.pid, ExitCode: state.exitCode, Error: state.error, StartedAt: state.startedAt, FinishedAt: state.finishedAt,
    ...(state.health === undefined ? {} : { Health: state.health }),
  };
}

function configView(config: ContainerConfig): ContainerConfig {
  const shown: ContainerConfig = { ...CONFIG_DEFAULTS, ...config };
  for (const key of ['ExposedPorts', 'Healthcheck', 'Shell'] as const) {
    if (shown[key] === null || (key === 'ExposedPorts' && Object.keys(shown.ExposedPorts ?? {}).length === 0)) delete shown[key];
  }
  if (Object.keys(shown.Volumes ?? {}).length === 0) shown.Volumes = null;
  if (shown.StopSignal === '') delete shown.StopSignal;
  return shown;
}

function hostConfigView(host: HostConfig): HostConfig {
  const shown: HostConfig = { ...HOST_CONFIG_DEFAULTS };
  for (const [key, value] of Object.entries(host)) if (value !== undefined) (shown as Record<string, unknown>)[key] = value;
  const open = host.Privileged === true || parseSecurityOptions(host.SecurityOpt).unconfinedPaths;
  shown.MaskedPaths = host.MaskedPaths ?? (open ? null : [...maskedPaths()]);
  shown.ReadonlyPaths = host.ReadonlyPaths ?? (open ? null : [...READONLY_PATHS]);
  return shown;
}
