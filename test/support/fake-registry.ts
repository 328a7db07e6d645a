import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Digest } from '#spec/ids.ts';
import type { Descriptor } from '#spec/oci-image.ts';

export const sha256 = (bytes: Uint8Array | string): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;

export interface SeenRequest { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: Buffer; readonly remotePort: number }
/** Answers instead of the registry when it returns true. */
export type Quirk = (request: IncomingMessage, response: ServerResponse, seen: SeenRequest) => boolean | Promise<boolean>;

export const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';

/** A registry in this process that can be made to misbehave. Serves blobs (with Range), manifests, tags and uploads. */
export class FakeRegistry implements AsyncDisposable {
  readonly blobs = new Map<string, Buffer>();
  /** By `<name>:<tag>` and `<name>@<digest>`. */
  readonly manifests = new Map<string, { type: string; bytes: Buffer }>();
  readonly requests: SeenRequest[] = [];
  readonly quirks: Quirk[] = [];
  /** Bytes of blob bodies that were sent. */
  sent = 0;
  readonly #uploads = new Map<string, Buffer>();
  readonly #server: Server;
  #count = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(address = '127.0.0.1'): Promise<FakeRegistry> {
    const server = createServer();
    const registry = new FakeRegistry(server);
    server.on('request', (request, response) => void registry.#answer(request, response).catch(() => response.destroy()));
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    return registry;
  }

  get host(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `${address}:${port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  addBlob(bytes: Uint8Array | string, mediaType = 'application/vnd.docker.image.rootfs.diff.tar.gzip'): Descriptor {
    const buffer = Buffer.from(bytes as string);
    const digest = sha256(buffer);
    this.blobs.set(digest, buffer);
    return { mediaType, digest, size: buffer.byteLength };
  }

  addManifest(name: string, document: unknown, { tag, type = MANIFEST }: { tag?: string; type?: string } = {}): Descriptor {
    const bytes = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
    const digest = sha256(bytes);
    this.manifests.set(`${name}@${digest}`, { type, bytes });
    if (tag !== undefined) this.manifests.set(`${name}:${tag}`, { type, bytes });
    return { mediaType: type, digest, size: bytes.byteLength };
  }

  /** Requests by method and the beginning of their path. */
  seen(method: string, path = ''): SeenRequest[] {
    return this.requests.filter((request) => request.method === method && request.url.startsWith(path));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const seen = { method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(parts), remotePort: request.socket.remotePort ?? 0 };
    this.requests.push(seen);
    for (const quirk of this.quirks) if (await quirk(request, response, seen)) return;
    const url = new URL(request.url!, `http://${this.host}`);
    const [, name, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs|tags)\/(.*)$/.exec(url.pathname) ?? [];
    if (url.pathname === '/v2/') return void response.end('{}');
    if (kind === 'manifests') return this.#manifest(seen, response, { name: name!, reference: reference! });
    if (kind === 'tags') return void response.end(JSON.stringify({ name, tags: [...this.manifests.keys()].filter((key) => key.startsWith(`${name}:`)).map((key) => key.slice(name!.length + 1)) }));
    if (kind === 'blobs' && reference!.startsWith('uploads/')) return this.#upload(seen, response, url);
    if (kind === 'blobs') return this.#blob(seen, response, reference!);
    refuse(response, 404, 'NAME_UNKNOWN');
  }

  #manifest(seen: SeenRequest, response: ServerResponse, { name, reference }: { name: string; reference: string }): void {
    if (seen.method === 'PUT') {
      const { digest } = this.addManifest(name, seen.body.toString(), { type: seen.headers['content-type']!, ...(reference.includes(':') ? {} : { tag: reference }) });
      return void response.writeHead(201, { 'docker-content-digest': digest }).end();
    }
    const found = this.manifests.get(`${name}${reference.includes(':') ? '@' : ':'}${reference}`);
    if (found === undefined) return refuse(response, 404, 'MANIFEST_UNKNOWN');
    response.writeHead(200, { 'content-type': found.type, 'content-length': found.bytes.byteLength, 'docker-content-digest': sha256(found.bytes) });
    response.end(found.bytes);
  }

  #blob(seen: SeenRequest, response: ServerResponse, digest: string): void {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) return refuse(response, 404, 'BLOB_UNKNOWN');
    if (seen.method === 'HEAD') return void response.writeHead(200, { 'content-length': bytes.byteLength }).end();
    const start = Number(/^bytes=(\d+)-$/.exec(seen.headers.range ?? '')?.[1] ?? -1);
    if (start >= bytes.byteLength) return refuse(response, 416, 'RANGE_INVALID');
    const part = start < 0 ? bytes : bytes.subarray(start);
    response.writeHead(start < 0 ? 200 : 206, { 'content-length': part.byteLength, ...(start < 0 ? {} : { 'content-range': `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}` }) });
    this.sent += part.byteLength;
    response.end(part);
  }

  #upload(seen: SeenRequest, response: ServerResponse, url: URL): void {
    const mount = url.searchParams.get('mount');
    if (seen.method === 'POST' && mount !== null && this.blobs.has(mount)) return void response.writeHead(201).end();
    if (seen.method === 'POST') {
      const path = `${url.pathname}${++this.#count}`;
      this.#uploads.set(path, Buffer.alloc(0));
      return void response.writeHead(202, { location: `${path}?state=a%20b` }).end();
    }
    const so = this.#uploads.get(url.pathname);
    if (so === undefined) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
    const range = /^(\d+)-/.exec(seen.headers['content-range'] ?? '');
    if (range !== null && Number(range[1]) !== so.byteLength) return refuse(response, 416, 'BLOB_UPLOAD_INVALID');
    const now = Buffer.concat([so, seen.body]);
    this.#uploads.set(url.pathname, now);
    if (seen.method === 'PUT') {
      const digest = url.searchParams.get('digest')!;
      if (sha256(now) !== digest) return refuse(response, 400, 'DIGEST_INVALID');
      this.blobs.set(digest, now);
      return void response.writeHead(201, { 'docker-content-digest': digest }).end();
    }
    response.writeHead(seen.method === 'GET' ? 204 : 202, { location: `${url.pathname}?state=b`, range: `0-${Math.max(0, now.byteLength - 1)}` }).end();
  }
}

export const refuse = (response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }));

/** For quirks in one line. */
export const answered = (_done: unknown): true => true;
