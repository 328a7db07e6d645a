import { NaruError } from '#spec/errors.ts';
import { basicAuthorization, type Credentials } from './credentials.ts';
import { readBody, type Dispatch, type RegistryResponse } from './dispatch.ts';
import { responseError } from './response-error.ts';

export interface TokenRequest { readonly realm: URL; readonly service: string | undefined; readonly scopes: readonly string[]; readonly credentials: Credentials; /** Ask for an identity token too; it is told here. */ readonly onIdentityToken?: ((token: string) => void) | undefined; readonly signal?: AbortSignal | undefined }
export interface Token { readonly value: string; /** Milliseconds, as performance.now() counts them. */ readonly expires: number }

const MAX_ANSWER = 256 << 10;
/** Tokens say how long they hold; without a word it is a minute (https://distribution.github.io/distribution/spec/auth/token/). */
const DEFAULT_SECONDS = 60;
const CLIENT_ID = 'naru';

/** Asks a realm for a bearer token: with an identity token by OAuth2's POST, else by GET, with the password when there is one. */
export async function fetchToken(dispatch: Dispatch, request: TokenRequest): Promise<Token> {
  const { realm, service, scopes, credentials } = request;
  const signal = request.signal === undefined ? {} : { signal: request.signal };
  let response: RegistryResponse;
  if (credentials.identityToken !== undefined) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: CLIENT_ID, refresh_token: credentials.identityToken });
    if (service !== undefined) form.set('service', service);
    if (scopes.length > 0) form.set('scope', scopes.join(' '));
    response = await dispatch({ method: 'POST', url: realm, foreign: true, headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: Buffer.from(form.toString()), ...signal });
  } else {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const named = credentials.username !== undefined;
    if (named) url.searchParams.set('account', credentials.username!);
    if (request.onIdentityToken !== undefined) {
      url.searchParams.set('client_id', CLIENT_ID);
      url.searchParams.set('offline_token', 'true');
    }
    response = await dispatch({ method: 'GET', url, foreign: true, headers: named ? { authorization: basicAuthorization(credentials) } : {}, ...signal });
  }
  if (response.status !== 200) throw await responseError(response, { what: `Get ${JSON.stringify(realm.origin + realm.pathname)}`, unauthorized: 'incorrect username or password' });
  const answer = (await readBody(response, MAX_ANSWER)).toString('utf8');
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(answer) as Record<string, unknown>;
  } catch (cause) {
    throw new NaruError('corrupt', `the token server ${realm.host} answered something else than JSON`, { cause });
  }
  const value = fields?.['token'] ?? fields?.['access_token'];
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) throw new NaruError('unauthorized', `the token server ${realm.host} did not give a token`);
  const identity = fields['refresh_token'];
  if (typeof identity === 'string' && identity !== '') request.onIdentityToken?.(identity);
  const seconds = typeof fields['expires_in'] === 'number' && fields['expires_in'] > 0 ? fields['expires_in'] : DEFAULT_SECONDS;
  return { value, expires: performance.now() + Math.max(10, seconds * 0.9) * 1000 };
}
