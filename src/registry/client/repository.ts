import { isKind, NaruError } from '#spec/errors.ts';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor, Index, Platform } from '#spec/oci-image.ts';
import { digestOf, algorithmOf } from '../protocol/digest.ts';
import { OCI_INDEX } from '../protocol/media-types.ts';
import { parseNextLink } from '../protocol/pagination.ts';
import { isTag } from '../protocol/repository-name.ts';
import type { Credentials } from './credentials.ts';
import { readBody, type RegistryRequest, type RegistryResponse } from './dispatch.ts';
import { openEndpoint, type Endpoint } from './endpoint.ts';
import { fetchManifest, type FetchedManifest } from './fetch-manifest.ts';
import { readHostConfig, type HostConfigDirectories } from './host-config.ts';
import { readBlob, type ReadBlobOptions } from './read-blob.ts';
import { fetchReferrers, referrersTag, withReferrer } from './referrers.ts';
import { foreignUrls, MAX_CONFIG_BYTES, resolveImage, type ResolvedImage } from './resolve-image.ts';
import { responseError } from './response-error.ts';
import type { RetryOptions } from './retry.ts';
import { beginUpload, uploadBlob, uploadBytes, type BlobSource } from './upload-blob.ts';

/** One repository of one registry, with its mirrors. All methods throw NaruError and may run concurrently. */
export interface Repository {
  /** Which image a tag or digest means on a platform. */
  resolve(reference: string, options: { platform: Platform; signal?: AbortSignal }): Promise<ResolvedImage>;
  manifest(reference: string, signal?: AbortSignal): Promise<FetchedManifest>;
  /** A blob's bytes: the reader checks the digest. */
  blob(descriptor: Descriptor, options?: Omit<ReadBlobOptions, 'retry'>): AsyncIterable<Uint8Array>;
  /** A small blob, checked. */
  document(descriptor: Descriptor, signal?: AbortSignal): Promise<Buffer>;
  tags(signal?: AbortSignal): Promise<string[]>;
  /** Its size, or undefined when it is not there. Asks the registry itself, no mirror. */
  blobSize(digest: Digest, signal?: AbortSignal): Promise<number | undefined>;
  /** True: the registry took it over from its repository `from`. */
  mount(digest: Digest, from: string, signal?: AbortSignal): Promise<boolean>;
  upload(source: BlobSource, signal?: AbortSignal): Promise<{ digest: Digest; size: number }>;
  uploadBytes(blob: { digest: Digest; bytes: Uint8Array }, signal?: AbortSignal): Promise<void>;
  putManifest(reference: string, manifest: { mediaType: string; bytes: Uint8Array }, signal?: AbortSignal): Promise<void>;
  /** What refers to a manifest here: signatures, attestations, artifacts. */
  referrers(subject: Digest, signal?: AbortSignal): Promise<Descriptor[]>;
  /** Puts a manifest that has a subject, so that it is found by it in every registry. */
  putReferrer(subject: Digest, manifest: { entry: Descriptor; bytes: Uint8Array }, signal?: AbortSignal): Promise<void>;
  /** What layers are compressed with that this registry does not have yet. */
  readonly compression: 'gzip' | 'zstd';
  close(): void;
}

export interface RegistryClientOptions {
  readonly directories: HostConfigDirectories;
  /** The daemon's environment: proxies. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly retry?: RetryOptions;
  readonly patience?: number;
  readonly userAgent?: string;
}

const MAX_TAGS_PAGE = 4 << 20;
const MAX_TAGS = 100_000;
/** A mirror that fails is left for the next; only the last in the row is asked again and again. */
const MIRROR_ATTEMPTS = 2;

/** Where a registry named in images really answers. */
export const serverOf = (domain: string): URL => new URL(domain === 'docker.io' ? 'https://registry-1.docker.io' : `https://${domain}`);

/**
 * Opens `<domain>/<path>`. `credentials` belong to that registry alone: mirrors get those of their own file, or none.
 * `familiar` is the name in messages.
 */
export function openRepository({ domain, path, familiar = `${domain}/${path}` }: { domain: string; path: string; familiar?: string }, credentials: Credentials, options: RegistryClientOptions): Repository {
  const config = readHostConfig(domain, options.directories);
  const shared = { ...(options.env === undefined ? {} : { env: options.env }), ...(options.patience === undefined ? {} : { patience: options.patience }), ...(options.userAgent === undefined ? {} : { userAgent: options.userAgent }) };
  const retried = options.retry === undefined ? {} : { retry: options.retry };
  const registry = openEndpoint(config.url ?? serverOf(domain), { ...shared, ...retried, config, credentials: Object.keys(credentials).length > 0 ? credentials : (config.auth ?? {}) });
  const mirrors = config.mirrors.map((mirror) => openEndpoint(mirror.url!, { ...shared, config: mirror, credentials: mirror.auth ?? {}, retry: { ...options.retry, attempts: MIRROR_ATTEMPTS } }));
  const readers: readonly Endpoint[] = config.fallback ? [...mirrors, registry] : mirrors.length > 0 ? mirrors : [registry];
  const pullScope = `repository:${path}:pull`;
  const pushScope = `repository:${path}:pull,push`;

  const locate = (endpoint: Endpoint, rest: string): URL => new URL(`${endpoint.base.href.replace(/\/+$/, '')}/v2/${path}/${rest}`);

  /** The first of mirrors and registry that has it. */
  async function read(rest: string, request: Omit<RegistryRequest, 'url'>): Promise<RegistryResponse> {
    for (const [i, endpoint] of readers.entries()) {
      const last = i === readers.length - 1;
      try {
        const response = await endpoint.dispatch({ ...request, url: locate(endpoint, rest), scope: pullScope });
        if (last || response.status < 400) return response;
        response.body.cancel();
      } catch (error) {
        if (last || isKind(error, 'canceled')) throw error;
      }
    }
    throw new NaruError('internal', `no endpoint for ${domain}`);
  }

  const ask = (request: Omit<RegistryRequest, 'scope'> & { scope?: string }): Promise<RegistryResponse> => registry.dispatch({ scope: pushScope, ...request });
  const uploads = locate(registry, 'blobs/uploads/');
  const signalled = (signal: AbortSignal | undefined): { signal?: AbortSignal } => (signal === undefined ? {} : { signal });

  async function put(reference: string, { mediaType, bytes }: { mediaType: string; bytes: Uint8Array }, signal: AbortSignal | undefined): Promise<RegistryResponse> {
    const response = await ask({ method: 'PUT', url: locate(registry, `manifests/${reference}`), headers: { 'content-type': mediaType }, body: bytes, ...signalled(signal) });
    if (response.status !== 201 && response.status !== 200 && response.status !== 202) throw await responseError(response, { what: `push of ${familiar}:${reference}` });
    response.body.cancel();
    return response;
  }

  const repository: Repository = {
    compression: config.compression,

    manifest: (reference, signal) => fetchManifest((request) => read(`manifests/${reference}`, request), { name: familiar, reference, signal }),

    resolve: (reference, { platform, signal }) => resolveImage((one) => repository.manifest(one, signal), { reference, platform, name: familiar }),

    async *blob(descriptor, blobOptions = {}) {
      try {
        yield* readBlob((request) => read(`blobs/${descriptor.digest}`, request), descriptor, { ...blobOptions, ...retried });
      } catch (error) {
        const [url] = foreignUrls(descriptor);
        if (url === undefined || !isKind(error, 'not-found')) throw error;
        // A host that the manifest's author chose: nothing of ours goes there.
        const stranger = openEndpoint(new URL(url.origin), { ...shared, ...retried, config: { url: undefined, insecure: false, tls: {}, headers: {}, auth: undefined, proxy: undefined } });
        try {
          yield* readBlob((request) => stranger.dispatch({ ...request, url, foreign: true }), descriptor, { ...blobOptions, ...retried });
        } finally {
          stranger.close();
        }
      }
    },

    async document(descriptor, signal) {
      if (descriptor.size > MAX_CONFIG_BYTES) throw new NaruError('too-large', `blob ${descriptor.digest} has ${descriptor.size} bytes, more than ${MAX_CONFIG_BYTES}`);
      const parts: Uint8Array[] = [];
      for await (const chunk of repository.blob(descriptor, signalled(signal))) parts.push(Buffer.from(chunk));
      const bytes = Buffer.concat(parts);
      const digest = digestOf(bytes, algorithmOf(descriptor.digest));
      if (digest !== descriptor.digest) throw new NaruError('corrupt', `filesystem layer verification failed for digest ${descriptor.digest}`, { hint: `the registry sent ${digest}` });
      return bytes;
    },

    async tags(signal) {
      const found: string[] = [];
      for (let rest: string | undefined = 'tags/list?n=1000'; rest !== undefined; ) {
        const response = await read(rest, { method: 'GET', ...signalled(signal) });
        if (response.status !== 200) throw await responseError(response, { what: `tags of ${familiar}` });
        const { tags } = JSON.parse((await readBody(response, MAX_TAGS_PAGE)).toString('utf8')) as { tags?: unknown };
        const page = Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string' && isTag(tag)) : [];
        found.push(...page);
        if (found.length > MAX_TAGS) throw new NaruError('too-large', `${familiar} has more than ${MAX_TAGS} tags`);
        const next = parseNextLink(response.headers['link']);
        rest = next === undefined || page.length === 0 ? undefined : `tags/list${new URL(next, response.url).search}`;
      }
      return found;
    },

    async blobSize(digest, signal) {
      const response = await ask({ method: 'HEAD', url: locate(registry, `blobs/${digest}`), ...signalled(signal) });
      response.body.cancel();
      if (response.status === 404) return undefined;
      if (response.status !== 200) throw await responseError(response, { what: `Head ${JSON.stringify(response.url.origin + response.url.pathname)}` });
      return Number(response.headers['content-length'] ?? 0);
    },

    async mount(digest, from, signal) {
      const session = await beginUpload(ask, { uploads, signal, mount: { digest, from, scope: `repository:${from}:pull ${pushScope}` } });
      if (session === undefined) return true;
      // It opened a session instead: nobody needs it.
      void ask({ method: 'DELETE', url: session }).then((response) => response.body.cancel(), () => {});
      return false;
    },

    upload: (source, signal) => uploadBlob(ask, source, { uploads, chunkBytes: config.chunkBytes, signal, ...retried }),
    uploadBytes: (blob, signal) => uploadBytes(ask, blob, { uploads, signal }),

    putManifest: async (reference, manifest, signal) => void (await put(reference, manifest, signal)),

    referrers: (subject, signal) => fetchReferrers({
      read: (rest) => read(rest, { method: 'GET', headers: { accept: OCI_INDEX }, ...signalled(signal) }),
      manifest: (reference) => repository.manifest(reference, signal),
    }, subject),

    async putReferrer(subject, { entry, bytes }, signal) {
      const response = await put(entry.digest, { mediaType: entry.mediaType, bytes }, signal);
      // The registry says so when it lists it by itself; else it is written down under a tag.
      if (response.headers['oci-subject'] === subject) return;
      const own = fetchManifest((request) => ask({ ...request, url: locate(registry, `manifests/${referrersTag(subject)}`) }), { name: familiar, reference: referrersTag(subject), signal });
      const before = await own.then(({ bytes: old }) => (JSON.parse(old.toString('utf8')) as Index).manifests ?? [], (error: unknown) => {
        if (isKind(error, 'not-found')) return [];
        throw error;
      });
      const index = withReferrer(before, entry);
      if (index !== undefined) await put(referrersTag(subject), { mediaType: OCI_INDEX, bytes: index }, signal);
    },

    close() {
      for (const endpoint of new Set([...mirrors, registry])) endpoint.close();
    },
  };
  return repository;
}
