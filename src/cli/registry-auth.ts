import type { ConfigFile } from './config-file.ts';

/** Docker Hub's key in config.json. */
export const HUB_KEY = 'https://index.docker.io/v1/';

/** The `X-Registry-Auth` of a registry that the user has logged in to; undefined otherwise. */
export async function registryAuth(config: ConfigFile, domain: string): Promise<string | undefined> {
  const keys = domain === 'docker.io' ? [HUB_KEY, 'docker.io', 'index.docker.io'] : [domain, `https://${domain}`, `http://${domain}`];
  const kept = await fromHelper(config, keys[0]!);
  if (kept !== undefined) return encode(kept);
  const key = keys.find((candidate) => config.auths?.[candidate] !== undefined);
  if (key === undefined) return undefined;
  const login = config.auths?.[key] ?? {};
  const [username, password] = login.auth === undefined ? [login.username ?? '', login.password ?? ''] : splitOnce(Buffer.from(login.auth, 'base64').toString());
  if (username === '' && password === '' && login.identitytoken === undefined) return undefined; // a mark that a helper has it
  return encode({ username, password, serveraddress: key, ...(login.identitytoken === undefined ? {} : { identitytoken: login.identitytoken }) });
}

const encode = (fields: object): string => Buffer.from(JSON.stringify(fields)).toString('base64url');

async function fromHelper(config: ConfigFile, server: string): Promise<object | undefined> {
  if (config.credsStore === undefined && config.credHelpers === undefined) return undefined;
  const { helperFor, readFromHelper } = await import('./credential-store.ts');
  const helper = helperFor(config, server);
  const login = helper === undefined ? undefined : readFromHelper(helper, server);
  if (login === undefined) return undefined;
  return login.token ? { identitytoken: login.secret, serveraddress: server } : { username: login.username, password: login.secret, serveraddress: server };
}

function splitOnce(text: string): [string, string] {
  const colon = text.indexOf(':');
  return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
}
