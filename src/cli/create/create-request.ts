import type { ContainerCreateRequest, HostConfig, Healthcheck, Mount, Resources, RestartPolicy, ThrottleDevice, Ulimit, WeightDevice } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { cut } from '../flags/csv.ts';
import type { ParsedFlags } from '../flags/parse-flags.ts';
import { parseDevices } from './devices.ts';
import { readKeyValueFile } from './key-value-file.ts';
import { checkMac, networkSettings } from './networks.ts';
import { parsePorts } from './ports.ts';
import { parseSecurityOptions } from './security.ts';
import { parseVolumes } from './volumes.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

/**
 * The flags and words of `run` and `create` as the API's request: field for field what Docker's own client would send. Throws
 * NaruError invalid.
 */
export function createRequest(flags: ParsedFlags, image: string, command: readonly string[], env: NodeJS.ProcessEnv): ContainerCreateRequest {
  for (const name of ['cpu-count', 'cpu-percent', 'io-maxiops', 'io-maxbandwidth']) {
    if (flags.changed(name)) throw invalid(`"--${name}" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux`);
  }
  if (flags.string('mac-address') !== '') checkMac(flags.string('mac-address'));
  const attach = flags.list('attach');
  const interactive = flags.bool('interactive');
  const attachStdin = interactive || attach.includes('stdin');
  const { binds, anonymous } = parseVolumes(flags.list('volume'));
  const { exposed, bindings } = parsePorts(flags.list('publish'), flags.list('expose'));
  const network = networkSettings(flags);
  const host = hostConfig(flags, env);
  host.Binds = binds.length === 0 ? null : binds;
  host.PortBindings = bindings;
  host.NetworkMode = network.mode;
  const entrypoint = flags.string('entrypoint');
  const health = healthcheck(flags);
  return {
    Hostname: flags.string('hostname'),
    Domainname: flags.string('domainname'),
    User: flags.string('user'),
    AttachStdin: attachStdin,
    AttachStdout: attach.length === 0 || attach.includes('stdout'),
    AttachStderr: attach.length === 0 || attach.includes('stderr'),
    ...(Object.keys(exposed).length === 0 ? {} : { ExposedPorts: exposed }),
    Tty: flags.bool('tty'),
    OpenStdin: interactive,
    StdinOnce: interactive && attachStdin,
    Env: environment(flags, env),
    Cmd: command.length === 0 ? null : [...command],
    ...(health === undefined ? {} : { Healthcheck: health }),
    Image: image,
    Volumes: anonymous,
    WorkingDir: flags.string('workdir'),
    Entrypoint: entrypoint !== '' ? [entrypoint] : flags.changed('entrypoint') ? [''] : null,
    OnBuild: null,
    Labels: labels(flags),
    ...(flags.string('stop-signal') === '' ? {} : { StopSignal: flags.string('stop-signal') }),
    ...(flags.changed('stop-timeout') ? { StopTimeout: flags.number('stop-timeout') } : {}),
    HostConfig: host,
    NetworkingConfig: { EndpointsConfig: network.endpoints },
  };
}

function hostConfig(flags: ParsedFlags, env: NodeJS.ProcessEnv): HostConfig {
  const restart = parseRestartPolicy(flags.string('restart'));
  const autoRemove = flags.bool('rm');
  const security = parseSecurityOptions(flags.list('security-opt'));
  const logDriver = flags.string('log-driver');
  const logOptions = flags.list('log-opt');
  if (logDriver === 'none' && logOptions.length > 0) throw invalid(`invalid logging opts for driver ${logDriver}`);
  const tmpfs = Object.fromEntries(flags.list('tmpfs').map((spec) => [cut(spec, ':')[0], cut(spec, ':')[1] ?? '']));
  if (autoRemove && restart.Name !== '' && restart.Name !== 'no') throw invalid('conflicting options: cannot specify both --restart and --rm');
  return {
    ...resources(flags),
    ContainerIDFile: flags.string('cidfile'),
    LogConfig: { Type: logDriver, Config: Object.fromEntries(logOptions.map((spec) => [cut(spec, '=')[0], cut(spec, '=')[1] ?? ''])) },
    RestartPolicy: restart,
    AutoRemove: autoRemove,
    VolumeDriver: flags.string('volume-driver'),
    VolumesFrom: nullable(flags.list('volumes-from')),
    ConsoleSize: [0, 0],
    ...(flags.list('annotation').length === 0 ? {} : { Annotations: flags.map('annotation') }),
    CapAdd: nullable(capabilities(flags.list('cap-add'))),
    CapDrop: nullable(capabilities(flags.list('cap-drop'))),
    CgroupnsMode: mode(flags, 'cgroupns', /^(private|host)$/, 'CGROUP') as HostConfig['CgroupnsMode'] & string,
    Dns: flags.list('dns'),
    DnsOptions: flags.list('dns-option'),
    DnsSearch: flags.list('dns-search'),
    ExtraHosts: nullable(flags.list('add-host')),
    GroupAdd: nullable(flags.list('group-add')),
    IpcMode: flags.string('ipc'),
    Cgroup: '',
    Links: nullable(flags.list('link')),
    OomScoreAdj: flags.number('oom-score-adj'),
    PidMode: mode(flags, 'pid', /^(host|container:.+)$/, 'PID'),
    Privileged: flags.bool('privileged'),
    PublishAllPorts: flags.bool('publish-all'),
    ReadonlyRootfs: flags.bool('read-only'),
    SecurityOpt: nullable(security.options),
    ...(flags.list('storage-opt').length === 0 ? {} : { StorageOpt: storageOptions(flags.list('storage-opt')) }),
    ...(Object.keys(tmpfs).length === 0 ? {} : { Tmpfs: tmpfs }),
    UTSMode: mode(flags, 'uts', /^host$/, 'UTS'),
    UsernsMode: mode(flags, 'userns', /^host$/, 'USER'),
    ShmSize: flags.number('shm-size'),
    ...(flags.list('sysctl').length === 0 ? {} : { Sysctls: flags.map('sysctl') }),
    ...(flags.string('runtime') === '' ? {} : { Runtime: flags.string('runtime') }),
    Isolation: flags.string('isolation'),
    ...(flags.list('mount').length === 0 ? {} : { Mounts: flags.list<Mount>('mount') }),
    MaskedPaths: security.maskedPaths,
    ReadonlyPaths: security.readonlyPaths,
    ...(flags.changed('init') ? { Init: flags.bool('init') } : {}),
    ...(flags.changed('health-on-failure') ? { 'naru.HealthOnFailure': flags.string('health-on-failure') } : {}),
    ...(flags.changed('rootfs') ? { 'naru.Rootfs': absolute(flags.string('rootfs'), env) } : {}),
  };
}

function resources(flags: ParsedFlags): Resources {
  const swappiness = flags.number('memory-swappiness');
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) throw invalid(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  const { mappings, cdi } = parseDevices(flags.list('device'));
  const requests = [...flags.list<NonNullable<Resources['DeviceRequests']>[number]>('gpus'), ...(cdi.length === 0 ? [] : [{ Driver: 'cdi', Count: 0, DeviceIDs: cdi, Capabilities: null, Options: null }])];
  const ulimits = new Map(flags.list<Ulimit>('ulimit').map((limit) => [limit.Name, limit]));
  return {
    CpuShares: flags.number('cpu-shares'), Memory: flags.number('memory'), NanoCpus: flags.number('cpus'), CgroupParent: flags.string('cgroup-parent'),
    BlkioWeight: flags.number('blkio-weight'), BlkioWeightDevice: flags.list<WeightDevice>('blkio-weight-device'),
    BlkioDeviceReadBps: flags.list<ThrottleDevice>('device-read-bps'), BlkioDeviceWriteBps: flags.list<ThrottleDevice>('device-write-bps'),
    BlkioDeviceReadIOps: flags.list<ThrottleDevice>('device-read-iops'), BlkioDeviceWriteIOps: flags.list<ThrottleDevice>('device-write-iops'),
    CpuPeriod: flags.number('cpu-period'), CpuQuota: flags.number('cpu-quota'), CpuRealtimePeriod: flags.number('cpu-rt-period'), CpuRealtimeRuntime: flags.number('cpu-rt-runtime'),
    CpusetCpus: flags.string('cpuset-cpus'), CpusetMems: flags.string('cpuset-mems'), Devices: mappings, DeviceCgroupRules: nullable(flags.list('device-cgroup-rule')),
    DeviceRequests: nullable(requests), MemoryReservation: flags.number('memory-reservation'), MemorySwap: flags.number('memory-swap'),
    MemorySwappiness: swappiness, OomKillDisable: flags.bool('oom-kill-disable'), PidsLimit: flags.number('pids-limit'),
    Ulimits: [...ulimits.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1)),
    CpuCount: flags.number('cpu-count'), CpuPercent: flags.number('cpu-percent'), IOMaximumIOps: flags.number('io-maxiops'), IOMaximumBandwidth: flags.number('io-maxbandwidth'),
  };
}

/** The flag's value: empty, or of these. */
function mode(flags: ParsedFlags, name: string, valid: RegExp, what: string): string {
  const value = flags.string(name);
  if (value !== '' && !valid.test(value)) throw invalid(`--${name}: invalid ${what} mode`);
  return value;
}

/** `on-failure:3` and its like. */
export function parseRestartPolicy(text: string): RestartPolicy {
  const [name, count] = cut(text, ':');
  if (count !== undefined && name === '') throw invalid('invalid restart policy format: no policy provided before colon');
  if (count === undefined || count === '') return { Name: name as RestartPolicy['Name'], MaximumRetryCount: 0 };
  if (!/^[+-]?\d+$/.test(count)) throw invalid('invalid restart policy format: maximum retry count must be an integer');
  return { Name: name as RestartPolicy['Name'], MaximumRetryCount: Number(count) };
}

function healthcheck(flags: ParsedFlags): Healthcheck | undefined {
  const names = ['health-interval', 'health-timeout', 'health-start-period', 'health-start-interval', 'health-retries'] as const;
  const command = flags.string('health-cmd');
  const wanted = command !== '' || names.some((name) => flags.number(name) !== 0);
  if (flags.bool('no-healthcheck')) {
    if (wanted) throw invalid('--no-healthcheck conflicts with --health-* options');
    return { Test: ['NONE'] };
  }
  if (!wanted) return undefined;
  for (const name of ['health-interval', 'health-timeout', 'health-retries', 'health-start-period', 'health-start-interval']) {
    if (flags.number(name) < 0) throw invalid(`--${name} cannot be negative`);
  }
  const out: Healthcheck = {};
  if (command !== '') out.Test = ['CMD-SHELL', command];
  const set = (key: Exclude<keyof Healthcheck, 'Test'>, name: string): void => {
    if (flags.number(name) !== 0) out[key] = flags.number(name);
  };
  set('Interval', 'health-interval');
  set('Timeout', 'health-timeout');
  set('StartPeriod', 'health-start-period');
  set('StartInterval', 'health-start-interval');
  set('Retries', 'health-retries');
  return out;
}

/** `--env-file`, then `-e`; of one name the last counts. */
export function environment(flags: ParsedFlags, env: NodeJS.ProcessEnv): string[] {
  if (!flags.changed('env-file') && !flags.changed('env')) return [];
  const fromFiles = flags.list('env-file').flatMap((path) => readKeyValueFile(path, (key) => env[key]));
  const last = new Map<string, string>();
  for (const entry of flags.list('env')) last.set(cut(entry, '=')[0], entry);
  return [...fromFiles, ...last.values()];
}

function labels(flags: ParsedFlags): Record<string, string> {
  if (!flags.changed('label-file') && !flags.changed('label')) return {};
  const all = [...flags.list('label-file').flatMap((path) => readKeyValueFile(path, undefined)), ...flags.list('label')];
  return Object.fromEntries(all.map((label) => [cut(label, '=')[0], cut(label, '=')[1] ?? '']));
}

/** `net_admin` is CAP_NET_ADMIN; ALL stands for the others. */
function capabilities(names: readonly string[]): string[] {
  const all = new Set(names.map((name) => name.trim().toUpperCase()).map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`)));
  return all.has('ALL') ? ['ALL'] : [...all].sort();
}

function storageOptions(specs: readonly string[]): Record<string, string> {
  return Object.fromEntries(specs.map((spec) => {
    const [key, value] = cut(spec, '=');
    if (value === undefined) throw invalid('invalid storage option');
    return [key, value];
  }));
}

const nullable = <T>(values: T[]): T[] | null => (values.length === 0 ? null : values);
const absolute = (path: string, env: NodeJS.ProcessEnv): string => (path.startsWith('/') ? path : `${env['PWD'] ?? process.cwd()}/${path}`);
