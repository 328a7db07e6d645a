import type { Digest } from '#spec/ids.ts';
import { formatUploadRange, parseChunkRange } from '#registry/protocol/byte-range.ts';
import { algorithmOf, digestOf, isDigest, parseAlgorithm, parseDigest } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { isRepositoryName, type RepositoryName } from '#registry/protocol/repository-name.ts';
import { contentLength, hasBody, readBody, type Call, type Reply } from '../http/call.ts';
import { mountBlob, findBlob, repositoriesWithBlob } from '../metadata/blobs.ts';
import { overQuota } from '../metadata/check-quota.ts';
import { repositoryBytes } from '../metadata/repositories.ts';
import { eventOf } from '../notify/event.ts';
import type { Registry } from '../registry.ts';
import { storeBlob } from '../store-blob.ts';
import type { UploadSession } from '../uploads/upload-session.ts';

/** Repositories that are looked at for a mount that names no source. */
const MOUNT_CANDIDATES = 1_000;

/**
 * POST /v2/<name>/blobs/uploads/: begins an upload, takes a whole blob (`digest`), or mounts one (`mount`, `from`).
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
 */
export async function startUpload(registry: Registry, call: Call, { name }: { name: RepositoryName }): Promise<Reply> {
  const mount = call.query.get('mount');
  if (mount !== null) {
    const digest = parseDigest(mount);
    const mounted = tryMount(registry, call, { name, digest });
    if (mounted !== undefined) return mounted;
  }
  const wanted = call.query.get('digest');
  const digest = wanted === null ? undefined : parseDigest(wanted);
  const algorithm = digest !== undefined ? algorithmOf(digest) : parseAlgorithm(call.query.get('digest-algorithm') ?? (isDigest(mount) ? algorithmOf(mount) : 'sha256'));
  const room = roomOf(registry, name);
  room.check(contentLength(call) ?? 0);
  const session = await registry.uploads.start(name, algorithm);
  // A POST with a digest and no body means the empty blob, or a client that will send it by PUT.
  if (digest === undefined || (!hasBody(call) && digest !== digestOf('', algorithm))) return { status: 202, headers: progress(session) };
  using _ = session.claim();
  try {
    await session.append(readBody(call, registry.limits.uploadIdle), room);
  } catch (error) {
    await registry.uploads.end(session);
    throw error;
  }
  return finish(registry, call, { name, session, digest });
}

/** A mount needs the right to pull from the source; without it, or without the blob there, an upload begins and nothing is told. */
function tryMount(registry: Registry, call: Call, { name, digest }: { name: RepositoryName; digest: Digest }): Reply | undefined {
  const from = call.query.get('from');
  const may = (source: string): source is RepositoryName => isRepositoryName(source) && call.caller.may(source, 'pull');
  const sources = from === null ? repositoriesWithBlob(registry.metadata, digest, MOUNT_CANDIDATES) : [from];
  const source = sources.find((one) => may(one) && findBlob(registry.metadata, one, digest) !== undefined);
  if (source === undefined || !mountBlob(registry.metadata, name, digest, { now: Date.now(), quota: registry.limits.quotaOf(name) })) return undefined;
  registry.events.emit(eventOf(call, 'mount', { repository: name, digest, fromRepository: source }));
  return created(name, digest);
}

/** PATCH …/uploads/<id>: a chunk, or the whole stream. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks */
export async function appendUpload(registry: Registry, call: Call, target: { name: RepositoryName; id: string }): Promise<Reply> {
  const session = await registry.uploads.find(target.name, target.id);
  using _ = session.claim();
  await append(registry, call, session);
  return { status: 202, headers: progress(session) };
}

/** PUT …/uploads/<id>?digest=: the last chunk, if any, and the end. */
export async function finishUpload(registry: Registry, call: Call, target: { name: RepositoryName; id: string }): Promise<Reply> {
  const session = await registry.uploads.find(target.name, target.id);
  const digest = parseDigest(call.query.get('digest') ?? '');
  using _ = session.claim();
  if (hasBody(call)) await append(registry, call, session);
  return finish(registry, call, { name: target.name, session, digest });
}

/** GET …/uploads/<id>: how far it has come. */
export async function uploadStatus(registry: Registry, _call: Call, target: { name: RepositoryName; id: string }): Promise<Reply> {
  return { status: 204, headers: progress(await registry.uploads.find(target.name, target.id)) };
}

/** DELETE …/uploads/<id>. */
export async function cancelUpload(registry: Registry, _call: Call, target: { name: RepositoryName; id: string }): Promise<Reply> {
  const session = await registry.uploads.find(target.name, target.id);
  using _ = session.claim();
  await registry.uploads.end(session);
  return { status: 204 };
}

async function append(registry: Registry, call: Call, session: UploadSession): Promise<void> {
  const header = call.header('content-range');
  const length = contentLength(call);
  const room = roomOf(registry, session.repository);
  let { limit, overflow } = room;
  if (header !== '') {
    const outOfOrder = (why: string): Error =>
      registryError('BLOB_UPLOAD_INVALID', why, { status: 416, headers: progress(session), detail: { received: session.received } });
    let range;
    try {
      range = parseChunkRange(header);
    } catch (error) {
      throw outOfOrder((error as Error).message);
    }
    if (range.start !== session.received) throw outOfOrder(`the chunk begins at byte ${range.start}, but byte ${session.received} is next`);
    if (length !== undefined && length !== range.end - range.start + 1) {
      throw registryError('SIZE_INVALID', `Content-Range ${header} and Content-Length ${length} disagree`);
    }
    if (range.end + 1 <= limit) {
      limit = range.end + 1;
      overflow = () => registryError('SIZE_INVALID', `the chunk is longer than its Content-Range ${header}`);
    } else throw overflow();
  }
  room.check(session.received + (length ?? 0));
  try {
    await session.append(readBody(call, registry.limits.uploadIdle), { limit, overflow });
  } finally {
    registry.uploads.touch(session);
  }
}

async function finish(registry: Registry, call: Call, { name, session, digest }: { name: RepositoryName; session: UploadSession; digest: Digest }): Promise<Reply> {
  try {
    const staged = await session.finish(digest);
    await storeBlob(registry, name, { staged, quota: registry.limits.quotaOf(name) });
    registry.metrics.count('naru_registry_received_bytes_total', {}, staged.size);
    registry.events.emit(eventOf(call, 'push', { repository: name, digest, size: staged.size, mediaType: 'application/octet-stream' }));
  } catch (error) {
    // A full or failing disk may be better in a minute: the client can end the upload again then.
    if ((error as { kind?: string }).kind !== 'no-space' && (error as { kind?: string }).kind !== 'unavailable') await registry.uploads.end(session);
    throw error;
  }
  await registry.uploads.end(session);
  return created(name, digest);
}

/** How large an upload may grow now. */
function roomOf(registry: Registry, name: RepositoryName): { limit: number; overflow: () => Error; check: (bytes: number) => void } {
  const { maxBlobBytes } = registry.limits;
  const quota = registry.limits.quotaOf(name);
  const free = quota === undefined ? Infinity : quota - repositoryBytes(registry.metadata, name);
  const limit = Math.max(0, Math.min(maxBlobBytes, free));
  const overflow = (): Error => free < maxBlobBytes
    ? overQuota(name, quota as number)
    : registryError('SIZE_INVALID', `blobs of more than ${maxBlobBytes} bytes are not taken`, { status: 413 });
  return { limit, overflow, check: (bytes) => { if (bytes > limit) throw overflow(); } };
}

const created = (name: RepositoryName, digest: Digest): Reply =>
  ({ status: 201, headers: { Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest } });

const progress = (session: UploadSession): Record<string, string> => ({
  Location: `/v2/${session.repository}/blobs/uploads/${session.id}`,
  Range: formatUploadRange(session.received),
  'Docker-Upload-UUID': session.id,
});
