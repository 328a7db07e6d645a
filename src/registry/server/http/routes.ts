import { registryError } from '#registry/protocol/error-codes.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Action } from '../auth/rights.ts';
import { deleteBlob, getBlob } from '../handlers/blobs.ts';
import { listCatalog, listReferrers, listTags } from '../handlers/listings.ts';
import { deleteManifest, getManifest, putManifestByReference } from '../handlers/manifests.ts';
import { appendUpload, cancelUpload, finishUpload, startUpload, uploadStatus } from '../handlers/uploads.ts';
import { overviewPage } from '../page/overview-page.ts';
import type { Registry } from '../registry.ts';
import { jsonReply, type Call, type Reply } from './call.ts';
import { parseTarget, type Target } from './parse-target.ts';

/** Rights on the repository of the path that a route needs; `login`: any proof of who it is; `list`: that
 *  or that something can be seen without; `open`: nothing. */
type Needs = readonly Action[] | 'login' | 'list' | 'open';
interface Route<K extends Target['kind']> {
  needs: Needs;
  handle(registry: Registry, call: Call, target: Extract<Target, { kind: K }>): Promise<Reply>;
}
type Routes = { [K in Target['kind']]: Partial<Record<'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', Route<K>>> };

/** All there is: kind of target, method, rights, handler. HEAD is GET whose body is not sent. */
const ROUTES: Routes = {
  base: { GET: { needs: 'login', handle: async () => jsonReply({}) } },
  catalog: { GET: { needs: 'list', handle: listCatalog } },
  uploads: { POST: { needs: ['pull', 'push'], handle: startUpload } },
  upload: {
    GET: { needs: ['push'], handle: uploadStatus },
    PATCH: { needs: ['push'], handle: appendUpload },
    PUT: { needs: ['push'], handle: finishUpload },
    DELETE: { needs: ['push'], handle: cancelUpload },
  },
  blob: { GET: { needs: ['pull'], handle: getBlob }, DELETE: { needs: ['delete'], handle: deleteBlob } },
  manifest: {
    GET: { needs: ['pull'], handle: getManifest },
    PUT: { needs: ['push'], handle: putManifestByReference },
    DELETE: { needs: ['delete'], handle: deleteManifest },
  },
  tags: { GET: { needs: ['pull'], handle: listTags } },
  referrers: { GET: { needs: ['pull'], handle: listReferrers } },
  page: { GET: { needs: 'list', handle: overviewPage } },
  metrics: { GET: { needs: 'login', handle: async (registry) => ({ status: 200, headers: { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }, body: registry.metrics.render() }) } },
  health: { GET: { needs: 'open', handle: async () => jsonReply({ status: 'ok' }) } },
  nothing: {},
};

const WRITES = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** Finds the route, checks the caller's rights before anything is said about what exists, and answers. */
export async function answer(registry: Registry, call: Call): Promise<Reply> {
  const target = parseTarget(call.path);
  const methods = ROUTES[target.kind] as Partial<Record<string, Route<never>>>;
  const route = methods[call.method === 'HEAD' ? 'GET' : call.method];
  if (target.kind === 'nothing') throw registryError('NAME_UNKNOWN', 'there is nothing at this path', { hint: 'the registry is at /v2/' });
  call.caller = await registry.auth.identify(call.header('authorization') || undefined);
  if (route === undefined) {
    const allowed = Object.keys(methods).flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])).join(', ');
    throw registryError('UNSUPPORTED', `${call.method.slice(0, 20)} is not possible here`, { headers: { Allow: allowed } });
  }
  // A browser says where a page's request comes from; no page has business here, and one of another site may be attacking.
  if (WRITES.has(call.method) && call.header('origin') !== '') throw registryError('DENIED', 'requests of web pages change nothing here');
  authorize(registry, call, { needs: route.needs, name: 'name' in target ? target.name : undefined });
  if (registry.upstream !== undefined && WRITES.has(call.method) && target.kind !== 'manifest') throw cacheOnly();
  if (registry.upstream !== undefined && (call.method === 'PUT' || call.method === 'POST')) throw cacheOnly();
  return route.handle(registry, call, target as never);
}

const cacheOnly = (): Error => registryError('UNSUPPORTED', 'this registry is a pull-through cache', { hint: 'push to the upstream registry' });

function authorize(registry: Registry, call: Call, { needs, name }: { needs: Needs; name: RepositoryName | undefined }): void {
  if (needs === 'open' || !registry.auth.required) return;
  const { caller } = call;
  // Clients learn from /v2/ which login there is, so it asks for one even where some can pull without.
  if (needs === 'login' || needs === 'list') {
    if (!caller.known && !(needs === 'list' && caller.mayList)) throw registry.auth.refusal(caller);
    return;
  }
  if (name !== undefined && needs.every((action) => caller.may(name, action))) return;
  throw registry.auth.refusal(caller, name === undefined ? undefined : { name, actions: needs });
}
