import type { ThrottleDevice, Ulimit, WeightDevice } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { cut, parseCsvRecord } from './csv.ts';
import type { FlagType } from './flag.ts';
import { parseGpusFlag } from './gpus-flag.ts';
import { canonicalIp, isIp } from './ip.ts';
import { parseMountFlag } from './mount-flag.ts';
import { parseNetworkFlag } from './network-flag.ts';
import { parseBoolean, parseBytes, parseCpus, parseDuration, parseInteger } from './numbers.ts';

const invalid = (message: string): NaruError => new NaruError('invalid', message);

interface TypeRule {
  /** How help calls it. */
  readonly label: string;
  /** Given more than once, the values gather. `parse` may return several. */
  readonly many?: boolean;
  parse(text: string, env: NodeJS.ProcessEnv): unknown;
}

const list = (parse: (text: string, env: NodeJS.ProcessEnv) => unknown, label = 'list'): TypeRule => ({ label, many: true, parse: (text, env) => [parse(text, env)] });

/** Every type of flag: how its words are read. Errors are Docker's. */
export const FLAG_TYPES: Readonly<Record<FlagType, TypeRule>> = {
  bool: { label: '', parse: parseBoolean },
  string: { label: 'string', parse: (text) => text },
  int: { label: 'int', parse: (text) => parseInteger(text, 64) },
  int64: { label: 'int', parse: (text) => parseInteger(text, 64) },
  uint: { label: 'uint', parse: (text) => parseInteger(text, 64, true) },
  uint16: { label: 'uint16', parse: (text) => parseInteger(text, 16, true) },
  duration: { label: 'duration', parse: parseDuration },
  bytes: { label: 'bytes', parse: parseBytes },
  'memory-swap': { label: 'bytes', parse: (text) => (text === '-1' ? -1 : parseBytes(text)) },
  cpus: { label: 'decimal', parse: parseCpus },
  trace: { label: 'file', parse: (text) => text },
  list: list((text) => text),
  strings: { label: 'strings', many: true, parse: (text) => (text === '' ? [] : parseCsvRecord(text)) },
  map: list((text) => [cut(text, '=')[0], cut(text, '=')[1] ?? ''], 'map'),
  pairs: { label: 'stringToString', many: true, parse: (text) => (text === '' ? [] : parseCsvRecord(text).map((pair) => {
    if (!pair.includes('=')) throw invalid(`${pair} must be formatted as key=value`);
    return cut(pair, '=');
  })) },
  filter: { label: 'filter', many: true, parse: (text) => (text === '' ? [] : [parseFilter(text)]) },
  mount: list(parseMountFlag, 'mount'),
  gpus: list(parseGpusFlag, 'gpu-request'),
  network: list(parseNetworkFlag, 'network'),
  ulimit: list(parseUlimit, 'ulimit'),
  attach: list(parseAttach),
  env: list(parseEnv),
  label: list(parseLabel),
  'add-host': list(parseAddHost),
  ip: list(parseIp),
  'dns-search': list(parseDnsSearch),
  'device-rule': list(parseDeviceRule),
  'throttle-bps': list((text) => parseThrottle(text, parseBytes, '<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb')),
  'throttle-iops': list((text) => parseThrottle(text, (rate) => parseInteger(rate, 64, true), '<device-path>:<number>. Number must be a positive integer')),
  weight: list(parseWeight),
  link: list(parseLink),
  sysctl: list(parseSysctl, 'map'),
};

function parseFilter(text: string): [string, string] {
  const [key, value] = cut(text, '=');
  if (value === undefined) throw invalid('bad format of filter (expected name=value)');
  return [key.trim().toLowerCase(), value.trim()];
}

const ULIMITS = ['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack'];

function parseUlimit(text: string): Ulimit {
  const [name, value] = cut(text, '=');
  if (value === undefined) throw invalid(`invalid ulimit argument: ${text}`);
  if (!ULIMITS.includes(name)) throw invalid(`invalid ulimit type: ${name}`);
  const parts = value.split(':');
  if (parts.length > 2) throw invalid(`too many limit value arguments - ${value}, can only have up to two, \`soft[:hard]\``);
  const decimal = (part: string): number => {
    if (!/^[+-]?\d+$/.test(part)) throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(part)}: invalid syntax`);
    return Number(part);
  };
  const hardText = parts[1];
  const hardFirst = hardText === undefined ? undefined : decimal(hardText);
  const soft = decimal(parts[0] as string);
  const hard = hardFirst ?? soft;
  if (hard !== -1) {
    if (soft === -1) throw invalid(`ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${hard}`);
    if (soft > hard) throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { Name: name, Soft: soft, Hard: hard };
}

function parseAttach(text: string): string {
  const stream = text.toLowerCase();
  if (!['stdin', 'stdout', 'stderr'].includes(stream)) throw invalid('valid streams are STDIN, STDOUT and STDERR');
  return stream;
}

function parseEnv(text: string, env: NodeJS.ProcessEnv): string {
  const [name, value] = cut(text, '=');
  if (name === '') throw invalid(`invalid environment variable: ${text}`);
  if (value !== undefined) return text;
  const inherited = env[name];
  return inherited === undefined ? text : `${name}=${inherited}`;
}

function parseLabel(text: string): string {
  const key = cut(text, '=')[0].replace(/^[ \t]+/, '');
  if (key === '') throw invalid(`invalid label '${text}': empty name`);
  if (/[ \t]/.test(key)) throw invalid(`label '${key}' contains whitespaces`);
  return text;
}

function parseAddHost(text: string): string {
  let [name, address] = cut(text, '=');
  if (address === undefined) [name, address] = cut(text, ':');
  if (address === undefined || name === '' || name.includes(':')) throw invalid(`bad format for add-host: ${JSON.stringify(text)}`);
  if (address !== 'host-gateway') {
    if (address.length > 2 && address.startsWith('[') && address.endsWith(']')) address = address.slice(1, -1);
    if (!isIp(address.trim())) throw invalid(`invalid IP address in add-host: ${JSON.stringify(address)}`);
  }
  return `${name}:${address}`;
}

function parseIp(text: string): string {
  const address = canonicalIp(text.trim());
  if (address === undefined) throw invalid(`IP address is not correctly formatted: ${text}`);
  return address;
}

function parseDnsSearch(text: string): string {
  const domain = text.replace(/^ +| +$/g, '');
  if (domain === '.') return domain;
  const match = /^(?:(?:[a-zA-Z0-9]|(?:[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))\.)*(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])\.?\s*$/.exec(domain);
  if (!/[a-zA-Z]/.test(domain) || match === null || domain.length >= 255) throw invalid(`${domain} is not a valid domain`);
  return domain.trim().replace(/\.$/, '');
}

function parseDeviceRule(text: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text)) throw invalid(`invalid device cgroup format '${text}'`);
  return text;
}

function devicePath(text: string): [string, string] {
  const [path, value] = cut(text, ':');
  if (value === undefined || path === '') throw invalid(`bad format: ${text}`);
  if (!path.startsWith('/dev/')) throw invalid(`bad format for device path: ${text}`);
  return [path, value];
}

function parseThrottle(text: string, rate: (text: string) => number, format: string): ThrottleDevice {
  const [path, value] = devicePath(text);
  try {
    return { Path: path, Rate: rate(value) };
  } catch {
    throw invalid(`invalid rate for device: ${text}. The correct format is ${format}`);
  }
}

function parseWeight(text: string): WeightDevice {
  const [path, value] = devicePath(text);
  const weight = /^\d{1,5}$/.test(value) ? Number(value) : -1;
  if (weight < 0 || (weight > 0 && (weight < 10 || weight > 1000))) throw invalid(`invalid weight for device: ${text}`);
  return { Path: path, Weight: weight };
}

function parseLink(text: string): string {
  if (text === '') throw invalid('empty string specified for links');
  if (text.split(':').length > 2) throw invalid(`bad format for links: ${text}`);
  return text;
}

const SYSCTLS = ['kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced'];

function parseSysctl(text: string): [string, string] {
  const [key, value] = cut(text, '=');
  const allowed = SYSCTLS.includes(key) || key.startsWith('net.') || key.startsWith('fs.mqueue.');
  if (value === undefined || !allowed) throw invalid(`sysctl '${text}' is not allowed`);
  return [key, value];
}
