import { NaruError } from '#spec/errors.ts';

/** Where a daemon listens. */
export type HostAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'ssh'; readonly destination: string; readonly port: string | undefined; readonly socket: string | undefined };

const DEFAULT_TCP_PORT = 2375;
const DEFAULT_TLS_PORT = 2376;

/**
 * Parses Docker's `-H` syntax: `unix:///path`, `tcp://host[:port]`, `http://…`, `https://…`, `ssh://[user@]host[:port][/socket]`,
 * and bare `host:port`. Throws NaruError invalid.
 */
export function parseHostAddress(text: string, tls = false): HostAddress {
  if (text.startsWith('unix:///')) return { kind: 'unix', path: text.slice('unix://'.length).trimEnd() }; // the usual one, quickly
  const match = /^([a-z]+):\/\/(.*)$/s.exec(text.trim());
  const scheme = match?.[1] ?? 'tcp';
  const rest = match?.[2] ?? text.trim();
  switch (scheme) {
    case 'unix':
      if (rest === '') break;
      return { kind: 'unix', path: rest };
    case 'tcp':
    case 'http':
    case 'https':
      return parseTcp(text, rest, tls || scheme === 'https');
    case 'ssh':
      return parseSsh(text, rest);
    case 'npipe':
    case 'fd':
      throw new NaruError('unsupported', `protocol not available: ${scheme}`);
  }
  throw new NaruError('invalid', `unable to parse docker host \`${text}\``);
}

function parseTcp(text: string, rest: string, tls: boolean): HostAddress {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:/[\]]*))(?::(\d+))?(?:\/.*)?$/.exec(rest);
  if (match === null) throw new NaruError('invalid', `unable to parse docker host \`${text}\``);
  const port = match[3] === undefined ? (tls ? DEFAULT_TLS_PORT : DEFAULT_TCP_PORT) : Number(match[3]);
  if (port > 65535) throw new NaruError('invalid', `unable to parse docker host \`${text}\``);
  return { kind: 'tcp', host: match[1] ?? (match[2] === '' ? '127.0.0.1' : (match[2] as string)), port };
}

function parseSsh(text: string, rest: string): HostAddress {
  const match = /^((?:[^@/]+@)?(?:\[[^\]/]+\]|[^:/@]+))(?::(\d+))?(\/.*)?$/.exec(rest);
  // A destination that begins with a dash would be an option of ssh.
  if (match === null || (match[1] as string).startsWith('-') || /@-/.test(match[1] as string)) {
    throw new NaruError('invalid', `unable to parse docker host \`${text}\``);
  }
  const socket = match[3] === undefined || match[3] === '/' ? undefined : match[3];
  return { kind: 'ssh', destination: (match[1] as string).replace(/[[\]]/g, ''), port: match[2], socket };
}
