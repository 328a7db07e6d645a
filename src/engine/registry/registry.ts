import { NaruError } from '#spec/errors.ts';
import type { Filters, Json } from '#spec/engine-api.ts';
import type { Index } from '#spec/oci-image.ts';
import type { Registries } from '#api/engine-port.ts';
import { familiarName, parseReference } from '#core/images/reference.ts';
import { checkLogin, domainOf } from '#registry/client/check-login.ts';
import { credentialsOf, parseRegistryAuth } from '#registry/client/credentials.ts';
import { openRepository } from '#registry/client/repository.ts';
import { MAX_RESULTS, searchIndex, type SearchResult } from '#registry/client/search-index.ts';
import { isIndexType } from '#registry/protocol/media-types.ts';
import type { EngineContext } from '../engine-context.ts';
import { booleanFilter, checkFilterKeys } from '../filters/match-filters.ts';
import { registryOptions } from './registry-options.ts';

const SEARCH_FILTERS = new Set(['is-automated', 'is-official', 'stars']);
const DEFAULT_RESULTS = 25;

/** What the API asks of registries beside pull and push. */
export const createRegistries = (engine: EngineContext): Registries => ({
  async login(auth, signal) {
    const credentials = credentialsOf(auth);
    domainOf(credentials.serverAddress ?? '');
    const identityToken = await checkLogin(credentials, registryOptions(engine), signal);
    return { Status: 'Login Succeeded', IdentityToken: identityToken ?? '' };
  },

  async search(term, { limit, filters, auth }, signal) {
    checkFilterKeys(filters, SEARCH_FILTERS);
    const count = limit === undefined || limit === 0 ? DEFAULT_RESULTS : limit;
    if (count < 1 || count > MAX_RESULTS) throw new NaruError('invalid', `limit ${count} is outside the range of [1, ${MAX_RESULTS}]`);
    const results = await searchIndex(term, { limit: count, credentials: parseRegistryAuth(auth) }, registryOptions(engine), signal);
    return results.filter(accepted(filters));
  },

  async distribution(name, auth, signal) {
    const reference = parseReference(name);
    const repository = openRepository({ ...reference, familiar: familiarName(reference) }, parseRegistryAuth(auth), registryOptions(engine));
    try {
      const found = await repository.manifest(reference.digest ?? reference.tag ?? 'latest', signal);
      const descriptor = { mediaType: found.mediaType, digest: found.digest, size: found.bytes.byteLength };
      const document = JSON.parse(found.bytes.toString('utf8')) as Index & { config: { digest: string; size: number; mediaType: string } };
      if (isIndexType(found.mediaType)) return { Descriptor: descriptor, Platforms: document.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [platform])) } as unknown as Json;
      const config = JSON.parse((await repository.document(document.config as never, signal)).toString('utf8')) as { os?: string; architecture?: string; variant?: string };
      return { Descriptor: descriptor, Platforms: [{ architecture: config.architecture ?? '', os: config.os ?? '', ...(config.variant === undefined ? {} : { variant: config.variant }) }] };
    } finally {
      repository.close();
    }
  },
});

function accepted(filters: Filters): (result: SearchResult) => boolean {
  const automated = booleanFilter(filters, 'is-automated');
  const official = booleanFilter(filters, 'is-official');
  const stars = Math.max(0, ...(filters.get('stars') ?? []).map((text) => {
    if (!/^\d{1,9}$/.test(text)) throw new NaruError('invalid', `invalid filter 'stars=${text}'`);
    return Number(text);
  }));
  return (result) => (automated === undefined || result.is_automated === automated) && (official === undefined || result.is_official === official) && result.star_count >= stars;
}
