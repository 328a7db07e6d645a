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

/** All logins that are kept, as config.json would hold them without a helper. */
export async function allLogins(config: ConfigFile): Promise<Record<string, { auth: string; identitytoken?: string }>> {
  const logins: Record<string, { auth: string; identitytoken?: string }> = {};
  for (const server of new Set([...Object.keys(config.auths ?? {}), ...Object.keys(config.credHelpers ?? {})])) {
    const text = await registryAuth(config, server === HUB_KEY ? 'docker.io' : server);
    if (text === undefined) continue;
    const { username = '', password = '', identitytoken } = JSON.parse(Buffer.from(text, 'base64url').toString()) as { username?: string; password?: string; identitytoken?: string };
    logins[server] = { auth: Buffer.from(`${username}:${password}`).toString('base64'), ...(identitytoken === undefined ? {} : { identitytoken }) };
  }
  return logins;
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
