import { NaruError } from '#spec/errors.ts';
import type { Credentials } from './credentials.ts';
import { openEndpoint } from './endpoint.ts';
import { readHostConfig } from './host-config.ts';
import { serverOf, type RegistryClientOptions } from './repository.ts';
import { responseError } from './response-error.ts';

/** Docker Hub's address in clients' configurations. */
const HUB = /^(https?:\/\/)?(index\.|registry-1\.)?docker\.io(\/.*)?$/;

/** The registry that a client's server address means: `https://index.docker.io/v1/`, `registry.example:5000`. */
export function domainOf(serverAddress: string): string {
  if (serverAddress === '' || HUB.test(serverAddress)) return 'docker.io';
  const host = serverAddress.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (!/^[\w.-]+(:\d+)?$|^\[[0-9a-fA-F:]+\](:\d+)?$/.test(host)) throw new NaruError('invalid', `${JSON.stringify(serverAddress.slice(0, 200))} is not the address of a registry`);
  return host;
}

/** Asks `GET /v2/` with the credentials. Returns the identity token that the token server gives in their place, if it does. Throws `unauthorized` when the registry does not take them. */
export async function checkLogin(credentials: Credentials, options: RegistryClientOptions, signal?: AbortSignal): Promise<string | undefined> {
  let identityToken: string | undefined;
  const domain = domainOf(credentials.serverAddress ?? '');
  const config = readHostConfig(domain, options.directories);
  const endpoint = openEndpoint(config.url ?? serverOf(domain), { ...options, config, credentials, onIdentityToken: (token) => (identityToken = token) });
  try {
    const url = new URL(`${endpoint.base.href.replace(/\/+$/, '')}/v2/`);
    const response = await endpoint.dispatch({ method: 'GET', url, ...(signal === undefined ? {} : { signal }) });
    if (response.status === 200) {
      response.body.cancel();
      return identityToken;
    }
    const error = await responseError(response, { what: `login attempt to ${url.href} failed`, unauthorized: 'incorrect username or password' });
    throw response.status === 401 ? new NaruError('unauthorized', `Get ${JSON.stringify(url.href)}: ${error.message.replace(/^.*?unauthorized: /, 'unauthorized: ')}`, { cause: error }) : error;
  } finally {
    endpoint.close();
  }
}
