import { algorithmOf, digestOf } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '#registry/protocol/manifest.ts';
import { withoutParameters } from '#registry/protocol/media-types.ts';
import { parseTag, type ManifestReference, type RepositoryName } from '#registry/protocol/repository-name.ts';
import { readWholeBody, type Call, type Reply } from '../http/call.ts';
import { departedReferences, findManifest, manifestBytes, missingReferences, notePull, putManifest, removeManifest, wrongSizes } from '../metadata/manifests.ts';
import { removeTag } from '../metadata/tags.ts';
import { eventOf } from '../notify/event.ts';
import type { Registry } from '../registry.ts';
import { asStorageError } from '../storage/as-storage-error.ts';
import { matchesEtag } from './matches-etag.ts';

interface ManifestTarget { name: RepositoryName; reference: ManifestReference }
/** `tag` parameters of one push. */
const MAX_TAGS = 100;

/** GET and HEAD /v2/<name>/manifests/<reference>. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
export async function getManifest(registry: Registry, call: Call, { name, reference }: ManifestTarget): Promise<Reply> {
  const fresh = await registry.upstream?.manifest(name, reference, call);
  const found = findManifest(registry.metadata, name, reference);
  const bytes = found === undefined ? undefined : manifestBytes(registry.metadata, found.digest);
  if (found === undefined || bytes === undefined) {
    throw registryError('MANIFEST_UNKNOWN', 'manifest unknown', { detail: { name, reference: reference.tag ?? reference.digest } });
  }
  const headers: Record<string, string> = { 'Content-Type': found.media_type, 'Docker-Content-Digest': found.digest, ETag: `"${found.digest}"` };
  if (fresh === 'stale') headers['Warning'] = '299 - "the upstream does not answer: this is what it last had"';
  if (matchesEtag(call, found.digest)) return { status: 304, headers };
  if (call.method === 'GET') {
    notePull(registry.metadata, found, Date.now());
    registry.events.emit(eventOf(call, 'pull', { repository: name, digest: found.digest, size: found.size, mediaType: found.media_type, ...(reference.tag === undefined ? {} : { tag: reference.tag }) }));
  }
  return { status: 200, headers, body: bytes };
}

/**
 * PUT /v2/<name>/manifests/<reference>, by digest also with `tag` parameters. What it names may be absent (a sparse image or index)
 * unless `sparse` is off, but not lost: a part that was here when the client looked and has gone since is told. The check and
 * the change are one transaction, so that no collection comes between.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
 */
export async function putManifestByReference(registry: Registry, call: Call, { name, reference }: ManifestTarget): Promise<Reply> {
  const asked = call.query.getAll('tag');
  if (asked.length > MAX_TAGS) throw registryError('TAG_INVALID', `more than ${MAX_TAGS} tags at once`, { status: 414 });
  const tags = reference.tag === undefined ? [...new Set(asked)].map(parseTag) : [reference.tag];
  const bytes = await readWholeBody(call, MAX_MANIFEST_BYTES, registry.limits.uploadIdle);
  const digest = digestOf(bytes, reference.digest === undefined ? 'sha256' : algorithmOf(reference.digest));
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw registryError('DIGEST_INVALID', 'provided digest did not match uploaded content', { detail: { expected: reference.digest, actual: digest } });
  }
  const manifest = parseManifest(bytes, withoutParameters(call.header('content-type')));
  try {
    registry.metadata.transaction(() => {
      const absent = missingReferences(registry.metadata, name, manifest);
      const missing = registry.limits.sparse ? departedReferences(registry.metadata, name, absent) : absent;
      if (missing.length > 0) {
        const why = registry.limits.sparse ? 'have been removed from' : 'are not in';
        throw registryError('MANIFEST_BLOB_UNKNOWN', `the manifest names ${missing.length} blobs or manifests that ${why} ${name}`, { hint: 'push them, then the manifest again', detail: missing.slice(0, 20).map((one) => ({ digest: one })) });
      }
      const wrong = wrongSizes(registry.metadata, name, manifest)[0];
      if (wrong !== undefined) throw registryError('SIZE_INVALID', `the manifest says that ${wrong.digest} has ${wrong.size} bytes, but it has ${wrong.stored}`);
      putManifest(registry.metadata, name, { digest, bytes, manifest, tags, now: Date.now(), quota: registry.limits.quotaOf(name) });
      for (const tag of tags.length === 0 ? [undefined] : tags) {
        registry.events.emit(eventOf(call, 'push', { repository: name, digest, size: bytes.length, mediaType: manifest.mediaType, ...(tag === undefined ? {} : { tag }) }));
      }
    });
  } catch (error) {
    throw asStorageError(error, `manifest ${digest} could not be stored`);
  }
  registry.metrics.count('naru_registry_received_bytes_total', {}, bytes.length);
  return {
    status: 201,
    headers: {
      Location: `/v2/${name}/manifests/${digest}`, 'Docker-Content-Digest': digest,
      ...(manifest.subject === undefined ? {} : { 'OCI-Subject': manifest.subject }),
      ...(asked.length === 0 || reference.tag !== undefined ? {} : { 'OCI-Tag': tags.join(', ') }),
    },
  };
}

/** DELETE /v2/<name>/manifests/<reference>: a tag alone, or a manifest with all its tags; one that an index here lists stays (405). */
export async function deleteManifest(registry: Registry, call: Call, { name, reference }: ManifestTarget): Promise<Reply> {
  const unknown = (): Error => registryError('MANIFEST_UNKNOWN', 'manifest unknown', { detail: { name, reference: reference.tag ?? reference.digest } });
  if (reference.tag !== undefined) {
    const { tag } = reference;
    registry.metadata.transaction(() => {
      if (!removeTag(registry.metadata, name, tag)) throw unknown();
      registry.events.emit(eventOf(call, 'delete', { repository: name, tag }));
    });
    return { status: 202 };
  }
  const { digest } = reference;
  registry.metadata.transaction(() => {
    const removed = removeManifest(registry.metadata, name, digest);
    if (removed.outcome === 'unknown') throw unknown();
    if (removed.outcome === 'in-use') throw registryError('DENIED', `the manifest is part of index ${removed.manifest}`, { status: 405, hint: 'delete that one first, or only the tag' });
    registry.events.emit(eventOf(call, 'delete', { repository: name, digest }));
  });
  return { status: 202 };
}
