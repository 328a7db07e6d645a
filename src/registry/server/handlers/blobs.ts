import type { Digest } from '#spec/ids.ts';
import { formatContentRange, parseRequestRange } from '#registry/protocol/byte-range.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { OCTET_STREAM } from '#registry/protocol/media-types.ts';
import type { RepositoryName } from '#registry/protocol/repository-name.ts';
import type { Call, Reply } from '../http/call.ts';
import { findBlob, touchBlob, unlinkBlob } from '../metadata/blobs.ts';
import { eventOf } from '../notify/event.ts';
import type { Registry } from '../registry.ts';
import { matchesEtag } from './matches-etag.ts';

/** GET and HEAD /v2/<name>/blobs/<digest>, with ranges. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs */
export async function getBlob(registry: Registry, call: Call, { name, digest }: { name: RepositoryName; digest: Digest }): Promise<Reply> {
  const found = findBlob(registry.metadata, name, digest);
  if (found === undefined) {
    const fetched = await registry.upstream?.blob(name, digest, call);
    if (fetched !== undefined) return fetched;
    throw registryError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: { digest } });
  }
  const now = Date.now();
  if (now - found.linked > registry.limits.grace / 4) touchBlob(registry.metadata, name, digest, now);
  if (call.method === 'GET') registry.events.emit(eventOf(call, 'pull', { repository: name, digest, size: found.size, mediaType: OCTET_STREAM }));
  return blobReply(call, { digest, size: found.size, read: (range) => registry.storage.read(digest, range) });
}

/** The reply for a blob whose bytes are at hand: whole, or the range that was asked for, or 304. */
export function blobReply(call: Call, { digest, size, read }: { digest: Digest; size: number; read: (range: { start: number; end: number }) => AsyncIterable<Uint8Array> }): Reply {
  const headers = {
    'Content-Type': OCTET_STREAM, 'Docker-Content-Digest': digest, ETag: `"${digest}"`, 'Accept-Ranges': 'bytes', 'Cache-Control': 'max-age=31536000',
  };
  if (matchesEtag(call, digest)) return { status: 304, headers };
  const ifRange = call.header('if-range');
  const range = ifRange === '' || ifRange === `"${digest}"` ? parseRequestRange(call.header('range') || undefined, size) : undefined;
  if (range === undefined) return { status: 200, headers, body: { length: size, pieces: () => read({ start: 0, end: size - 1 }) } };
  return {
    status: 206, headers: { ...headers, 'Content-Range': formatContentRange(range, size) },
    body: { length: range.end - range.start + 1, pieces: () => read(range) },
  };
}

/** DELETE /v2/<name>/blobs/<digest>. A blob that a manifest of the repository names stays: 405. */
export async function deleteBlob(registry: Registry, call: Call, { name, digest }: { name: RepositoryName; digest: Digest }): Promise<Reply> {
  const removed = unlinkBlob(registry.metadata, name, digest);
  if (removed.outcome === 'unknown') throw registryError('BLOB_UNKNOWN', 'blob unknown to registry', { detail: { digest } });
  if (removed.outcome === 'in-use') throw registryError('DENIED', `the blob is part of manifest ${removed.manifest}`, { status: 405, hint: 'delete that one first' });
  registry.events.emit(eventOf(call, 'delete', { repository: name, digest }));
  return { status: 202 };
}
