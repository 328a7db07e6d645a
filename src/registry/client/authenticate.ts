import { NaruError } from '#spec/errors.ts';
import { parseChallenges, type Challenge } from '../protocol/www-authenticate.ts';
import { basicAuthorization, type Credentials } from './credentials.ts';
import { isStream, type Dispatch, type Interceptor, type RegistryRequest } from './dispatch.ts';
import { fetchToken, type Token } from './fetch-token.ts';

/** How the registry wants to be spoken to, learned from its first 401. */
type Scheme = { readonly kind: 'basic' } | { readonly kind: 'bearer'; readonly realm: URL; readonly service: string | undefined };

/**
 * Credentials and tokens for one registry. https://distribution.github.io/distribution/spec/auth/token/
 *
 * - A challenge counts only when the registry itself gives it: what it redirected to is never authenticated.
 * - The realm must be reached by TLS, or be on the registry's own host when that one speaks plain HTTP itself.
 * - The first realm is kept: no answer can lead credentials or tokens to another one later (`forbidden`).
 */
export function authenticate(credentials: Credentials, options: { tokens: Dispatch; onIdentityToken?: ((token: string) => void) | undefined }): Interceptor {
  const tokens = new Map<string, Promise<Token>>();
  let scheme: Scheme | undefined;

  async function authorization(request: RegistryRequest): Promise<string | undefined> {
    if (credentials.registryToken !== undefined) return `Bearer ${credentials.registryToken}`;
    if (scheme === undefined) return undefined;
    if (scheme.kind === 'basic') return credentials.username === undefined ? undefined : basicAuthorization(credentials);
    const { realm, service } = scheme;
    const scope = request.scope ?? '';
    let pending = tokens.get(scope);
    if (pending !== undefined && (await pending).expires < performance.now()) pending = undefined;
    if (pending === undefined) {
      pending = fetchToken(options.tokens, { realm, service, scopes: scope.split(' ').filter((one) => one !== ''), credentials, onIdentityToken: options.onIdentityToken, signal: request.signal });
      tokens.set(scope, pending);
      pending.catch(() => tokens.delete(scope));
    }
    return `Bearer ${(await pending).value}`;
  }

  function learn(challenges: readonly Challenge[], registry: URL): boolean {
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer' && challenge.parameters['realm'] !== undefined);
    if (bearer === undefined) {
      if (scheme?.kind === 'bearer' || !challenges.some((challenge) => challenge.scheme === 'basic')) return false;
      scheme = { kind: 'basic' };
      return credentials.username !== undefined;
    }
    const realm = realmOf(bearer.parameters['realm']!, registry);
    if (scheme?.kind === 'bearer' && scheme.realm.origin !== realm.origin) {
      throw new NaruError('forbidden', `${registry.host} sends us to another token server than before: ${realm.host} instead of ${scheme.realm.host}`, { hint: 'credentials were not sent there' });
    }
    scheme = { kind: 'bearer', realm, service: bearer.parameters['service'] };
    return true;
  }

  return (next) => async (request) => {
    const known = await authorization(request);
    const response = await next(withAuthorization(request, known));
    if (response.status !== 401 || response.url.origin !== request.url.origin) return response;
    if (credentials.registryToken !== undefined || isStream(request.body)) return response;
    const challenge = response.headers['www-authenticate'];
    if (challenge === undefined || !learn(parseChallenges(challenge), request.url)) return response;
    response.body.cancel();
    // The token may have been revoked, or be for less than is needed now.
    tokens.delete(request.scope ?? '');
    return await next(withAuthorization(request, await authorization(request)));
  };
}

const withAuthorization = (request: RegistryRequest, authorization: string | undefined): RegistryRequest =>
  authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };

function realmOf(text: string, registry: URL): URL {
  let realm: URL;
  try {
    realm = new URL(text);
  } catch {
    throw new NaruError('corrupt', `${registry.host} names a token server that is no URL: ${JSON.stringify(text.slice(0, 200))}`);
  }
  const trusted = realm.protocol === 'https:' || (realm.protocol === 'http:' && registry.protocol === 'http:' && realm.hostname === registry.hostname);
  if (!trusted) {
    throw new NaruError('forbidden', `${registry.host} names a token server without TLS: ${realm.origin}`, { hint: 'credentials were not sent there' });
  }
  realm.username = '';
  realm.password = '';
  return realm;
}
