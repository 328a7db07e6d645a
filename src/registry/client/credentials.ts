import { NaruError } from '#spec/errors.ts';

/** What a user may give for a registry. An empty object: nothing. */
export interface Credentials {
  readonly username?: string;
  readonly password?: string;
  /** An OAuth2 refresh token: exchanged for access tokens. */
  readonly identityToken?: string;
  /** A ready bearer token. */
  readonly registryToken?: string;
  /** The registry that they were typed in for, as the client knows it. */
  readonly serverAddress?: string;
}

const MAX_HEADER = 65536;

/** Docker's `X-Registry-Auth`: an AuthConfig as JSON in base64url (plain base64 is read too). '' and `{}`: nothing. Throws
 *  `invalid`. */
export function parseRegistryAuth(header: string): Credentials {
  if (header === '') return {};
  if (header.length > MAX_HEADER) throw new NaruError('invalid', 'invalid X-Registry-Auth header: too long');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
  } catch {
    throw new NaruError('invalid', 'invalid X-Registry-Auth header: no JSON in base64url');
  }
  return credentialsOf(value);
}

/** From Docker's AuthConfig, as `POST /auth` has it for a body. Throws `invalid`. */
export function credentialsOf(value: unknown): Credentials {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NaruError('invalid', 'invalid registry credentials: not an object');
  const config = value as Record<string, unknown>;
  const text = (...names: string[]): string | undefined => {
    for (const name of names) {
      const field = config[name];
      if (typeof field === 'string' && field !== '') return field;
    }
    return undefined;
  };
  let username = text('username', 'Username');
  let password = text('password', 'Password');
  const auth = text('auth');
  if (username === undefined && auth !== undefined) {
    const pair = Buffer.from(auth, 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    if (colon > 0) [username, password] = [pair.slice(0, colon), pair.slice(colon + 1).replace(/\0+$/, '')];
  }
  const fields = { username, password, identityToken: text('identitytoken', 'IdentityToken'), registryToken: text('registrytoken', 'RegistryToken'), serverAddress: text('serveraddress', 'ServerAddress') };
  return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined)) as Credentials;
}

export const basicAuthorization = ({ username = '', password = '' }: Credentials): string => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
