import { NaruError } from '#spec/errors.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { formatScope, parseChallenges } from '#registry/protocol/www-authenticate.ts';

export interface UpstreamOptions {
  /** `https://host[:port]`, without a path. */
  url: string;
  username?: string;
  password?: string;
}

const MAX_REDIRECTS = 5;
const HEAD_TIMEOUT_MS = 20_000;
const TOKEN_BYTES = 64 << 10;
/** Tokens are thrown away a little before they end. */
const TOKEN_MARGIN_MS = 10_000;
const MAX_TOKENS = 1_000;

/**
 * Reads from an upstream registry: token and basic authentication, redirects. Credentials go to the upstream itself and, over
 * TLS (or from a plain upstream), to the token server that it names; never along with a redirect to another origin.
 */
export class UpstreamClient {
  readonly #base: URL;
  readonly #basic: string | undefined;
  readonly #tokens = new Map<string, { header: string; until: number }>();

  constructor(options: UpstreamOptions) {
    this.#base = new URL(options.url);
    if (!['http:', 'https:'].includes(this.#base.protocol)) throw new NaruError('invalid', `the upstream ${options.url} is not an http or https address`);
    this.#basic = options.username === undefined ? undefined : `Basic ${Buffer.from(`${options.username}:${options.password ?? ''}`).toString('base64')}`;
  }

  /** GET (or HEAD) of `/v2/<name>/<rest>`. Throws `unavailable` when the upstream cannot be reached; any answer is returned. */
  async get(name: RepositoryName, rest: string, { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {}): Promise<Response> {
    const url = new URL(`/v2/${name}/${rest}`, this.#base);
    const known = this.#tokens.get(name);
    const answer = await this.#follow(url, method, { ...headers, ...(known === undefined || known.until < performance.now() ? {} : { authorization: known.header }) });
    if (answer.status !== 401) return answer;
    await answer.body?.cancel();
    const authorization = await this.#authorize(name, answer.headers.get('www-authenticate') ?? '');
    return authorization === undefined ? answer : this.#follow(url, method, { ...headers, authorization });
  }

  async #follow(start: URL, method: string, headers: Record<string, string>): Promise<Response> {
    let url = start;
    let sent = headers;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await this.#fetch(url, { method, headers: sent, redirect: 'manual' });
      const location = answer.headers.get('location');
      if (answer.status < 300 || answer.status >= 400 || answer.status === 304 || location === null) return answer;
      await answer.body?.cancel();
      const next = new URL(location, url);
      if (!['http:', 'https:'].includes(next.protocol) || (url.protocol === 'https:' && next.protocol === 'http:')) {
        throw registryError('UNAVAILABLE', `the upstream redirects from ${url.protocol}// to ${next.protocol}//, which is not followed`);
      }
      if (next.origin !== url.origin) {
        const { authorization: _, ...rest } = sent;
        sent = rest;
      }
      url = next;
    }
    throw registryError('UNAVAILABLE', `the upstream redirects more than ${MAX_REDIRECTS} times`);
  }

  async #authorize(name: RepositoryName, header: string): Promise<string | undefined> {
    const challenges = parseChallenges(header);
    const bearer = challenges.find((one) => one.scheme === 'bearer');
    if (bearer === undefined) return challenges.some((one) => one.scheme === 'basic') ? this.#basic : undefined;
    const realm = URL.canParse(bearer.parameters['realm'] ?? '') ? new URL(bearer.parameters['realm'] as string) : undefined;
    const trusted = realm !== undefined && (realm.protocol === 'https:' || (this.#base.protocol === 'http:' && realm.protocol === 'http:'));
    if (!trusted) throw registryError('UNAVAILABLE', 'the upstream names a token server that is not to be trusted');
    realm.searchParams.set('service', bearer.parameters['service'] ?? '');
    realm.searchParams.set('scope', formatScope({ type: 'repository', name, actions: ['pull'] }));
    const answer = await this.#fetch(realm, { headers: this.#basic === undefined ? {} : { authorization: this.#basic }, redirect: 'error' });
    if (!answer.ok) throw registryError('UNAVAILABLE', `the upstream's token server answered ${answer.status}`);
    const text = await readText(answer, TOKEN_BYTES);
    let token: { token?: unknown; access_token?: unknown; expires_in?: unknown };
    try { token = JSON.parse(text) as typeof token; } catch { throw registryError('UNAVAILABLE', "the upstream's token server sent no JSON"); }
    const value = typeof token.token === 'string' ? token.token : token.access_token;
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) throw registryError('UNAVAILABLE', "the upstream's token server gave no token");
    const seconds = typeof token.expires_in === 'number' ? token.expires_in : 60;
    if (this.#tokens.size >= MAX_TOKENS) this.#tokens.delete(this.#tokens.keys().next().value as string);
    this.#tokens.set(name, { header: `Bearer ${value}`, until: performance.now() + seconds * 1000 - TOKEN_MARGIN_MS });
    return `Bearer ${value}`;
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    // The deadline is for the head alone: a large blob takes its time.
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), HEAD_TIMEOUT_MS);
    try {
      return await fetch(url, { ...init, signal: deadline.signal });
    } catch (error) {
      throw registryError('UNAVAILABLE', 'the upstream registry cannot be reached', { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The body of an answer, refused beyond `limit` bytes. */
export async function readBytes(answer: Response, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    size += piece.length;
    if (size > limit) throw registryError('UNAVAILABLE', `the upstream sent more than ${limit} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}

const readText = async (answer: Response, limit: number): Promise<string> => Buffer.from(await readBytes(answer, limit)).toString('utf8');
