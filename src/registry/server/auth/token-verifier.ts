import { readFileSync } from 'node:fs';
import { createLocalJWKSet, importSPKI, importX509, jwtVerify, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { NaruError } from '#spec/errors.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { namePattern } from '../name-pattern.ts';
import type { Action, Caller } from './rights.ts';

/** https://distribution.github.io/distribution/spec/auth/token/: somebody else's server gives out tokens, we check them. */
export interface TokenOptions {
  realm: string;
  service: string;
  issuer: string;
  /** A file with a JWKS, an X.509 certificate or a public key (PEM). */
  keys: string;
}

/** Never `none`, and no shared secrets: a public key must not be usable as one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const MAX_TOKEN_LENGTH = 64 << 10;
const MAX_ENTRIES = 1_000;

type Keys = JWTVerifyGetKey;

async function readKeys(path: string): Promise<Keys> {
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (text.startsWith('{')) return createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
    // The algorithm only chooses how the key is read; the token's own is checked against the key's kind.
    for (const algorithm of ['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA']) {
      const key = await (text.includes('CERTIFICATE') ? importX509(text, algorithm) : importSPKI(text, algorithm)).catch(() => undefined);
      if (key !== undefined) return async () => key;
    }
  } catch (error) {
    throw new NaruError('invalid', `the token keys ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  throw new NaruError('invalid', `${path} holds no key that tokens can be checked with`, { hint: 'a JWKS, a certificate or a public key in PEM' });
}

/** Checks bearer tokens: signature, issuer, audience and times; then their `access` list is the caller's rights. */
export async function tokenVerifier(options: TokenOptions): Promise<(token: string) => Promise<Caller>> {
  const keys = await readKeys(options.keys);
  return async (token) => {
    if (token.length > MAX_TOKEN_LENGTH) throw registryError('UNAUTHORIZED', 'the token is too long');
    let claims: Record<string, unknown>;
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS, issuer: options.issuer, audience: options.service, requiredClaims: ['exp'], clockTolerance: 30,
      });
      claims = payload;
    } catch (error) {
      throw registryError('UNAUTHORIZED', 'the token is not valid', { cause: error });
    }
    const entries = (Array.isArray(claims['access']) ? claims['access'] : []).slice(0, MAX_ENTRIES) as { type?: unknown; name?: unknown; actions?: unknown }[];
    const rights = entries.flatMap((entry) => {
      if (entry?.type !== 'repository' || typeof entry.name !== 'string' || !Array.isArray(entry.actions)) return [];
      return [{ matches: namePattern(entry.name), actions: entry.actions as unknown[] }];
    });
    const catalog = entries.some((entry) => entry?.type === 'registry' && entry.name === 'catalog' && Array.isArray(entry.actions) && entry.actions.includes('*'));
    return {
      user: typeof claims['sub'] === 'string' && claims['sub'] !== '' ? claims['sub'] : undefined,
      known: true,
      mayList: true,
      may: (name, action: Action) => rights.some((right) => right.matches(name) && (right.actions.includes(action) || right.actions.includes('*'))),
      ...(catalog ? { seesAll: true } : {}),
    };
  };
}
