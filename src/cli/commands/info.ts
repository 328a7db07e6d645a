import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { binarySize } from '../format/human-size.ts';
import { inspectData, missingInspectField } from '../format/inspect-data.ts';
import { template } from '../format/template.ts';
import { HUB_KEY } from '../registry-auth.ts';
import { clientSection } from './version.ts';

type Info = Record<string, unknown>;

/** `info`. */
export const info: CommandRunner = async (context) => {
  const { io, program, flags, debug } = context;
  const format = flags.string('format');
  let server: Info | undefined;
  let failure: unknown;
  try {
    server = await context.client().system.info();
  } catch (error) {
    failure = error;
  }
  const client = clientSection(program, context.client().apiVersion, context.contextName());
  if (format !== '') {
    if (failure !== undefined) io.err(`${(failure as Error).message}\n`);
    const { ApiVersion: _, ...section } = client;
    const shown = { ...(server ?? {}), ClientInfo: { Debug: debug, ...section, Plugins: [], Warnings: null } };
    try {
      io.out(render(format, shown));
    } finally {
      io.out('\n');
    }
    return failure === undefined ? 0 : 1;
  }
  io.out(`Client:\n Version:    ${client.Version}\n Context:    ${client.Context}\n Debug Mode: ${debug}\n\nServer:\n`);
  if (server === undefined) throw failure;
  io.out(serverText(server, context));
  for (const warning of (server['Warnings'] as string[] | null | undefined) ?? []) io.err(`${warning}\n`);
  return 0;
};

function render(format: string, data: object): string {
  let parsed;
  try {
    parsed = template(format === 'json' ? '{{json .}}' : format);
  } catch (cause) {
    throw new NaruError('invalid', `template parsing error: ${(cause as Error).message}`, { exitCode: 64, cause });
  }
  return parsed.execute(inspectData(JSON.stringify(data)), { missing: (receiver, name) => {
    try {
      return missingInspectField(receiver, name);
    } catch {
      throw new Error(`can't evaluate field ${name} in type system.dockerInfo`);
    }
  } });
}

function serverText(info: Info, context: CommandContext): string {
  const out: string[] = [];
  const line = (label: string, value: unknown): number => out.push(`${label} ${String(value ?? '')}`);
  const present = (label: string, value: unknown): void => {
    if (value !== undefined && value !== null && value !== '') line(label, value);
  };
  const list = (label: string, values: unknown, indent: string): void => {
    if (Array.isArray(values) && values.length > 0) out.push(label, ...values.map((value) => `${indent}${String(value)}`));
  };
  const plugins = (info['Plugins'] ?? {}) as Record<string, string[] | null>;
  const words = (values: string[] | null | undefined): string => (values ?? []).join(' ');
  line(' Containers:', info['Containers']);
  line('  Running:', info['ContainersRunning']);
  line('  Paused:', info['ContainersPaused']);
  line('  Stopped:', info['ContainersStopped']);
  line(' Images:', info['Images']);
  present(' Server Version:', info['ServerVersion']);
  present(' Storage Driver:', info['Driver']);
  for (const [key, value] of (info['DriverStatus'] as [string, string][] | null | undefined) ?? []) line(`  ${key}:`, value);
  present(' Logging Driver:', info['LoggingDriver']);
  present(' Cgroup Driver:', info['CgroupDriver']);
  present(' Cgroup Version:', info['CgroupVersion']);
  out.push(' Plugins:');
  line('  Volume:', words(plugins['Volume']));
  line('  Network:', words(plugins['Network']));
  if (words(plugins['Authorization']) !== '') line('  Authorization:', words(plugins['Authorization']));
  line('  Log:', words(plugins['Log']));
  list(' CDI spec directories:', info['CDISpecDirs'], '  ');
  line(' Swarm:', (info['Swarm'] as { LocalNodeState?: string } | undefined)?.LocalNodeState ?? 'inactive');
  const runtimes = Object.keys((info['Runtimes'] ?? {}) as object);
  if (runtimes.length > 0) {
    line(' Runtimes:', runtimes.join(' '));
    line(' Default Runtime:', info['DefaultRuntime']);
  }
  if (info['OSType'] === 'linux') {
    const commit = (name: string): string => (info[name] as { ID?: string } | undefined)?.ID ?? '';
    line(' Init Binary:', info['InitBinary']);
    line(' containerd version:', commit('ContainerdCommit'));
    line(' runc version:', commit('RuncCommit'));
    line(' init version:', commit('InitCommit'));
    const options = (info['SecurityOptions'] as string[] | null | undefined) ?? [];
    if (options.length > 0) out.push(' Security Options:');
    for (const option of options) {
      const fields = Object.fromEntries(option.split(',').map((field) => [field.split('=')[0], field.slice(field.indexOf('=') + 1)])) as Record<string, string>;
      out.push(`  ${fields['name'] ?? option}`);
      if (fields['profile'] !== undefined) line('   Profile:', fields['profile']);
    }
  }
  present(' Kernel Version:', info['KernelVersion']);
  present(' Operating System:', info['OperatingSystem']);
  present(' OSType:', info['OSType']);
  present(' Architecture:', info['Architecture']);
  line(' CPUs:', info['NCPU']);
  line(' Total Memory:', binarySize(Number(info['MemTotal'] ?? 0)));
  present(' Name:', info['Name']);
  present(' ID:', info['ID']);
  line(' Docker Root Dir:', info['DockerRootDir']);
  line(' Debug Mode:', info['Debug'] ?? false);
  if (info['Debug'] === true || context.debug) {
    line('  File Descriptors:', info['NFd']);
    line('  Goroutines:', info['NGoroutines']);
    line('  System Time:', info['SystemTime']);
    line('  EventsListeners:', info['NEventsListener']);
  }
  present(' HTTP Proxy:', info['HttpProxy']);
  present(' HTTPS Proxy:', info['HttpsProxy']);
  present(' No Proxy:', info['NoProxy']);
  present(' Username:', context.config().auths?.[HUB_KEY]?.username);
  list(' Labels:', info['Labels'], '  ');
  line(' Experimental:', info['ExperimentalBuild'] ?? false);
  const registries = (info['RegistryConfig'] ?? {}) as { InsecureRegistryCIDRs?: string[] | null; IndexConfigs?: Record<string, { Name: string; Secure: boolean }> | null; Mirrors?: string[] | null };
  const indexes = Object.values(registries.IndexConfigs ?? {});
  if (indexes.length > 0 || (registries.InsecureRegistryCIDRs ?? []).length > 0) list(' Insecure Registries:', ['', ...indexes.filter((index) => !index.Secure).map((index) => index.Name), ...(registries.InsecureRegistryCIDRs ?? [])].slice(1), '  ');
  list(' Registry Mirrors:', registries.Mirrors, '  ');
  line(' Live Restore Enabled:', info['LiveRestoreEnabled'] ?? false);
  present(' Product License:', info['ProductLicense']);
  const pools = (info['DefaultAddressPools'] as { Base: string; Size: number }[] | null | undefined) ?? [];
  if (pools.length > 0) out.push(' Default Address Pools:', ...pools.map((pool) => `   Base: ${pool.Base}, Size: ${pool.Size}`));
  out.push('');
  return `${out.join('\n')}\n`;
}
