import type { TlsOptions } from '#client/dial-node.ts';
import { NaruError } from '#spec/errors.ts';
import { configDirectoryOf, readConfigFile } from './config-file.ts';
import { DEFAULT_CONTEXT, readContext, readTls, TLS_FILES } from './contexts/context-store.ts';
import type { ParsedFlags } from './flags/parse-flags.ts';
import { fs, nodePath } from './on-demand.ts';

/** Where naru's own daemon listens when nobody says otherwise. */
export const DEFAULT_SOCKET = '/run/naru/naru.sock';

/** Which daemon is meant. */
export interface DaemonHost {
  readonly host: string;
  /** Nobody named it: it may be started when it is not there. */
  readonly isDefault: boolean;
  readonly tls: TlsOptions | undefined;
}

/** Which of the variables that name a daemon is set. */
export const hostOfEnvironment = (env: NodeJS.ProcessEnv): string | undefined => ['NARU_HOST', 'DOCKER_HOST'].find((name) => nonEmpty(env[name]) !== undefined);

/** Chooses the daemon: `--host` or `--context`, then NARU_HOST, DOCKER_HOST, then the current context, then naru's own socket. */
export function chooseDaemonHost(flags: ParsedFlags, env: NodeJS.ProcessEnv): DaemonHost {
  const name = chooseContext(flags, env);
  return name === DEFAULT_CONTEXT ? defaultDaemonHost(flags, env) : hostOfContext(flags, env, name);
}

/** What the context `default` stands for: NARU_SOCKET moves naru's own socket. */
export function defaultDaemonHost(flags: ParsedFlags, env: NodeJS.ProcessEnv): DaemonHost {
  const variable = hostOfEnvironment(env);
  const named = flags.list('host')[0] ?? (variable === undefined ? undefined : env[variable]);
  const host = normalize(named ?? `unix://${nonEmpty(env['NARU_SOCKET']) ?? DEFAULT_SOCKET}`);
  return { host, isDefault: named === undefined, tls: tlsOptions(flags, env) };
}

/** The current context's name: `--context`, nothing but `default` where a host is named, DOCKER_CONTEXT, what `context use` chose. It need not exist. */
export function chooseContext(flags: ParsedFlags, env: NodeJS.ProcessEnv): string {
  const hosts = flags.list('host');
  if (hosts.length > 1) throw new NaruError('invalid', 'Failed to initialize: unable to resolve docker endpoint: Specify only one -H');
  const asked = nonEmpty(flags.string('context'));
  if (asked !== undefined && hosts.length > 0) throw new NaruError('invalid', 'conflicting options: cannot specify both --host and --context');
  if (asked !== undefined) return asked;
  if (hosts.length > 0 || hostOfEnvironment(env) !== undefined) return DEFAULT_CONTEXT;
  return nonEmpty(env['DOCKER_CONTEXT']) ?? nonEmpty(currentContext(flags, env)) ?? DEFAULT_CONTEXT;
}

/** A damaged file is told of by whoever needs more of it. */
function currentContext(flags: ParsedFlags, env: NodeJS.ProcessEnv): string | undefined {
  try {
    return readConfigFile(configOf(flags), env).currentContext;
  } catch {
    return undefined;
  }
}

const configOf = (flags: ParsedFlags): string | undefined => (flags.changed('config') ? flags.string('config') : undefined);

function hostOfContext(flags: ParsedFlags, env: NodeJS.ProcessEnv, name: string): DaemonHost {
  const directory = configDirectoryOf(configOf(flags), env);
  try {
    const { Host, SkipTLSVerify } = readContext(directory, name).Endpoints.docker ?? {};
    const material = readTls(directory, name);
    const [ca, cert, key] = TLS_FILES.map((file) => material.get(file));
    const tls = material.size === 0 && SkipTLSVerify !== true ? undefined : { verify: SkipTLSVerify !== true, ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
    return { host: normalize(nonEmpty(Host) ?? `unix://${DEFAULT_SOCKET}`), isDefault: false, tls };
  } catch (cause) {
    throw new NaruError('invalid', `Failed to initialize: unable to resolve docker endpoint: ${(cause as Error).message}`, { cause, hint: 'see `naru context ls`; `--context default` is naru\'s own daemon' });
  }
}

function normalize(host: string): string {
  const trimmed = host.trim();
  if (trimmed === 'unix://') return `unix://${DEFAULT_SOCKET}`;
  if (trimmed.startsWith('unix://')) return trimmed;
  const scheme = /^([a-z0-9]+):\/\//i.exec(trimmed)?.[1]?.toLowerCase();
  if (scheme === undefined) return `tcp://${trimmed}`;
  if (!['unix', 'tcp', 'http', 'https', 'ssh', 'npipe', 'fd'].includes(scheme)) throw new NaruError('invalid', `Failed to initialize: unable to resolve docker endpoint: invalid bind address format: ${host}`);
  return trimmed;
}

function tlsOptions(flags: ParsedFlags, env: NodeJS.ProcessEnv): TlsOptions | undefined {
  const verify = flags.changed('tlsverify') ? flags.bool('tlsverify') : nonEmpty(env['DOCKER_TLS_VERIFY']) !== undefined;
  const wanted = verify || flags.bool('tls') || nonEmpty(env['DOCKER_TLS']) !== undefined;
  if (!wanted) return undefined;
  const directory = nonEmpty(env['DOCKER_CERT_PATH']) ?? (flags.changed('config') ? flags.string('config') : (nonEmpty(env['DOCKER_CONFIG']) ?? nodePath().join(env['HOME'] ?? '/root', '.docker')));
  const pem = (name: string, file: string): Uint8Array | undefined => {
    const path = flags.changed(name) ? flags.string(name) : nodePath().join(directory, file);
    try {
      return fs().readFileSync(path);
    } catch (cause) {
      // Only what was asked for by name must be there.
      if (!flags.changed(name)) return undefined;
      throw new NaruError('invalid', `Failed to initialize: unable to resolve docker endpoint: open ${path}: ${(cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : (cause as Error).message}`, { cause });
    }
  };
  const [ca, cert, key] = [pem('tlscacert', 'ca.pem'), pem('tlscert', 'cert.pem'), pem('tlskey', 'key.pem')];
  return { verify, ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
}

const nonEmpty = (text: string | undefined): string | undefined => (text === undefined || text === '' ? undefined : text);
