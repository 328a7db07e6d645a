import type * as A from '#spec/engine-api.ts';
import type * as N from '#spec/naru-api.ts';
import type { ByteStream } from './byte-stream.ts';
import type { EngineTransport } from './engine-transport.ts';
import { filterQuery } from './query.ts';
import type { RequestBody } from './transport.ts';

export interface ListImagesOptions { readonly all?: boolean; readonly digests?: boolean; readonly manifests?: boolean; readonly filters?: A.Filters }
export interface ImportOptions { readonly repo?: string; readonly tag?: string; readonly message?: string; readonly changes?: readonly string[]; readonly platform?: string }

/** `/images`. */
export class ImagesClient {
  readonly #engine: EngineTransport;
  constructor(engine: EngineTransport) {
    this.#engine = engine;
  }

  list(options: ListImagesOptions = {}): Promise<A.ImageSummary[]> {
    return this.#engine.json('GET', '/images/json', { query: { all: options.all, digests: options.digests, manifests: options.manifests, filters: filterQuery(options.filters) } });
  }

  inspect(name: string, options: { platform?: string } = {}): Promise<A.ImageInspect> {
    return this.#engine.json('GET', `${at(name)}/json`, { query: { platform: asJson(options.platform) } });
  }

  inspectText(name: string, options: { platform?: string } = {}): Promise<string> {
    return this.#engine.text('GET', `${at(name)}/json`, { query: { platform: asJson(options.platform) } });
  }

  history(name: string, options: { platform?: string } = {}): Promise<A.ImageHistoryItem[]> {
    return this.#engine.json('GET', `${at(name)}/history`, { query: { platform: asJson(options.platform) } });
  }

  async tag(name: string, repo: string, tag: string): Promise<void> {
    await this.#engine.done('POST', `${at(name)}/tag`, { query: { repo, tag: tag === '' ? undefined : tag } });
  }

  remove(name: string, options: { force?: boolean; noPrune?: boolean; platforms?: readonly string[] } = {}): Promise<A.ImageDeleteItem[]> {
    return this.#engine.json('DELETE', at(name), { query: { force: options.force, noprune: options.noPrune, platforms: options.platforms } });
  }

  /** A docker-archive or OCI layout. The answer is a stream of progress messages when `json`, else text. */
  async load(archive: RequestBody, options: { quiet?: boolean; platform?: string } = {}): Promise<{ json: boolean; body: ByteStream }> {
    const answer = await this.#engine.call('POST', '/images/load', { query: { quiet: options.quiet === true ? '1' : '0', platform: asJson(options.platform) }, raw: archive, contentType: 'application/x-tar' });
    return { json: answer.headers.get('content-type')?.startsWith('application/json') === true, body: answer.body };
  }

  /** A root file system; `source` is `-` for the archive given, or a URL that the daemon fetches. */
  import(source: string, archive: RequestBody | undefined, options: ImportOptions = {}): AsyncGenerator<A.ProgressMessage, void> {
    return this.#engine.stream('POST', '/images/create', {
      query: { fromSrc: source, repo: options.repo, tag: options.tag, message: options.message, changes: options.changes, platform: options.platform },
      ...(archive === undefined ? {} : { raw: archive, contentType: 'text/plain' }),
    });
  }

  async save(names: readonly string[], options: { platform?: string } = {}): Promise<ByteStream> {
    return (await this.#engine.call('GET', '/images/get', { query: { names, platform: asJson(options.platform) } })).body;
  }

  pull(name: string, tag: string, options: { platform?: string; auth?: string; referrers?: boolean } = {}): AsyncGenerator<A.ProgressMessage, void> {
    return this.#engine.stream('POST', '/images/create', { query: { fromImage: name, tag: tag === '' ? undefined : tag, platform: options.platform, referrers: options.referrers }, headers: auth(options.auth) });
  }

  push(name: string, tag: string, options: { platform?: string; auth?: string; compression?: string; compressionLevel?: number } = {}): AsyncGenerator<A.ProgressMessage, void> {
    return this.#engine.stream('POST', `${at(name)}/push`, { query: { tag: tag === '' ? undefined : tag, platform: asJson(options.platform), compression: options.compression, 'compression-level': options.compressionLevel }, headers: auth(options.auth) });
  }

  search(term: string, options: { limit?: number; filters?: A.Filters; auth?: string } = {}): Promise<{ name: string; description: string; star_count: number; is_official: boolean; is_automated: boolean }[]> {
    return this.#engine.json('GET', '/images/search', { query: { term, limit: options.limit, filters: filterQuery(options.filters) }, headers: auth(options.auth) });
  }

  /** What a name means in its registry. */
  distribution(name: string, options: { auth?: string } = {}): Promise<{ Descriptor: { mediaType: string; digest: string; size: number } }> {
    return this.#engine.json('GET', `${at(name).replace('/images/', '/distribution/')}/json`, { headers: auth(options.auth) });
  }

  verify(request: N.VerifyRequest, options: { auth?: string } = {}): Promise<N.ImageVerification> {
    return this.#engine.json('POST', '/naru/image/verify', { json: request, headers: auth(options.auth) });
  }

  addSignature(request: N.SignatureRequest, options: { auth?: string } = {}): Promise<{ Document: string }> {
    return this.#engine.json('POST', '/naru/image/signature', { json: request, headers: auth(options.auth) });
  }

  referrers(name: string, options: { local?: boolean; artifactType?: string; auth?: string } = {}): Promise<N.Referrer[]> {
    return this.#engine.json('GET', '/naru/image/referrers', { query: { name, local: options.local, artifactType: options.artifactType }, headers: auth(options.auth) });
  }

  /** A manifest as its registry has it. */
  registryManifest(name: string, options: { auth?: string; insecure?: boolean } = {}): Promise<N.RegistryManifest> {
    return this.#engine.json('GET', '/naru/manifest', { query: { name, insecure: options.insecure }, headers: auth(options.auth) });
  }

  pushManifestList(request: N.ManifestListRequest, options: { auth?: string; insecure?: boolean } = {}): Promise<{ Digest: string }> {
    return this.#engine.json('POST', '/naru/manifest/list', { query: { insecure: options.insecure }, json: request, headers: auth(options.auth) });
  }

  prune(filters?: A.Filters): Promise<A.PruneReport> {
    return this.#engine.json('POST', '/images/prune', { query: { filters: filterQuery(filters) } });
  }
}

// References keep their slashes and colons: that is how the API routes them.
/** `linux/arm64/v8` as the API wants it where an image is meant that is here already. */
function asJson(platform: string | undefined): string | undefined {
  if (platform === undefined) return undefined;
  const [os, architecture, variant] = platform.split('/');
  return JSON.stringify({ architecture, os, ...(variant === undefined ? {} : { variant }) });
}

const at = (name: string): string => `/images/${encodeURIComponent(name).replace(/%2F/g, '/').replace(/%3A/g, ':').replace(/%40/g, '@')}`;
const auth = (value: string | undefined): Record<string, string> => (value === undefined ? {} : { 'X-Registry-Auth': value });
