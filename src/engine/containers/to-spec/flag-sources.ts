import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import type { SpecDraft, SpecInput } from './spec-draft.ts';

/** Pointers of what is no part of config.json but of a plan, beside /process and the like. */
export const NETWORK_POINTER = '/engine/network';

/**
 * The flags that change what builders do in passing, by the pointer of what they change. Builders note their own; what is noted nowhere is
 * Docker's default. `given`: what the user asked for, where that is known: the rest of the configuration is the image's.
 */
export function noteFlags({ spec, sources }: SpecDraft, { id, doc, given, join }: SpecInput): void {
  const { config, hostConfig } = doc;
  const note = (pointer: string, flags: readonly (string | false | undefined)[]): void => {
    const said = flags.filter((flag) => flag !== false && flag !== undefined && flag !== '');
    if (said.length > 0) sources.set(pointer, said.join(' '));
  };
  const mine = (field: keyof ContainerCreateRequest): boolean => given === undefined || Boolean(given[field]);
  const privileged = hostConfig.Privileged === true;
  const mode = (flag: string, value: string | undefined, ...defaults: (string | undefined)[]): string | false => value !== undefined && value !== '' && !defaults.includes(value) && `${flag} ${value}`;

  const env = given === undefined ? [] : (given.Env ?? []).map((variable) => `--env ${variable.split('=', 1)[0]!}`);
  const command = [
    (given?.Entrypoint?.length ?? 0) > 0 && `--entrypoint ${[given!.Entrypoint].flat().join(' ')}`,
    given === undefined || (given.Cmd?.length ?? 0) > 0 ? 'COMMAND' : (given.Entrypoint?.length ?? 0) === 0 && 'the image',
  ];
  note('/process/args', [...command, ...env]);
  note('/process/args/init', [hostConfig.Init === true && !hostConfig.PidMode && '--init']);
  if (config.User) note('/process/user', [mine('User') ? `--user ${config.User}` : 'the image: USER']);
  note('/process/user/additionalGids', [...(hostConfig.GroupAdd ?? []).map((group) => `--group-add ${group}`), ...(config.User ? [sources.get('/process/user')] : [])]);
  if (config.WorkingDir) note('/process/cwd', [mine('WorkingDir') ? `--workdir ${config.WorkingDir}` : 'the image: WORKDIR']);
  note('/process/terminal', [config.OpenStdin === true && '--interactive', config.Tty === true && '--tty']);

  const hostname = config.Hostname !== undefined && config.Hostname !== '' && config.Hostname !== id.slice(0, 12) && `--hostname ${config.Hostname}`;
  note('/hostname', [hostname]);
  const host = (flag: string, value: string | undefined): string | false => value === 'host' && `${flag} host`;
  const network = mode('--network', hostConfig.NetworkMode, 'default', 'bridge');
  note('/linux/namespaces', [
    join.network === undefined && network, join.pid === undefined && mode('--pid', hostConfig.PidMode), join.ipc === undefined && mode('--ipc', hostConfig.IpcMode, 'private'),
    host('--uts', hostConfig.UTSMode), host('--cgroupns', hostConfig.CgroupnsMode),
  ]);
  note(NETWORK_POINTER, [network]);

  const { Type: driver = '', Config: logOptions = {} } = hostConfig.LogConfig ?? {};
  note('/engine/log', [mode('--log-driver', driver, 'json-file'), ...Object.entries(logOptions).map(([name, value]) => `--log-opt ${name}=${value}`)]);
  note('/engine/exit', [hostConfig.AutoRemove === true && '--rm']);
  note('/root', [mode('--rootfs', hostConfig['naru.Rootfs'])]);
  note('/linux/maskedPaths', [privileged && '--privileged']);

  const files: Readonly<Record<string, readonly (string | false)[]>> = {
    '/etc/resolv.conf': [...(hostConfig.Dns ?? []).map((server) => `--dns ${server}`), ...(hostConfig.DnsSearch ?? []).map((domain) => `--dns-search ${domain}`), ...(hostConfig.DnsOptions ?? []).map((option) => `--dns-option ${option}`)],
    '/etc/hosts': [...(hostConfig.ExtraHosts ?? []).map((host_) => `--add-host ${host_}`), hostname],
    '/etc/hostname': [hostname],
    '/dev/shm': [mode('--ipc', hostConfig.IpcMode, 'private')],
  };
  spec.mounts.forEach(({ destination, type }, index) => {
    const pointer = `/mounts/${index}`;
    if (sources.has(pointer)) return;
    if (files[destination] !== undefined) note(pointer, files[destination]);
    else if (privileged && (type === 'sysfs' || type === 'cgroup')) note(pointer, ['--privileged']);
  });
}
