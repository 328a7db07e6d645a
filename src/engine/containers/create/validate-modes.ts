import { NaruError } from '#spec/errors.ts';
import type { ContainerConfig, HostConfig } from '#spec/engine-api.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

const isContainer = (mode: string): boolean => mode.startsWith('container:') && mode.length > 'container:'.length;

/** The namespace modes, and what each forbids beside it. Throws invalid in Docker's words. */
export function validateModes(config: ContainerConfig, host: HostConfig): void {
  const { PidMode = '', IpcMode = '', UTSMode = '', UsernsMode = '', CgroupnsMode = '' } = host;
  if (!['', 'host', 'private'].includes(PidMode) && !isContainer(PidMode)) throw invalid(`invalid PID mode: ${PidMode}`);
  if (!['', 'none', 'private', 'shareable', 'host'].includes(IpcMode) && !isContainer(IpcMode)) throw invalid(`invalid IPC mode: ${IpcMode}`);
  if (!['', 'host', 'private'].includes(UTSMode)) throw invalid(`invalid UTS mode: ${UTSMode}`);
  if (!['', 'private', 'host'].includes(CgroupnsMode)) throw invalid(`invalid cgroup namespace mode: ${CgroupnsMode}`);
  if (!['', 'host'].includes(UsernsMode)) throw invalid(`invalid user namespace mode: ${UsernsMode}`);
  if (UTSMode === 'host' && (config.Hostname || config.Domainname)) throw invalid('conflicting options: hostname and the UTS mode');
  validateNetworkMode(config, host);
}

function validateNetworkMode(config: ContainerConfig, host: HostConfig): void {
  const mode = host.NetworkMode ?? '';
  if (mode === 'container:') throw invalid("Container network must be given as 'container:<name|id>'");
  if (mode === 'host' && (host.Links?.length ?? 0) > 0) throw invalid('conflicting options: host type networking can\'t be used with links. This would result in undefined behavior');
  if (!mode.startsWith('container:')) return;
  const conflicts: readonly (readonly [unknown, string])[] = [
    [config.Hostname, 'hostname and the network mode'],
    [host.Links?.length, 'container type network can\'t be used with links. This would result in undefined behavior'],
    [host.Dns?.length, 'dns and the network mode'],
    [host.ExtraHosts?.length, 'custom host-to-IP mapping and the network mode'],
    [config.MacAddress, 'mac-address and the network mode'],
    [Object.keys(host.PortBindings ?? {}).length || host.PublishAllPorts, 'port publishing and the container type network mode'],
    [Object.keys(config.ExposedPorts ?? {}).length, 'port exposing and the container type network mode'],
  ];
  for (const [given, what] of conflicts) if (given) throw invalid(`conflicting options: ${what}`);
}

/** The network that the container asks for: `bridge`, `none`, `host`, `container:…`, or a name to look up. */
export function networkOf(host: HostConfig): string {
  const mode = host.NetworkMode ?? '';
  return mode === '' || mode === 'default' ? 'bridge' : mode;
}
