import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_OPTIONS, type RegistryOptions } from '#registry/server/options.ts';
import { serveRegistry, type RegistryServer } from '#registry/server/serve-registry.ts';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A live registry on a random port of 127.0.0.1 with a data directory of its own. */
export interface TestRegistry extends AsyncDisposable {
  server: RegistryServer;
  url: string;
  data: string;
  said: string[];
  /** Stops it and starts another one on the same data. */
  restart(): Promise<void>;
}

export async function testRegistry(options: Partial<RegistryOptions> = {}): Promise<TestRegistry> {
  const data = mkdtempSync(join(tmpdir(), 'naru-registry-'));
  const said: string[] = [];
  const start = (): Promise<RegistryServer> => serveRegistry({ ...DEFAULT_OPTIONS, port: 0, accessLog: 'off', data, ...options }, (line) => said.push(line));
  const server = await start().catch((error: unknown) => {
    rmSync(data, { recursive: true, force: true });
    throw error;
  });
  const registry: TestRegistry = {
    server, url: '', data, said,
    async restart() {
      await registry.server[Symbol.asyncDispose]();
      registry.server = await start();
      registry.url = registry.server.url;
    },
    async [Symbol.asyncDispose]() {
      await registry.server[Symbol.asyncDispose]();
      rmSync(data, { recursive: true, force: true });
    },
  };
  registry.url = registry.server.url;
  return registry;
}

export const digestOf = (bytes: Uint8Array | string, algorithm = 'sha256'): string => `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
export const randomBlob = (size: number): Buffer => randomBytes(size);

/** Requests against one repository, as the specification writes them. */
export function repository(url: string, name: string, headers: Record<string, string> = {}) {
  const at = (path: string): string => new URL(path, url).href;
  const send = (method: string, path: string, init: { headers?: Record<string, string>; body?: Uint8Array | string } = {}): Promise<Response> =>
    fetch(at(path), { method, redirect: 'manual', ...init, headers: { ...headers, ...init.headers } } as RequestInit);
  const start = async (query = ''): Promise<string> => {
    const answer = await send('POST', `/v2/${name}/blobs/uploads/${query}`);
    if (answer.status !== 202) throw new Error(`POST gave ${answer.status}: ${await answer.text()}`);
    return answer.headers.get('location') as string;
  };
  const withQuery = (location: string, query: string): string => `${location}${location.includes('?') ? '&' : '?'}${query}`;
  const put = async (bytes: Uint8Array | string, digest = digestOf(bytes)): Promise<Response> =>
    send('PUT', withQuery(await start(), `digest=${digest}`), { body: bytes, headers: { 'content-type': 'application/octet-stream' } });
  const putManifest = (reference: string, manifest: object | string | Uint8Array, mediaType?: string): Promise<Response> => {
    const body = typeof manifest === 'string' || manifest instanceof Uint8Array ? manifest : JSON.stringify(manifest);
    return send('PUT', `/v2/${name}/manifests/${reference}`, { body, headers: { 'content-type': mediaType ?? (manifest as { mediaType?: string }).mediaType ?? OCI_MANIFEST } });
  };
  return {
    name, send, start, withQuery, put, putManifest, at,
    blob: (digest: string, init: { headers?: Record<string, string> } = {}, method = 'GET') => send(method, `/v2/${name}/blobs/${digest}`, init),
    manifest: (reference: string, method = 'GET', init: { headers?: Record<string, string> } = {}) => send(method, `/v2/${name}/manifests/${reference}`, init),
    /** Pushes config and layers, then the manifest; gives its text and digest. */
    async image(reference: string | undefined, { layers = [randomBlob(300)], diffIds = [], extra = {} }: { layers?: Uint8Array[]; diffIds?: readonly string[]; extra?: object } = {}) {
      const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds }, made: randomBytes(6).toString('hex') }));
      for (const bytes of [config, ...layers]) {
        const answer = await put(bytes);
        if (answer.status !== 201) throw new Error(`blob PUT gave ${answer.status}: ${await answer.text()}`);
      }
      const manifest = {
        schemaVersion: 2, mediaType: OCI_MANIFEST,
        config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
        layers: layers.map((bytes) => ({ mediaType: OCI_LAYER, digest: digestOf(bytes), size: bytes.length })),
        ...extra,
      };
      const text = JSON.stringify(manifest);
      const digest = digestOf(text);
      const answer = await putManifest(reference ?? digest, text, OCI_MANIFEST);
      if (answer.status !== 201) throw new Error(`manifest PUT gave ${answer.status}: ${await answer.text()}`);
      return { manifest, text, digest, answer, layers: manifest.layers, config: manifest.config, descriptor: { mediaType: OCI_MANIFEST, digest, size: text.length } };
    },
  };
}

/** The code of a refusal. */
export async function codeOf(answer: Response): Promise<string> {
  const body = (await answer.json()) as { errors: { code: string; message: string }[] };
  if (typeof body.errors[0]?.message !== 'string' || body.errors[0].message === '') throw new Error('a refusal without a sentence');
  return body.errors[0].code;
}
