import { readFileSync } from 'node:fs';
import type { StringMap, Ulimit } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import { DEFAULT_SETTINGS, type EngineSettings } from '#engine/engine-settings.ts';
import { isAddress } from '#engine/containers/create/validate-host-config.ts';
import { parseSize, validateLogConfig } from '#engine/containers/create/validate-log-config.ts';
import { validateResources } from '#engine/containers/create/validate-resources.ts';

export const DEFAULT_CONFIG_FILE = '/etc/naru/daemon.json';
const MAX_FILE = 1 << 20;

/** What the file says: words for the command line, and settings of the engine. */
export interface DaemonConfig {
  /** By the names of `naru daemon`'s flags. */
  readonly flags: Readonly<Record<string, string | boolean | readonly string[]>>;
  readonly settings: EngineSettings;
  /** What the user should know of it. */
  readonly warnings: readonly string[];
}

type Value = unknown;
type Apply = (value: Value, into: { flags: Record<string, string | boolean | readonly string[]>; settings: { -readonly [K in keyof EngineSettings]: EngineSettings[K] }; warnings: string[] }, key: string) => void;

const bad = (key: string, what: string): NaruError => new NaruError('invalid', `${key}: ${what}`);
const asText = (value: Value, key: string): string => {
  if (typeof value !== 'string') throw bad(key, 'not a text');
  return value;
};
const asFlag = (value: Value, key: string): boolean => {
  if (typeof value !== 'boolean') throw bad(key, 'neither true nor false');
  return value;
};
const asWords = (value: Value, key: string): string[] => {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) throw bad(key, 'not a list of texts');
  return value;
};
const asMap = (value: Value, key: string): Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(key, 'not an object');
  return value as Record<string, unknown>;
};
const oneOf = (value: Value, key: string, words: readonly string[]): string => {
  if (!words.includes(value as string)) throw bad(key, `${JSON.stringify(value)} is not one of ${words.join(', ')}`);
  return value as string;
};
const textFlag = (flag: string): Apply => (value, { flags }, key) => void (flags[flag] = asText(value, key));
const numberFlag: Apply = (value, { flags }, key) => {
  if (!Number.isSafeInteger(value)) throw bad(key, 'not a whole number');
  flags[key] = String(value);
};
const boolFlag: Apply = (value, { flags }, key) => void (asFlag(value, key) && (flags[key] = true));
/** Docker has a choice here, this engine has one way: the other one is refused, not ignored. */
const only = (...values: readonly Value[]): Apply => (value, _into, key) => {
  if (!values.includes(value)) throw bad(key, `${JSON.stringify(value)} is not supported: only ${values.map((each) => JSON.stringify(each)).join(' or ')}`);
};

/** Docker's keys (https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file), as far as they mean something here. */
const KEYS: Readonly<Record<string, Apply>> = {
  'data-root': textFlag('data-root'), 'exec-root': textFlag('state-dir'), pidfile: textFlag('pidfile'), bridge: textFlag('bridge'), bip: textFlag('bip'), 'cgroup-parent': textFlag('cgroup-parent'),
  'cpu-rt-period': numberFlag, 'cpu-rt-runtime': numberFlag,
  hosts: (value, { flags }, key) => void (flags['host'] = asWords(value, key)),
  tls: boolFlag, tlsverify: boolFlag, tlscacert: textFlag('tlscacert'), tlscert: textFlag('tlscert'), tlskey: textFlag('tlskey'),
  'log-level': (value, { flags }, key) => void (flags['log-level'] = oneOf(value, key, ['error', 'warn', 'info', 'debug'])),
  debug: (value, { flags, settings }, key) => {
    settings.debug = asFlag(value, key);
    if (settings.debug) flags['log-level'] = 'debug';
  },
  labels: (value, { settings }, key) => {
    const labels = asWords(value, key);
    const wrong = labels.find((label) => !/^[^=]+=/.test(label));
    if (wrong !== undefined) throw bad(key, `bad attribute format: ${wrong}`);
    settings.labels = labels;
  },
  'log-driver': (value, { settings }, key) => void (settings.logDriver = asText(value, key)),
  'log-opts': (value, { settings }, key) => void (settings.logOptions = Object.fromEntries(Object.entries(asMap(value, key)).map(([name, option]) => [name, asText(option, `${key}.${name}`)])) satisfies StringMap),
  'default-ulimits': (value, { settings }, key) => void (settings.ulimits = Object.entries(asMap(value, key)).map(([name, given]): Ulimit => {
    const { Soft, Hard } = asMap(given, `${key}.${name}`);
    if (!Number.isSafeInteger(Soft) || !Number.isSafeInteger(Hard)) throw bad(`${key}.${name}`, 'Soft and Hard must be whole numbers');
    return { Name: name, Soft: Soft as number, Hard: Hard as number };
  })),
  'default-shm-size': (value, { settings }, key) => {
    const size = typeof value === 'number' ? value : parseSize(asText(value, key));
    if (size === undefined || size <= 0) throw bad(key, `invalid size: ${JSON.stringify(value)}`);
    settings.shmSize = size;
  },
  'default-ipc-mode': (value, { settings }, key) => void (settings.ipcMode = oneOf(value, key, ['private', 'shareable']) as EngineSettings['ipcMode']),
  'default-cgroupns-mode': (value, { settings }, key) => void (settings.cgroupnsMode = oneOf(value, key, ['private', 'host']) as EngineSettings['cgroupnsMode']),
  dns: (value, { settings }, key) => {
    const servers = asWords(value, key);
    const wrong = servers.find((server) => !isAddress(server));
    if (wrong !== undefined) throw bad(key, `${wrong} is not an ip address`);
    settings.dns = servers;
  },
  'dns-opts': (value, { settings }, key) => void (settings.dnsOptions = asWords(value, key)),
  'dns-search': (value, { settings }, key) => void (settings.dnsSearch = asWords(value, key)),
  init: (value, { settings }, key) => void (settings.init = asFlag(value, key)),
  'no-new-privileges': (value, { settings }, key) => void (settings.noNewPrivileges = asFlag(value, key)),
  'insecure-registries': (value, { settings }, key) => void (settings.insecureRegistries = asWords(value, key)),
  'registry-mirrors': (value, { settings }, key) => {
    const mirrors = asWords(value, key);
    for (const mirror of mirrors) if (!/^https?:\/\/[^/?#@]+(\/[^?#]*)?$/.test(mirror)) throw bad(key, `invalid mirror: ${JSON.stringify(mirror)}`);
    settings.registryMirrors = mirrors;
  },
  'live-restore': (value, { warnings }, key) => {
    if (!asFlag(value, key)) warnings.push('live-restore: false: containers go on without the daemon all the same');
  },
  'storage-driver': only('overlay2', 'overlayfs'), 'storage-opts': (value, _into, key) => {
    if (asWords(value, key).length > 0) throw bad(key, 'this storage has no options');
  },
  'default-runtime': only('naru', 'runc', 'io.containerd.runc.v2'), 'userns-remap': only(''), iptables: only(true), ip6tables: only(true), 'ip-forward': only(true), 'ip-masq': only(true), icc: only(true), 'userland-proxy': only(true, false),
  'selinux-enabled': only(false), experimental: only(true, false), features: (value, _into, key) => void asMap(value, key), 'exec-opts': (value, _into, key) => {
    if (asWords(value, key).some((option) => option !== 'native.cgroupdriver=cgroupfs')) throw bad(key, 'only native.cgroupdriver=cgroupfs is supported');
  },
  'max-concurrent-downloads': () => undefined, 'max-concurrent-uploads': () => undefined, 'max-download-attempts': () => undefined, 'shutdown-timeout': () => undefined,
};

/**
 * Reads a daemon.json. A missing file is an empty one unless it was named. Throws NaruError invalid in Docker's words, naming file and
 * key; keys that are unknown are refused.
 */
export function readDaemonConfig(path: string, { required }: { required: boolean }): DaemonConfig {
  const refuse = (error: unknown): NaruError => new NaruError('invalid', `unable to configure the Docker daemon with file ${path}: ${(error as Error).message}`, { cause: error });
  const into = { flags: {} as Record<string, string | boolean | readonly string[]>, settings: { ...DEFAULT_SETTINGS }, warnings: [] as string[] };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === 'ENOENT') return into;
    throw refuse(error);
  }
  try {
    if (text.length > MAX_FILE) throw new NaruError('invalid', `it is larger than ${MAX_FILE} bytes`);
    if (text.trim() === '') return into;
    const document = asMap(JSON.parse(text), 'the document');
    const unknown = Object.keys(document).filter((key) => !Object.hasOwn(KEYS, key));
    if (unknown.length > 0) throw new NaruError('invalid', `the following directives don't match any configuration option: ${unknown.join(', ')}`);
    for (const [key, value] of Object.entries(document)) KEYS[key]!(value, into, key);
    validateLogConfig({ Type: into.settings.logDriver, Config: into.settings.logOptions });
    validateResources({ Ulimits: [...into.settings.ulimits] });
  } catch (error) {
    throw refuse(error);
  }
  return into;
}
