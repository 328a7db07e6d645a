import { NaruError } from '#spec/errors.ts';
import type { Interceptor, RegistryRequest } from './dispatch.ts';

const MAX_REDIRECTS = 8;
const MOVED: readonly number[] = [301, 302, 303, 307, 308];
/** What only the registry itself may see. */
const PRIVATE: readonly string[] = ['authorization', 'cookie', 'proxy-authorization'];

/**
 * Follows redirects of GET and HEAD (blobs usually lie on another host). To another origin nothing private goes along:
 * Authorization is dropped, and so are the headers named in `own` (from the host's configuration). TLS is never left for plain
 * HTTP, and addresses that only this machine reaches are refused (address-guard.ts). Other methods: the answer is returned.
 */
export const followRedirects = ({ own = [] }: { own?: readonly string[] } = {}): Interceptor => (next) => async (request) => {
  let current: RegistryRequest = request;
  for (let hop = 0; ; hop++) {
    const response = await next(current);
    const { location } = response.headers;
    if (!MOVED.includes(response.status) || location === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return response;
    response.body.cancel();
    if (hop >= MAX_REDIRECTS) throw new NaruError('corrupt', `${request.url.host} redirects more than ${MAX_REDIRECTS} times`);
    const url = target(location, current.url);
    const same = url.origin === current.url.origin;
    current = { ...current, url, foreign: current.foreign === true || !same, headers: same ? (current.headers ?? {}) : without(current.headers ?? {}, [...PRIVATE, ...own]) };
  }
};

function target(location: string, from: URL): URL {
  let url: URL;
  try {
    url = new URL(location, from);
  } catch {
    throw new NaruError('corrupt', `${from.host} redirects to ${JSON.stringify(location.slice(0, 200))}, which is no URL`);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new NaruError('forbidden', `refusing to follow a redirect of ${from.host} to ${url.protocol}`);
  if (from.protocol === 'https:' && url.protocol === 'http:') {
    throw new NaruError('forbidden', `refusing to follow a redirect of ${from.host} from https to http (${url.host})`);
  }
  url.username = '';
  url.password = '';
  return url;
}

const without = (headers: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name.toLowerCase())));
