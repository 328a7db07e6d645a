import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, hostname, release } from 'node:os';
import type { Json } from '#spec/engine-api.ts';
import type { EngineContext } from '../engine-context.ts';
import { LOG_DRIVERS } from '../containers/create/validate-log-config.ts';
import { hostMemory } from '../stats/host-facts.ts';
import { formatTime, nowNano } from '../time/timestamps.ts';
import { backingFilesystem } from './backing-filesystem.ts';
import { architecture } from './version.ts';

const ARCHITECTURES: Record<string, string> = { amd64: 'x86_64', arm64: 'aarch64' };

/** `GET /info`. */
export function infoView(engine: EngineContext, daemonId: string): Json {
  const { host } = engine.tasks;
  const settings = engine.settings();
  const insecure = settings.insecureRegistries.filter((entry) => !entry.includes('/'));
  const containers = engine.containers.all();
  const count = (...statuses: string[]): number => containers.filter(({ state }) => statuses.includes(state.status)).length;
  const has = (controller: string): boolean => host.controllers.includes(controller);
  const runtime = { path: 'naru' };
  return {
    ID: daemonId, Name: hostname(), ServerVersion: engine.version, Containers: containers.length, ContainersRunning: count('running', 'restarting'),
    ContainersPaused: count('paused'), ContainersStopped: count('created', 'starting', 'exited', 'dead', 'removing'), Images: engine.store.images.list().length,
    Driver: 'overlay2', DriverStatus: [['Backing Filesystem', backingFilesystem(engine.dataRoot)], ['Supports d_type', 'true'], ['Native Overlay Diff', 'true'], ['Host mount table', 'never touched']],
    Plugins: { Volume: ['local'], Network: ['bridge', 'host', 'ipvlan', 'macvlan', 'null'], Authorization: null, Log: [...LOG_DRIVERS] },
    MemoryLimit: has('memory'), SwapLimit: has('memory'), KernelMemoryTCP: false, CpuCfsPeriod: has('cpu'), CpuCfsQuota: has('cpu'), CPUShares: has('cpu'), CPUSet: has('cpuset'),
    PidsLimit: has('pids'), IPv4Forwarding: true, Debug: settings.debug, NFd: openDescriptors(), OomKillDisable: host.cgroupVersion === 1 && has('memory'),
    NGoroutines: -1, SystemTime: formatTime(nowNano()), LoggingDriver: settings.logDriver, CgroupDriver: 'cgroupfs', CgroupVersion: String(host.cgroupVersion), NEventsListener: 0,
    KernelVersion: release(), OperatingSystem: operatingSystem(), OSVersion: '', OSType: 'linux', Architecture: ARCHITECTURES[architecture()] ?? architecture(),
    IndexServerAddress: 'https://index.docker.io/v1/', RegistryConfig: { InsecureRegistryCIDRs: [...settings.insecureRegistries.filter((entry) => entry.includes('/')), '::1/128', '127.0.0.0/8'],
      IndexConfigs: Object.fromEntries([['docker.io', { Name: 'docker.io', Mirrors: [...settings.registryMirrors], Secure: true, Official: true }], ...insecure.map((name) => [name, { Name: name, Mirrors: [], Secure: false, Official: false }])]), Mirrors: [...settings.registryMirrors] },
    NCPU: availableParallelism(), MemTotal: hostMemory(), GenericResources: null, DockerRootDir: engine.dataRoot, HttpProxy: proxy('HTTP_PROXY'), HttpsProxy: proxy('HTTPS_PROXY'), NoProxy: proxy('NO_PROXY'),
    Labels: [...settings.labels], ExperimentalBuild: false, Runtimes: { naru: runtime, runc: runtime, 'io.containerd.runc.v2': runtime }, DefaultRuntime: 'naru',
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null }, LiveRestoreEnabled: true, Isolation: '',
    InitBinary: 'naru-init', ContainerdCommit: { ID: '' }, RuncCommit: { ID: '' }, InitCommit: { ID: '' },
    SecurityOptions: [...(host.seccomp ? ['name=seccomp,profile=builtin'] : []), ...(host.apparmor ? ['name=apparmor'] : []), 'name=cgroupns'],
    CDISpecDirs: [], Warnings: warnings(has),
  };
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length - 1;

/** As the daemon's environment has it, in upper or lower case, without the password that it may name. */
const proxy = (name: string): string => (process.env[name] ?? process.env[name.toLowerCase()] ?? '').replace(/^([a-z0-9+.-]+:\/\/)?[^/@]*@/i, '$1xxxxx:xxxxx@');

const warnings = (has: (controller: string) => boolean): string[] | null => {
  const missing = ['memory', 'cpu', 'pids'].filter((controller) => !has(controller)).map((controller) => `WARNING: No ${controller} limit support`);
  return missing.length === 0 ? null : missing;
};

function operatingSystem(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}
