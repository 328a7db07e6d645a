import type { ConfigFile, ProxySettings } from '../config-file.ts';

const VARIABLES: readonly (readonly [keyof ProxySettings, string])[] = [['httpProxy', 'HTTP_PROXY'], ['httpsProxy', 'HTTPS_PROXY'], ['noProxy', 'NO_PROXY'], ['ftpProxy', 'FTP_PROXY'], ['allProxy', 'ALL_PROXY']];

/** The proxy variables of config.json's `proxies` that the user has not set himself. */
export function proxyEnvironment(config: ConfigFile, host: string, given: readonly string[]): string[] {
  const settings = config.proxies?.[host] ?? config.proxies?.['default'];
  if (settings === undefined) return [];
  const names = new Set(given.map((entry) => entry.split('=')[0]));
  return VARIABLES.flatMap(([key, name]) => {
    const value = settings[key];
    return value === undefined || value === '' ? [] : [name, name.toLowerCase()].filter((variable) => !names.has(variable)).map((variable) => `${variable}=${value}`);
  });
}
