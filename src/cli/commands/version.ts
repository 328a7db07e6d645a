import type { ServerVersion } from '#client/system-client.ts';
import { isOlder, LATEST_API_VERSION } from '#client/engine-transport.ts';
import { NaruError } from '#spec/errors.ts';
import { CLIENT_BUILD, CLIENT_VERSION, DOCKER_CLI_VERSION } from '../client-version.ts';
import type { CommandRunner } from '../command.ts';
import { markAsMap } from '../format/go-values.ts';
import { alignTabs } from '../format/tab-writer.ts';
import { missingField, template } from '../format/template.ts';

interface ClientSection { Version: string; ApiVersion: string; DefaultAPIVersion: string; GitCommit: string; GoVersion: string; Os: string; Arch: string; BuildTime: string; Context: string }

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm64: 'arm64', arm: 'arm', ppc64: 'ppc64le', s390x: 's390x', riscv64: 'riscv64' };

/** What is known of the client without asking a daemon. */
export function clientSection(program: string, apiVersion: string, context: string): ClientSection {
  const runtime = process.versions['bun'] === undefined ? `node ${process.versions.node}` : `bun ${process.versions['bun']}`;
  return {
    Version: program === 'docker' ? DOCKER_CLI_VERSION : CLIENT_VERSION, ApiVersion: apiVersion, DefaultAPIVersion: LATEST_API_VERSION, GitCommit: CLIENT_BUILD, GoVersion: runtime,
    Os: process.platform, Arch: ARCHITECTURES[process.arch] ?? process.arch, BuildTime: '', Context: context,
  };
}

/** `version`. */
export const version: CommandRunner = async ({ client, flags, io, program, contextName }) => {
  const format = flags.string('format');
  let parsed;
  try {
    parsed = format === '' ? undefined : template(format === 'json' ? '{{json .}}' : format);
  } catch (cause) {
    throw new NaruError('invalid', `template parsing error: ${(cause as Error).message.replace('template: :', 'template: version:')}`, { exitCode: 64, cause });
  }
  let server: ServerVersion | undefined;
  let failure: unknown;
  try {
    server = await client().system.version();
  } catch (error) {
    failure = error;
  }
  // A daemon that says what it speaks is believed: nothing has been asked of it that needs more.
  const spoken = server !== undefined && isOlder(server.ApiVersion, client().apiVersion) ? server.ApiVersion : client().apiVersion;
  const section = clientSection(program, spoken, contextName());
  if (parsed === undefined) io.out(alignTabs(`${clientText(section)}${server === undefined ? '' : `\n\n${serverText(server)}`}\n`, { minimum: 20, padding: 1 }));
  else {
    const data = { Client: { ...section }, Server: server === undefined ? null : { ...server } };
    // Go's names of what JSON calls otherwise.
    for (const part of [data.Client, data.Server]) if (part !== null) Object.defineProperty(part, 'APIVersion', { value: part.ApiVersion, enumerable: false });
    for (const component of data.Server?.Components ?? []) {
      if (component.Details === undefined) continue;
      markAsMap(component.Details);
      if (component.Name === 'Engine' && component.Details['BuildTime'] !== undefined) component.Details['BuildTime'] = ansiDate(component.Details['BuildTime']);
    }
    io.out(`${parsed.execute(data, { missing: missingField })}\n`);
  }
  if (failure !== undefined) throw failure;
  return 0;
};

function clientText(client: ClientSection): string {
  const downgraded = client.ApiVersion === client.DefaultAPIVersion ? '' : ` (downgraded from ${client.DefaultAPIVersion})`;
  const rows = [['Version', client.Version], ['API version', `${client.ApiVersion}${downgraded}`], ['Go version', client.GoVersion], ['Git commit', client.GitCommit], ['Built', client.BuildTime], ['OS/Arch', `${client.Os}/${client.Arch}`], ['Context', client.Context]];
  return `Client:\n${rows.filter(([, value]) => value !== '').map(([label, value]) => ` ${label}:\t${value}`).join('\n')}`;
}

function serverText(server: ServerVersion): string {
  const components = [...(server.Components ?? [])];
  if (!components.some((component) => component.Name === 'Engine')) {
    components.push({
      Name: 'Engine', Version: server.Version,
      Details: { ApiVersion: server.ApiVersion, MinAPIVersion: server.MinAPIVersion ?? '', GitCommit: server.GitCommit, GoVersion: server.GoVersion, Os: server.Os, Arch: server.Arch, BuildTime: server.BuildTime ?? '', Experimental: String(server.Experimental ?? false) },
    });
  }
  const lines = [`Server:${server.Platform?.Name === undefined || server.Platform.Name === '' ? '' : ` ${server.Platform.Name}`}`];
  for (const { Name, Version, Details: d = {} } of components) {
    lines.push(` ${Name}:`, `  Version:\t${Version}`);
    if (Name === 'Engine') {
      lines.push(
        `  API version:\t${d['ApiVersion'] ?? ''} (minimum version ${d['MinAPIVersion'] ?? ''})`, `  Go version:\t${d['GoVersion'] ?? ''}`, `  Git commit:\t${d['GitCommit'] ?? ''}`, `  Built:\t${ansiDate(d['BuildTime'] ?? '')}`,
        `  OS/Arch:\t${d['Os'] ?? ''}/${d['Arch'] ?? ''}`, `  Experimental:\t${d['Experimental'] ?? 'false'}`,
      );
    } else for (const key of Object.keys(d).sort()) lines.push(`  ${key}:\t${d[key]}`);
  }
  return lines.join('\n');
}

/** RFC 3339 as `Mon Jan  2 15:04:05 2006`; anything else as it is. */
function ansiDate(text: string): string {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}:\d{2}:\d{2})/.exec(text);
  if (match === null) return text;
  const date = new Date(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`);
  const [week, , month] = date.toUTCString().split(/[, ]+/).filter(Boolean) as [string, string, string];
  return `${week} ${month} ${String(Number(match[3])).padStart(2)} ${match[4]} ${match[1]}`;
}
