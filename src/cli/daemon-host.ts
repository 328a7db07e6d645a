import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsOptions } from '#client/dial-node.ts';
import { NaruError } from '#spec/errors.ts';
import type { ParsedFlags } from './flags/parse-flags.ts';

/** Where naru's own daemon listens when nobody says otherwise. */
export const DEFAULT_SOCKET = '/run/naru/naru.sock';

/** Which daemon is meant. */
export interface DaemonHost {
  readonly host: string;
  /** Nobody named it: it may be started when it is not there. */
  readonly isDefault: boolean;
  readonly tls: TlsOptions | undefined;
}

/** Chooses the daemon: `--host`, then NARU_HOST, DOCKER_HOST, then naru's own socket (NARU_SOCKET moves it). */
export function chooseDaemonHost(flags: ParsedFlags, env: NodeJS.ProcessEnv): DaemonHost {
  const hosts = flags.list('host');
  if (hosts.length > 1) throw new NaruError('invalid', 'Failed to initialize: unable to resolve docker endpoint: Specify only one -H');
  const named = hosts[0] ?? (nonEmpty(env['NARU_HOST']) ?? nonEmpty(env['DOCKER_HOST']));
  const host = normalize(named ?? `unix://${nonEmpty(env['NARU_SOCKET']) ?? DEFAULT_SOCKET}`);
  return { host, isDefault: named === undefined, tls: tlsOptions(flags, env) };
}

function normalize(host: string): string {
  const trimmed = host.trim();
  if (trimmed === 'unix://') return `unix://${DEFAULT_SOCKET}`;
  const scheme = /^([a-z0-9]+):\/\//i.exec(trimmed)?.[1]?.toLowerCase();
  if (scheme === undefined) return `tcp://${trimmed}`;
  if (!['unix', 'tcp', 'http', 'https', 'ssh', 'npipe', 'fd'].includes(scheme)) throw new NaruError('invalid', `Failed to initialize: unable to resolve docker endpoint: invalid bind address format: ${host}`);
  return trimmed;
}

function tlsOptions(flags: ParsedFlags, env: NodeJS.ProcessEnv): TlsOptions | undefined {
  const verify = flags.changed('tlsverify') ? flags.bool('tlsverify') : nonEmpty(env['DOCKER_TLS_VERIFY']) !== undefined;
  const wanted = verify || flags.bool('tls') || nonEmpty(env['DOCKER_TLS']) !== undefined;
  if (!wanted) return undefined;
  const directory = nonEmpty(env['DOCKER_CERT_PATH']) ?? (flags.changed('config') ? flags.string('config') : (nonEmpty(env['DOCKER_CONFIG']) ?? join(env['HOME'] ?? '/root', '.docker')));
  const pem = (name: string, file: string): Uint8Array | undefined => {
    const path = flags.changed(name) ? flags.string(name) : join(directory, file);
    try {
      return readFileSync(path);
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
