import { NaruError } from '#spec/errors.ts';
import type { Credentials } from './credentials.ts';
import { readBody } from './dispatch.ts';
import { openEndpoint } from './endpoint.ts';
import { readHostConfig } from './host-config.ts';
import { serverOf, type RegistryClientOptions } from './repository.ts';
import { responseError } from './response-error.ts';

export interface SearchResult { name: string; description: string; star_count: number; is_official: boolean; is_automated: boolean }

const MAX_ANSWER = 4 << 20;
export const MAX_RESULTS = 100;

/** `GET /v1/search?q=&n=`, the old index API that Docker Hub keeps. A term like `registry.example/word` asks that registry. Throws
 *  `unsupported` where there is no such thing. */
export async function searchIndex(term: string, { limit, credentials }: { limit: number; credentials: Credentials }, options: RegistryClientOptions, signal?: AbortSignal): Promise<SearchResult[]> {
  const slash = term.indexOf('/');
  const first = slash < 0 ? '' : term.slice(0, slash);
  const named = /[.:]/.test(first) || first === 'localhost';
  const domain = !named || first === 'index.docker.io' ? 'docker.io' : first;
  const query = (named ? term.slice(slash + 1) : term).replace(domain === 'docker.io' ? /^library\// : /^$/, '');
  const config = readHostConfig(domain, options.directories);
  const base = config.url ?? (domain === 'docker.io' ? new URL('https://index.docker.io') : serverOf(domain));
  const endpoint = openEndpoint(base, { ...options, config, credentials });
  try {
    const url = new URL(`${base.href.replace(/\/+$/, '')}/v1/search`);
    url.searchParams.set('q', query);
    url.searchParams.set('n', String(limit));
    const response = await endpoint.dispatch({ method: 'GET', url, headers: { accept: 'application/json' }, ...(signal === undefined ? {} : { signal }) });
    if (response.status === 404) {
      response.body.cancel();
      throw new NaruError('unsupported', `${domain} does not offer a search`, { hint: 'registries list no more than their own catalogue; Docker Hub can be searched' });
    }
    if (response.status !== 200) throw await responseError(response, { what: `search in ${domain}` });
    const { results } = JSON.parse((await readBody(response, MAX_ANSWER)).toString('utf8')) as { results?: unknown };
    return (Array.isArray(results) ? results : []).slice(0, limit).map((item) => asResult(item as Record<string, unknown>));
  } finally {
    endpoint.close();
  }
}

const asResult = (item: Record<string, unknown>): SearchResult => ({
  name: String(item?.['name'] ?? ''), description: String(item?.['description'] ?? ''), star_count: Number(item?.['star_count'] ?? 0),
  is_official: item?.['is_official'] === true, is_automated: item?.['is_automated'] === true,
});
