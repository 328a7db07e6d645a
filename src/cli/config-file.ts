import { NaruError } from '#spec/errors.ts';
import { readText } from '#sys/standard-streams.ts';
import { fs, nodePath } from './on-demand.ts';

export interface RegistryLogin { auth?: string; username?: string; password?: string; identitytoken?: string }
export interface ProxySettings { httpProxy?: string; httpsProxy?: string; noProxy?: string; ftpProxy?: string; allProxy?: string }

/** Docker's `config.json`, as far as it is used here. */
export interface ConfigFile {
  currentContext?: string; detachKeys?: string; psFormat?: string; imagesFormat?: string; volumesFormat?: string; networksFormat?: string; statsFormat?: string;
  pruneFilters?: string[]; credsStore?: string; credHelpers?: Record<string, string>; auths?: Record<string, RegistryLogin>; proxies?: Record<string, ProxySettings>;
}

/** A plain join: what the user wrote stays as it is. */
const within = (directory: string, name: string): string => `${directory}${directory === '' || directory.endsWith('/') ? '' : '/'}${name}`;

/** Docker's directory for what its client keeps. */
export const configDirectoryOf = (directory: string | undefined, env: NodeJS.ProcessEnv): string => directory ?? env['DOCKER_CONFIG'] ?? within(env['HOME'] ?? '/root', '.docker');
const pathIn = (directory: string | undefined, env: NodeJS.ProcessEnv): string => within(configDirectoryOf(directory, env), 'config.json');

/** Reads the configuration; a missing file is an empty one. */
export function readConfigFile(directory: string | undefined, env: NodeJS.ProcessEnv): ConfigFile {
  const path = pathIn(directory, env);
  const text = readText(path);
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as ConfigFile;
  } catch (cause) {
    throw new NaruError('invalid', `Error loading config file: ${path}: ${(cause as Error).message}`, { cause });
  }
}

/** Changes the configuration on disk, readable by its owner only. */
export function changeConfigFile(directory: string | undefined, env: NodeJS.ProcessEnv, change: (config: ConfigFile) => void): void {
  const config = readConfigFile(directory, env);
  change(config);
  const path = pathIn(directory, env);
  fs().mkdirSync(nodePath().dirname(path), { recursive: true, mode: 0o700 });
  fs().writeFileSync(`${path}.new`, JSON.stringify(config, null, '\t'), { mode: 0o600 });
  fs().renameSync(`${path}.new`, path);
}
