import { readdirSync, readFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { NaruError } from '#spec/errors.ts';
import type { TlsSettings } from './http-options.ts';

/**
 * What an administrator says of one registry: `<directory>/<host>.json` (`<host>` as images name it, with its port when it has
 * one: `docker.io.json`, `registry.example:5000.json`). Everything is optional:
 *
 *     {
 *       "server": "https://registry-1.docker.io",     where it really is
 *       "mirrors": [                                  asked first when pulling, in this order
 *         "https://mirror.example/hub",               any path may precede /v2/
 *         { "url": "https://cache:5000", "insecure": true, "ca": "/etc/x.pem", "headers": {}, "auth": { "username": "", "password": "" } }
 *       ],
 *       "fallback": true,                             false: only the mirrors
 *       "insecure": false,                            true: certificates are not checked, and plain HTTP is tried
 *       "ca": "/etc/ca.pem", "cert": "/etc/client.pem", "key": "/etc/client-key.pem",
 *       "headers": { "x-team": "a" },
 *       "proxy": "http://proxy:3128",                 instead of the environment's; false: none. NO_PROXY and loopback hold all the same
 *       "chunkBytes": 0,                              push in chunks of so many bytes
 *       "compression": "gzip"                         or "zstd": of layers that are pushed
 *     }
 *
 * Paths are absolute. Docker's `/etc/docker/certs.d/<host>/` (`*.crt`, `*.cert`, `*.key`) is read too when the file names none.
 */
export interface HostConfig extends EndpointConfig {
  readonly mirrors: readonly EndpointConfig[];
  readonly fallback: boolean;
  readonly chunkBytes: number;
  readonly compression: 'gzip' | 'zstd';
}

export interface EndpointConfig {
  readonly url: URL | undefined;
  readonly insecure: boolean;
  readonly tls: TlsSettings;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: { readonly username: string; readonly password: string } | undefined;
  /** undefined: what the environment says; false: none. */
  readonly proxy: string | false | undefined;
}

export interface HostConfigDirectories {
  readonly registries: string;
  readonly certificates?: string;
  /** host[:port] or CIDR: as `insecure` in a file. */
  readonly insecure?: readonly string[];
  /** As `mirrors` of docker.io, when its file names none. */
  readonly hubMirrors?: readonly string[];
}

const MAX_FILE = 1 << 20;

/** Reads what is said of a host. Throws `invalid`, naming file and field. */
export function readHostConfig(host: string, directories: HostConfigDirectories): HostConfig {
  const path = `${directories.registries}/${host}.json`;
  const text = readIfThere(path);
  const fields = text === undefined ? {} : parse(text, path);
  const invalid = (field: string, what: string): NaruError => new NaruError('invalid', `${path}: ${field}: ${what}`);
  const own = endpointOf({ ...(isInsecure(host, directories.insecure ?? []) ? { insecure: true } : {}), ...fields, url: fields['server'] }, { path, field: 'server', invalid });
  const mirrors = fields['mirrors'] ?? (host === 'docker.io' ? directories.hubMirrors : undefined) ?? [];
  if (!Array.isArray(mirrors)) throw invalid('mirrors', 'not a list');
  const chunkBytes = fields['chunkBytes'] ?? 0;
  if (typeof chunkBytes !== 'number' || !Number.isSafeInteger(chunkBytes) || chunkBytes < 0) throw invalid('chunkBytes', 'not a number of bytes');
  const compression = fields['compression'] ?? 'gzip';
  if (compression !== 'gzip' && compression !== 'zstd') throw invalid('compression', 'neither gzip nor zstd');
  return {
    ...own,
    tls: own.tls.ca === undefined && own.tls.cert === undefined && directories.certificates !== undefined ? { ...dockerCertificates(`${directories.certificates}/${host}`), ...own.tls } : own.tls,
    mirrors: mirrors.map((mirror: unknown, i): EndpointConfig => {
      const field = `mirrors[${i}]`;
      const endpoint = endpointOf(typeof mirror === 'string' ? { url: mirror } : asObject(mirror, () => invalid(field, 'neither a URL nor an object')), { path, field, invalid });
      if (endpoint.url === undefined) throw invalid(field, 'it has no url');
      return endpoint;
    }),
    fallback: fields['fallback'] !== false,
    chunkBytes,
    compression,
  };
}

function isInsecure(host: string, list: readonly string[]): boolean {
  if (list.length === 0) return false;
  const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  const family = isIP(name);
  return list.some((entry) => {
    const [address = '', prefix] = entry.split('/');
    if (prefix === undefined) return entry === host || entry === name;
    if (family === 0 || isIP(address) !== family) return false;
    const range = new BlockList();
    range.addSubnet(address, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
    return range.check(name, family === 4 ? 'ipv4' : 'ipv6');
  });
}

interface Place { path: string; field: string; invalid: (field: string, what: string) => NaruError }

function endpointOf(fields: Record<string, unknown>, { field, invalid }: Place): EndpointConfig {
  const text = (name: string): string | undefined => {
    const value = fields[name];
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw invalid(`${field} ${name}`, 'not a text');
    return value;
  };
  const file = (name: string): string | undefined => {
    const path = text(name);
    if (path === undefined) return undefined;
    const content = path.startsWith('/') ? readIfThere(path) : undefined;
    if (content === undefined) throw invalid(name, `cannot read ${path}`);
    return content;
  };
  let url: URL | undefined;
  try {
    url = text('url') === undefined ? undefined : new URL(text('url')!);
  } catch {
    throw invalid(field, `${JSON.stringify(text('url'))} is no URL`);
  }
  if (url !== undefined && url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid(field, 'neither https nor http');
  const headers = fields['headers'] === undefined ? {} : asObject(fields['headers'], () => invalid(`${field} headers`, 'not an object'));
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string' || /[\r\n]/.test(name + value)) throw invalid(`${field} headers`, `${name} is no header`);
  }
  const auth = fields['auth'] === undefined ? undefined : asObject(fields['auth'], () => invalid(`${field} auth`, 'not an object'));
  const proxy = fields['proxy'] === false ? false : text('proxy');
  if (typeof proxy === 'string' && (!URL.canParse(proxy) || new URL(proxy).protocol !== 'http:')) throw invalid(`${field} proxy`, `${JSON.stringify(proxy)} is no http URL`);
  const pick = (name: 'ca' | 'cert' | 'key'): TlsSettings => {
    const content = file(name);
    return content === undefined ? {} : { [name]: content };
  };
  return {
    url, insecure: fields['insecure'] === true || url?.protocol === 'http:',
    tls: { ...pick('ca'), ...pick('cert'), ...pick('key'), ...(fields['insecure'] === true ? { skipVerify: true } : {}) },
    headers: Object.fromEntries(Object.entries(headers as Record<string, string>).map(([name, value]) => [name.toLowerCase(), value])),
    auth: auth === undefined ? undefined : { username: String(auth['username'] ?? ''), password: String(auth['password'] ?? '') },
    proxy,
  };
}

/** https://docs.docker.com/engine/security/certificates/ */
function dockerCertificates(directory: string): TlsSettings {
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    return {};
  }
  const read = (suffix: string): string[] => names.filter((name) => name.endsWith(suffix)).map((name) => readIfThere(`${directory}/${name}`) ?? '');
  const [ca, [cert], [key]] = [read('.crt'), read('.cert'), read('.key')];
  return { ...(ca.length === 0 ? {} : { ca: ca.join('\n') }), ...(cert === undefined || key === undefined ? {} : { cert, key }) };
}

function readIfThere(path: string): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > MAX_FILE) throw new NaruError('invalid', `${path} is larger than ${MAX_FILE} bytes`);
    return text;
  } catch (error) {
    if (error instanceof NaruError) throw error;
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw new NaruError('invalid', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function parse(text: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NaruError('invalid', `${path}: ${(cause as Error).message}`, { cause });
  }
  return asObject(value, () => new NaruError('invalid', `${path}: not an object`));
}

function asObject(value: unknown, otherwise: () => NaruError): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw otherwise();
  return value as Record<string, unknown>;
}
