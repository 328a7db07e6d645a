import type { Digest } from '#spec/ids.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { OCI_INDEX } from '#registry/protocol/media-types.ts';
import { formatNextLink, parsePageRequest } from '#registry/protocol/pagination.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import { jsonReply, type Call, type Reply } from '../http/call.ts';
import { findReferrers, type Referrer } from '../metadata/referrers.ts';
import { findRepository, repositoryNames } from '../metadata/repositories.ts';
import { tagNames } from '../metadata/tags.ts';
import type { Registry } from '../registry.ts';

const MOST_NAMES = 10_000;
const MOST_REFERRERS = 1_000;
/** A list of referrers carries their annotations, and clients read it as a manifest: it stays below their limit. */
const REFERRERS_BYTES = 3 << 20;

/** GET /v2/<name>/tags/list. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags */
export async function listTags(registry: Registry, call: Call, { name }: { name: RepositoryName }): Promise<Reply> {
  const { limit, last } = parsePageRequest(call.query, MOST_NAMES);
  const relayed = await registry.upstream?.relay(name, `tags/list${call.query.size === 0 ? '' : `?${call.query.toString()}`}`);
  if (relayed !== undefined) return relayed;
  const repository = findRepository(registry.metadata, name);
  if (repository === undefined) throw registryError('NAME_UNKNOWN', 'repository name not known to registry', { detail: { name } });
  const found = limit === 0 ? [] : tagNames(registry.metadata, repository, last ?? '', limit + 1);
  const tags = found.slice(0, limit);
  return jsonReply({ name, tags }, found.length > limit ? { Link: formatNextLink(`/v2/${name}/tags/list`, { last: tags.at(-1) as string, n: String(limit) }) } : {});
}

/** GET /v2/_catalog (Docker's): the repositories that the caller may pull from, and no sign of the others. */
export async function listCatalog(registry: Registry, call: Call): Promise<Reply> {
  const { limit, last } = parsePageRequest(call.query, 1_000);
  const found = limit === 0 ? [] : visibleNames(registry, call, { last: last ?? '', limit: limit + 1 });
  const repositories = found.slice(0, limit);
  return jsonReply({ repositories }, found.length > limit ? { Link: formatNextLink('/v2/_catalog', { last: repositories.at(-1) as string, n: String(limit) }) } : {});
}

/** The next names after `last` that the caller may see. */
export function visibleNames(registry: Registry, call: Call, { last, limit }: { last: string; limit: number }): RepositoryName[] {
  const found: RepositoryName[] = [];
  for (let from = last; found.length < limit;) {
    const names = repositoryNames(registry.metadata, from, limit);
    found.push(...names.filter((name) => call.caller.seesAll === true || call.caller.may(name, 'pull')));
    if (names.length < limit) break;
    from = names.at(-1) as string;
  }
  return found.slice(0, limit);
}

/** GET /v2/<name>/referrers/<digest>. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers */
export async function listReferrers(registry: Registry, call: Call, { name, digest }: { name: RepositoryName; digest: Digest }): Promise<Reply> {
  const relayed = await registry.upstream?.relay(name, `referrers/${digest}${call.query.size === 0 ? '' : `?${call.query.toString()}`}`);
  if (relayed !== undefined) return relayed;
  const artifactType = call.query.get('artifactType') || undefined;
  const { limit, last } = parsePageRequest(call.query, MOST_REFERRERS);
  const found = findReferrers(registry.metadata, name, digest, { artifactType, last: last ?? '', limit: limit + 1 });
  const manifests: Referrer[] = [];
  let bytes = 0;
  for (const one of found.slice(0, limit)) {
    bytes += JSON.stringify(one).length;
    if (manifests.length > 0 && bytes > REFERRERS_BYTES) break;
    manifests.push(one);
  }
  const headers: Record<string, string> = { 'Content-Type': OCI_INDEX };
  if (artifactType !== undefined) headers['OCI-Filters-Applied'] = 'artifactType';
  const more = manifests.at(-1);
  if (more !== undefined && found.length > manifests.length) {
    headers['Link'] = formatNextLink(`/v2/${name}/referrers/${digest}`, { ...(artifactType === undefined ? {} : { artifactType }), last: more.digest, n: String(limit) });
  }
  return jsonReply({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, headers);
}
