import type { ConfigFile } from './config-file.ts';

/** Docker Hub's key in config.json. */
export const HUB_KEY = 'https://index.docker.io/v1/';

/** The `X-Registry-Auth` of a registry that the user has logged in to; undefined otherwise. */
export function registryAuth(config: ConfigFile, domain: string): string | undefined {
  const keys = domain === 'docker.io' ? [HUB_KEY, 'docker.io', 'index.docker.io'] : [domain, `https://${domain}`, `http://${domain}`];
  const key = keys.find((candidate) => config.auths?.[candidate] !== undefined);
  if (key === undefined) return undefined;
  const login = config.auths?.[key] ?? {};
  const [username, password] = login.auth === undefined ? [login.username ?? '', login.password ?? ''] : splitOnce(Buffer.from(login.auth, 'base64').toString());
  const fields = { username, password, serveraddress: key, ...(login.identitytoken === undefined ? {} : { identitytoken: login.identitytoken }) };
  return Buffer.from(JSON.stringify(fields)).toString('base64url');
}

function splitOnce(text: string): [string, string] {
  const colon = text.indexOf(':');
  return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}
