import { hostname as hostHostname } from 'node:os';
import { statSync } from 'node:fs';
import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig, ContainerCreateRequest, EndpointSettings, HostConfig, Mount } from '#spec/engine-api.ts';
import type { ImageRecord } from '#core/store.ts';
import { adjustCapabilities, availableCapabilities, DEFAULT_CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import type { EngineContext } from '../../engine-context.ts';
import { formatTime, nowNano } from '../../time/timestamps.ts';
import type { Container, ContainerDoc } from '../container.ts';
import { collectMounts } from './collect-mounts.ts';
import { normalizeHostConfig } from './default-host-config.ts';
import { checkPlatform, findImage, platformWarning } from './find-image.ts';
import { resolveLinks } from './resolve-links.ts';
import { mergeImageConfig } from './merge-image-config.ts';
import { validateConfig } from './validate-config.ts';
import { HEALTH_ACTION_LABEL, validateHostConfig } from './validate-host-config.ts';
import { validateLogConfig } from './validate-log-config.ts';
import { networkOf, validateModes } from './validate-modes.ts';
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

/** Checks a request against the rules and against what is there. Throws NaruError in Docker's words. */
export function designContainer(engine: EngineContext, request: ContainerCreateRequest, options: { id: string; platform: string | undefined }): Design {
  const given = request.HostConfig ?? {};
  const rootfs = given['naru.Rootfs'];
  const imageName = request.Image ?? '';
  if (imageName === '' && rootfs === undefined) throw new NaruError('invalid', 'config: image is missing: name an image to create the container from');
  const image = rootfs === undefined ? findImage(engine.store.images, imageName) : undefined;
  if (rootfs !== undefined) checkRootfs(rootfs);
  if (image !== undefined) checkPlatform(image, imageName, options.platform);

  const own: ContainerConfig = {};
  for (const key of CONFIG_KEYS) if (request[key] !== undefined) (own as Record<string, unknown>)[key] = request[key];
  validateModes(own, given);
  const config = mergeImageConfig(own, image?.config.config);
  validateConfig(config);
  const action = given['naru.HealthOnFailure'] ?? config.Labels?.[HEALTH_ACTION_LABEL];
  if (action !== undefined) given['naru.HealthOnFailure'] = action;
  validateHostConfig(given);
  const warnings = validateResources(given);
  adjustCapabilities(DEFAULT_CAPABILITIES, { add: given.CapAdd ?? [], drop: given.CapDrop ?? [], available: availableCapabilities() });
  const host = normalizeHostConfig({ ...given, LogConfig: validateLogConfig(given.LogConfig) });
  resolveModes(engine, host);
  const links = resolveLinks(engine, host);
  const endpoints = checkEndpoints(engine, request, { config, host });
  const { mounts, volumeOptions } = collectMounts(config, host, {
    mountsOf: (name) => other(engine, name).doc.mounts,
    image: (name) => findImage(engine.store.images, name),
  });
  for (const mount of mounts) {
    if (mount.type === 'volume' && mount.driver !== undefined && mount.driver !== 'local') {
      throw new NaruError('not-found', `error looking up volume plugin ${mount.driver}: plugin "${mount.driver}" not found`);
    }
  }
  fillHostname(engine, { config, host, id: options.id });
  const warning = image === undefined ? undefined : platformWarning(image, options.platform);
  if (warning !== undefined) warnings.push(warning);
  const argv = [...((config.Entrypoint as string[] | null) ?? []), ...((config.Cmd as string[] | null) ?? [])];
  return {
    doc: {
      created: formatTime(nowNano()), config, hostConfig: host, imageName, imageId: image?.id ?? '', path: argv[0]!, args: argv.slice(1), mounts, endpoints, ...(links.length === 0 ? {} : { links }),
    },
    image, volumeOptions, warnings,
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

/** What the request says of its networks. Throws for what the default bridge cannot do, and for networks that there are not. */
function checkEndpoints(engine: EngineContext, request: ContainerCreateRequest, { config, host }: { config: ContainerConfig; host: HostConfig }): Record<string, EndpointSettings> {
  const given = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {});
  const network = networkOf(host);
  const builtIn = ['bridge', 'none', 'host'].includes(network) || network.startsWith('container:');
  if (!builtIn) throw new NaruError('not-found', `network ${network} not found`, { hint: 'this build has the networks bridge, host and none' });
  if (given.length > 1) throw new NaruError('invalid', 'Container cannot be connected to network endpoints: ' + given.map(([name]) => name).join(', '));
  const endpoints: Record<string, EndpointSettings> = {};
  for (const [name, settings] of given) {
    const real = name === 'default' ? 'bridge' : name;
    if (real !== network && engine.network.bridge.id !== real) throw new NaruError('not-found', `network ${name} not found`);
    if (settings?.IPAMConfig?.IPv4Address || settings?.IPAMConfig?.IPv6Address) throw new NaruError('invalid', 'user specified IP address is supported on user defined networks only');
    if ((settings?.Aliases ?? []).length > 0) throw new NaruError('invalid', 'network-scoped alias is supported only for containers in user defined networks');
    if ((settings?.Links ?? []).length > 0) throw new NaruError('invalid', 'links are supported only for containers in user defined networks');
    const mac = settings?.MacAddress;
    if (mac && !/^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(mac)) throw new NaruError('invalid', `invalid MAC address: ${mac}`);
    if (mac && config.MacAddress && mac.toLowerCase() !== config.MacAddress.toLowerCase()) {
      throw new NaruError('invalid', 'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty');
    }
    if (settings !== null) endpoints[network] = settings;
  }
  if (config.MacAddress && network === 'bridge') endpoints[network] = { ...endpoints[network], MacAddress: config.MacAddress };
  return endpoints;
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
