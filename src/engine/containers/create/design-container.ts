import { hostname as hostHostname } from 'node:os';
import { statSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig, ContainerCreateRequest, HostConfig, Mount } from '#spec/engine-api.ts';
import type { ImageRecord } from '#core/store.ts';
import { adjustCapabilities, availableCapabilities, DEFAULT_CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import type { EngineContext } from '../../engine-context.ts';
import { DEFAULT_SETTINGS, type EngineSettings } from '../../engine-settings.ts';
import { formatTime, nowNano } from '../../time/timestamps.ts';
import type { Container, ContainerDoc } from '../container.ts';
import { collectMounts } from './collect-mounts.ts';
import { designEndpoints } from './endpoints.ts';
import { normalizeHostConfig } from './default-host-config.ts';
import { fitness, parsePlatform } from '#registry/client/platform.ts';
import { variantsOf } from '../../images/image-platforms.ts';
import { admitRun } from '../../policy/admit-image.ts';
import { checkPlatform, findImage, platformWarning } from './find-image.ts';
import { resolveLinks } from './resolve-links.ts';
import { mergeImageConfig } from './merge-image-config.ts';
import { validateConfig } from './validate-config.ts';
import { HEALTH_ACTION_LABEL, validateHostConfig } from './validate-host-config.ts';
import { validateLogConfig } from './validate-log-config.ts';
import { validateModes } from './validate-modes.ts';
import { validateResources } from './validate-resources.ts';

/** A container on paper: everything checked, nothing made. */
export interface Design {
  readonly doc: ContainerDoc;
  readonly image: ImageRecord | undefined;
  readonly volumeOptions: ReadonlyMap<string, NonNullable<Mount['VolumeOptions']>>;
  readonly warnings: string[];
}

const CONFIG_KEYS = [
  'Hostname', 'Domainname', 'User', 'AttachStdin', 'AttachStdout', 'AttachStderr', 'ExposedPorts', 'Tty', 'OpenStdin', 'StdinOnce', 'Env', 'Cmd',
  'Healthcheck', 'ArgsEscaped', 'Image', 'Volumes', 'WorkingDir', 'Entrypoint', 'NetworkDisabled', 'MacAddress', 'OnBuild', 'Labels',
  'StopSignal', 'StopTimeout', 'Shell',
] as const;

/** The image behind the same name that is for the platform asked for, where there is one. */
function forPlatform(engine: EngineContext, image: ImageRecord, { name, platform }: { name: string; platform: string | undefined }): ImageRecord {
  if (platform === undefined || platform === '') return image;
  const others = variantsOf(engine, image, name);
  if (others.length === 0) return image; // checkPlatform has the words
  const wanted = parsePlatform(platform);
  return fitness(image.config, wanted) > 0 ? image : (others.find(({ config }) => fitness(config, wanted) > 0) ?? image);
}

/** The host's paths that a design looks at. */
export const pathsLookedAt = ({ HostConfig: host }: ContainerCreateRequest): string[] => [
  ...(host?.Mounts ?? []).flatMap(({ Type, Source }) => (Type === 'bind' && Source?.startsWith('/') ? [Source] : [])),
  ...(host?.['naru.Rootfs']?.startsWith('/') ? [host['naru.Rootfs']] : []),
];

/** Checks a request against the rules and against what is there. Throws NaruError in Docker's words. */
export function designContainer(engine: EngineContext, request: ContainerCreateRequest, options: { id: string; platform: string | undefined }): Design {
  const given = withSettings(request.HostConfig ?? {}, engine.settings());
  const rootfs = given['naru.Rootfs'];
  const imageName = request.Image ?? '';
  if (imageName === '' && rootfs === undefined) throw new NaruError('invalid', 'config: image is missing: name an image to create the container from');
  const found = rootfs === undefined ? findImage(engine.store.images, imageName) : undefined;
  const image = found === undefined ? undefined : forPlatform(engine, found, { name: imageName, platform: options.platform });
  if (rootfs !== undefined) checkRootfs(rootfs);
  if (image !== undefined) {
    checkPlatform(image, imageName, options.platform);
    admitRun(engine, image, imageName);
  }

  const own: ContainerConfig = {};
  for (const key of CONFIG_KEYS) if (request[key] !== undefined) (own as Record<string, unknown>)[key] = request[key];
  validateModes(own, given);
  const config = mergeImageConfig(own, image?.config.config);
  validateConfig(config);
  const action = given['naru.HealthOnFailure'] ?? config.Labels?.[HEALTH_ACTION_LABEL];
  if (action !== undefined) given['naru.HealthOnFailure'] = action;
  validateHostConfig(given);
  const warnings = validateResources(given, { realtime: engine.tasks.host.realtime === true });
  adjustCapabilities(DEFAULT_CAPABILITIES, { add: given.CapAdd ?? [], drop: given.CapDrop ?? [], available: availableCapabilities() });
  const host = normalizeHostConfig({ ...given, LogConfig: validateLogConfig(given.LogConfig) });
  resolveModes(engine, host);
  const links = resolveLinks(engine, host);
  const endpoints = designEndpoints(engine, request, { config, host });
  const { mounts, volumeOptions } = collectMounts(config, host, {
    mountsOf: (name) => other(engine, name).doc.mounts,
    image(name) {
      const mounted = findImage(engine.store.images, name);
      admitRun(engine, mounted, name);
      return mounted;
    },
  });
  for (const mount of mounts) {
    if (mount.type === 'volume' && mount.driver !== undefined && mount.driver !== 'local') {
      throw new NaruError('invalid', `error looking up volume plugin ${mount.driver}: plugin "${mount.driver}" not found`);
    }
  }
  fillHostname(engine, { config, host, id: options.id });
  const warning = image === undefined ? undefined : platformWarning(image, options.platform);
  if (warning !== undefined) warnings.push(warning);
  if (given.NetworkMode === 'host' && Object.keys(given.PortBindings ?? {}).length > 0) warnings.push('Published ports are discarded when using host network mode');
  const argv = [...((config.Entrypoint as string[] | null) ?? []), ...((config.Cmd as string[] | null) ?? [])];
  return {
    doc: {
      created: formatTime(nowNano()), config, hostConfig: host, imageName, imageId: image?.id ?? '', path: argv[0]!, args: argv.slice(1), mounts, endpoints, ...(links.length === 0 ? {} : { links }),
    },
    image, volumeOptions, warnings,
  };
}

/** The daemon's defaults, where the request says nothing. */
function withSettings(host: HostConfig, settings: EngineSettings): HostConfig {
  if (settings === DEFAULT_SETTINGS) return host;
  const named = new Set((host.Ulimits ?? []).map(({ Name }) => Name));
  const log = host.LogConfig?.Type ? host.LogConfig : { Type: settings.logDriver, Config: host.LogConfig?.Config ?? {} };
  const own = settings.noNewPrivileges && !(host.SecurityOpt ?? []).some((option) => option.startsWith('no-new-privileges'));
  const pick = (given: string[] | null | undefined, or: readonly string[]): string[] => ((given ?? []).length === 0 ? [...or] : given!);
  return {
    ...host,
    LogConfig: { Type: log.Type, Config: { ...(log.Type === settings.logDriver ? settings.logOptions : {}), ...log.Config } },
    Ulimits: [...(host.Ulimits ?? []), ...settings.ulimits.filter(({ Name }) => !named.has(Name))],
    ...(settings.shmSize !== undefined && !host.ShmSize ? { ShmSize: settings.shmSize } : {}),
    ...(settings.ipcMode !== '' && !host.IpcMode ? { IpcMode: settings.ipcMode } : {}),
    ...(settings.cgroupnsMode !== '' && !host.CgroupnsMode ? { CgroupnsMode: settings.cgroupnsMode } : {}),
    Dns: pick(host.Dns, settings.dns), DnsOptions: pick(host.DnsOptions, settings.dnsOptions), DnsSearch: pick(host.DnsSearch, settings.dnsSearch),
    ...(settings.init && host.Init === undefined ? { Init: true } : {}),
    ...(own ? { SecurityOpt: [...(host.SecurityOpt ?? []), 'no-new-privileges'] } : {}),
  };
}

function checkRootfs(path: string): void {
  if (typeof path !== 'string' || !path.startsWith('/')) throw new NaruError('invalid', `--rootfs ${path}: the path must be absolute`);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw new NaruError('not-found', `--rootfs ${path}: there is no such directory`);
}

/** Throws invalid, as Docker: clients take not-found for a missing image, and pull it. */
function other(engine: EngineContext, name: string): Container {
  const container = engine.containers.tryFind(name);
  if (container === undefined) throw new NaruError('invalid', `No such container: ${name}`);
  return container;
}

/** `container:name` becomes `container:<id>`, so that renames do not matter. Throws not-found. */
function resolveModes(engine: EngineContext, host: HostConfig): void {
  for (const key of ['NetworkMode', 'IpcMode', 'PidMode'] as const) {
    const mode = host[key] ?? '';
    if (!mode.startsWith('container:')) continue;
    const donor = other(engine, mode.slice('container:'.length));
    if (key === 'IpcMode' && !['shareable', 'host'].includes(donor.doc.hostConfig.IpcMode ?? '') && !donor.doc.hostConfig.IpcMode?.startsWith('container:')) {
      throw new NaruError('invalid', `cannot join IPC namespace of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`);
    }
    host[key] = `container:${donor.id}`;
  }
}

function fillHostname(engine: EngineContext, { config, host, id }: { config: ContainerConfig; host: HostConfig; id: string }): void {
  const mode = host.NetworkMode ?? '';
  if (mode.startsWith('container:')) {
    // Whoever shares a network shares its name.
    const { config: donor } = engine.containers.find(mode.slice('container:'.length)).doc;
    config.Hostname = donor.Hostname ?? '';
    config.Domainname = donor.Domainname ?? '';
  } else if (host.UTSMode === 'host' || (mode === 'host' && !config.Hostname)) config.Hostname = hostHostname();
  else if (!config.Hostname) config.Hostname = id.slice(0, 12);
}
