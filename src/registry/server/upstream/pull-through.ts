import type { Digest } from '#spec/ids.ts';
import { algorithmOf, digestOf, isDigest } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '#registry/protocol/manifest.ts';
import { MANIFEST_TYPES, withoutParameters } from '#registry/protocol/media-types.ts';
import type { ManifestReference, RepositoryName } from '#registry/protocol/repository-name.ts';
import { blobReply } from '../handlers/blobs.ts';
import type { Call, Reply } from '../http/call.ts';
import { findManifest, putManifest } from '../metadata/manifests.ts';
import { noteChecked } from '../metadata/tags.ts';
import type { Registry } from '../registry.ts';
import { storeBlob } from '../store-blob.ts';
import { BlobDownload } from './blob-download.ts';
import { readBytes, UpstreamClient, type UpstreamOptions } from './upstream-client.ts';

export interface PullThroughOptions extends UpstreamOptions {
  /** Milliseconds that a tag is believed without asking the upstream again. */
  fresh: number;
}

/** A cache in front of one upstream: what is not here is fetched, kept and shown; what is here is shown when the upstream is away. */
export interface PullThrough {
  /** Sees to it that the manifest is here if the upstream has it. `stale`: what is here could not be compared. */
  manifest(name: RepositoryName, reference: ManifestReference, call: Call): Promise<'fresh' | 'stale'>;
  /** A blob that is not here. */
  blob(name: RepositoryName, digest: Digest, call: Call): Promise<Reply | undefined>;
  /** A list as the upstream has it; undefined when it is away or has none. */
  relay(name: RepositoryName, rest: string): Promise<Reply | undefined>;
}

const LIST_BYTES = 4 << 20;

/** `registry` is asked for late: the two are made together. */
export function pullThrough(options: PullThroughOptions, registry: () => Registry): PullThrough {
  const client = new UpstreamClient(options);
  const downloads = new Map<string, Promise<BlobDownload | undefined>>();
  const checks = new Map<string, Promise<'fresh' | 'stale'>>();
  const count = (outcome: string): void => registry().metrics.count('naru_registry_upstream_total', { outcome });

  /** The digest that a tag has upstream, by HEAD; undefined when upstream does not say. */
  const remoteDigest = async (name: RepositoryName, tag: string): Promise<string | undefined> => {
    const answer = await client.get(name, `manifests/${tag}`, { method: 'HEAD', headers: { accept: MANIFEST_TYPES.join(', ') } });
    await answer.body?.cancel();
    if (answer.status === 404) return 'gone';
    if (!answer.ok) throw registryError('UNAVAILABLE', `the upstream answered ${answer.status}`);
    return answer.headers.get('docker-content-digest') ?? undefined;
  };

  const fetchManifest = async (name: RepositoryName, reference: ManifestReference): Promise<void> => {
    const answer = await client.get(name, `manifests/${reference.tag ?? reference.digest}`, { headers: { accept: MANIFEST_TYPES.join(', ') } });
    if (answer.status === 404) return void (await answer.body?.cancel());
    if (!answer.ok) {
      await answer.body?.cancel();
      throw registryError('UNAVAILABLE', `the upstream answered ${answer.status}`);
    }
    const bytes = await readBytes(answer, MAX_MANIFEST_BYTES);
    const stated = reference.digest ?? answer.headers.get('docker-content-digest');
    const digest = digestOf(bytes, isDigest(stated) ? algorithmOf(stated) : 'sha256');
    if (isDigest(stated) && stated !== digest) throw registryError('UNAVAILABLE', `the upstream sent a manifest that is not ${stated}`);
    const manifest = parseManifest(bytes, withoutParameters(answer.headers.get('content-type') ?? ''));
    putManifest(registry().metadata, name, { digest, bytes, manifest, tags: reference.tag === undefined ? [] : [reference.tag], now: Date.now(), quota: registry().limits.quotaOf(name) });
  };

  const check = async (name: RepositoryName, reference: ManifestReference): Promise<'fresh' | 'stale'> => {
    const { metadata } = registry();
    const found = findManifest(metadata, name, reference);
    if (found !== undefined && (reference.tag === undefined || Date.now() - found.checked < options.fresh)) return count('hit'), 'fresh';
    try {
      if (found !== undefined && reference.tag !== undefined) {
        const remote = await remoteDigest(name, reference.tag);
        if (remote === 'gone' || remote === found.digest) {
          if (remote === found.digest) noteChecked(metadata, name, reference.tag, Date.now());
          return count('hit'), 'fresh';
        }
      }
      await fetchManifest(name, reference);
      return count('miss'), 'fresh';
    } catch (error) {
      if (found === undefined) { count('failed'); throw error; }
      return count('stale'), 'stale';
    }
  };

  const download = async (name: RepositoryName, digest: Digest, forget: () => void): Promise<BlobDownload | undefined> => {
    const { uploads, limits } = registry();
    const answer = await client.get(name, `blobs/${digest}`);
    const size = Number(answer.headers.get('content-length') ?? NaN);
    if (!answer.ok || answer.body === null || !Number.isSafeInteger(size) || size > limits.maxBlobBytes) {
      await answer.body?.cancel();
      if (answer.ok) throw registryError('UNAVAILABLE', 'the upstream does not say how large the blob is, or it is too large');
      if (answer.status === 404) return undefined;
      throw registryError('UNAVAILABLE', `the upstream answered ${answer.status}`);
    }
    const session = await uploads.start(name, algorithmOf(digest));
    const claim = session.claim();
    const running = new BlobDownload(session, size);
    const store = async (): Promise<void> => storeBlob(registry(), name, { staged: await session.finish(digest), quota: limits.quotaOf(name) });
    running.run(answer.body as unknown as AsyncIterable<Uint8Array>, store).then(() => count('miss'), () => count('failed')).finally(async () => {
      claim[Symbol.dispose]();
      await uploads.end(session).catch(() => undefined);
    }).finally(forget);
    return running;
  };

  return {
    manifest(name, reference) {
      const key = `${name} ${reference.tag ?? reference.digest}`;
      let running = checks.get(key);
      if (running === undefined) checks.set(key, (running = check(name, reference).finally(() => checks.delete(key))));
      return running;
    },
    async blob(name, digest, call) {
      const key = `${name} ${digest}`;
      let running = downloads.get(key);
      if (running === undefined) {
        running = download(name, digest, () => downloads.delete(key));
        downloads.set(key, running);
        running.then((found) => { if (found === undefined) downloads.delete(key); }, () => downloads.delete(key));
      }
      const found = await running;
      return found === undefined ? undefined : blobReply(call, { digest, size: found.size, read: (range) => (found.done ? registry().storage.read(digest, range) : found.read(range)) });
    },
    async relay(name, rest) {
      try {
        const answer = await client.get(name, rest);
        if (!answer.ok) return void (await answer.body?.cancel());
        const headers: Record<string, string> = { 'Content-Type': answer.headers.get('content-type') ?? 'application/json' };
        for (const one of ['link', 'oci-filters-applied']) {
          const value = answer.headers.get(one);
          if (value !== null && !/^<https?:/i.test(value)) headers[one] = value;
        }
        return { status: 200, headers, body: await readBytes(answer, LIST_BYTES) };
      } catch {
        return undefined;
      }
    },
  };
}
