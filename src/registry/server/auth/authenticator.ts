import { registryError, type RegistryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { formatChallenge, formatScope } from '#registry/protocol/www-authenticate.ts';
import { PasswordFile } from './password-file.ts';
import { anonymousCaller, EVERYBODY, userCaller, type AccessRule, type Action, type Caller } from './rights.ts';
import { tokenVerifier, type TokenOptions } from './token-verifier.ts';

export interface AuthOptions {
  htpasswd?: { path: string; realm: string };
  token?: TokenOptions;
  access: readonly AccessRule[];
  /** Repositories that anybody may pull from. */
  anonymousPull: readonly string[];
}

export interface Authenticator {
  /** Whether anybody has to say who they are. */
  required: boolean;
  /** Who an Authorization header says is calling. Throws UNAUTHORIZED when it proves nothing. */
  identify(authorization: string | undefined): Promise<Caller>;
  /** What to answer when the caller may not: log in (401 with a challenge), or no (403). */
  refusal(caller: Caller, wanted?: { name: RepositoryName; actions: readonly Action[] }): RegistryError;
}

const MAX_HEADER_LENGTH = 80 << 10;

/** Basic authentication by a password file, bearer tokens of another server, both, or none. */
export async function authenticator(options: AuthOptions): Promise<Authenticator> {
  const { htpasswd, token } = options;
  const required = htpasswd !== undefined || token !== undefined;
  const passwords = htpasswd === undefined ? undefined : new PasswordFile(htpasswd.path);
  const verify = token === undefined ? undefined : await tokenVerifier(token);
  const anonymous = required ? anonymousCaller(options.anonymousPull) : EVERYBODY;

  const challenge = (wanted?: { name: RepositoryName; actions: readonly Action[] }): Record<string, string> => {
    if (token === undefined) return { 'WWW-Authenticate': formatChallenge('Basic', { realm: htpasswd?.realm ?? 'naru' }) };
    const scope: Record<string, string> = wanted === undefined ? {} : { scope: formatScope({ type: 'repository', name: wanted.name, actions: [...wanted.actions] }) };
    return { 'WWW-Authenticate': formatChallenge('Bearer', { realm: token.realm, service: token.service, ...scope }) };
  };
  const unauthorized = (why: string, wanted?: { name: RepositoryName; actions: readonly Action[] }): RegistryError =>
    registryError('UNAUTHORIZED', why, { headers: challenge(wanted), ...(wanted === undefined ? {} : { detail: wanted.actions.map((action) => ({ Type: 'repository', Name: wanted.name, Action: action })) }) });

  return {
    required,
    async identify(authorization) {
      if (!required || authorization === undefined || authorization === '') return anonymous;
      const match = authorization.length > MAX_HEADER_LENGTH ? null : /^([A-Za-z]+) +([^\s]+)$/.exec(authorization.trim());
      const scheme = match?.[1]?.toLowerCase();
      const credentials = match?.[2] as string;
      if (scheme === 'basic' && passwords !== undefined) {
        const text = Buffer.from(credentials, 'base64').toString('utf8');
        const colon = text.indexOf(':');
        const user = text.slice(0, Math.max(0, colon));
        if (colon > 0 && (await passwords.verify(user, text.slice(colon + 1)))) return userCaller(user, options.access, anonymous);
        throw unauthorized('the user name or password is wrong');
      }
      if (scheme === 'bearer' && verify !== undefined) {
        try {
          const caller = await verify(credentials);
          return { ...caller, may: (name, action) => caller.may(name, action) || anonymous.may(name, action) };
        } catch (error) {
          throw unauthorized((error as Error).message);
        }
      }
      throw unauthorized('this kind of authentication is not accepted here');
    },
    refusal(caller, wanted) {
      // A token says what it is for: another one may be for this.
      if (!caller.known || token !== undefined) return unauthorized('authentication required', wanted);
      return registryError('DENIED', 'requested access to the resource is denied');
    },
  };
}
