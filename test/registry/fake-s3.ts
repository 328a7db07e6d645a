import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As much of S3 as the storage uses, in memory: objects, ranges, multipart uploads, lists in pages of two. */
export interface FakeS3 extends AsyncDisposable {
  url: string;
  objects: Map<string, Buffer>;
  uploads: Map<string, Map<number, Buffer>>;
  /** The next requests fail with this status. */
  failNext(times: number, status?: number): void;
  requests: string[];
  /** Parts wait for it before they are kept. */
  held: Promise<void>;
}

export async function fakeS3(bucket: string): Promise<FakeS3> {
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const begun = new Map<string, { key: string; at: string }>();
  const requests: string[] = [];
  let failing = 0;
  let failure = 503;
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const url = new URL(request.url as string, 'http://s3');
    requests.push(`${request.method} ${url.pathname}${url.search}`);
    const end = (status: number, text: string | Buffer = '', headers: Record<string, string> = {}): void => { response.writeHead(status, headers); response.end(text); };
    if (failing > 0) { failing--; return end(failure, '<Error><Code>SlowDown</Code></Error>'); }
    if (!/^AWS4-HMAC-SHA256 Credential=key\/\d{8}\/test-1\/s3\/aws4_request, SignedHeaders=[^,]*host[^,]*, Signature=[0-9a-f]{64}$/.test(request.headers.authorization ?? '')) return end(403);
    const key = decodeURIComponent(url.pathname.slice(`/${bucket}/`.length));
    if (!url.pathname.startsWith(`/${bucket}`)) return end(404);
    const id = url.searchParams.get('uploadId');
    if (request.method === 'GET' && url.searchParams.get('list-type') === '2') {
      const keys = [...objects.keys()].filter((k) => k.startsWith(url.searchParams.get('prefix') ?? '')).sort();
      const from = Number(url.searchParams.get('continuation-token') ?? 0);
      const page = keys.slice(from, from + 2);
      const next = from + 2 < keys.length ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : '';
      return end(200, `<ListBucketResult>${page.map((k) => `<Contents><Key>${k}</Key><LastModified>2000-01-01T00:00:00.000Z</LastModified></Contents>`).join('')}${next}</ListBucketResult>`);
    }
    if (request.method === 'GET' && url.searchParams.has('uploads')) {
      const ids = [...uploads.keys()].filter((one) => begun.get(one)!.key.startsWith(url.searchParams.get('prefix') ?? ''));
      const from = ids.indexOf(url.searchParams.get('upload-id-marker') ?? '') + 1;
      const page = ids.slice(from, from + 2);
      const more = from + 2 < ids.length ? `<IsTruncated>true</IsTruncated><NextKeyMarker>${begun.get(page[1]!)!.key}</NextKeyMarker><NextUploadIdMarker>${page[1]!.replace('&', '&amp;')}</NextUploadIdMarker>` : '';
      return end(200, `<ListMultipartUploadsResult>${more}${page.map((one) => `<Upload><Key>${begun.get(one)!.key}</Key><UploadId>${one.replace('&', '&amp;')}</UploadId><Initiated>${begun.get(one)!.at}</Initiated></Upload>`).join('')}</ListMultipartUploadsResult>`);
    }
    if (request.method === 'POST' && url.searchParams.has('uploads')) {
      uploads.set(`u&${begun.size}`, new Map());
      begun.set(`u&${begun.size}`, { key, at: new Date().toISOString() });
      return end(200, `<InitiateMultipartUploadResult><UploadId>u&amp;${begun.size - 1}</UploadId></InitiateMultipartUploadResult>`);
    }
    if (id !== null) {
      const parts = uploads.get(id);
      if (parts === undefined) return end(404);
      if (request.method === 'PUT') { await fake.held; parts.set(Number(url.searchParams.get('partNumber')), body); return end(200, '', { etag: `"${createHash('md5').update(body).digest('hex')}"` }); }
      uploads.delete(id);
      if (request.method === 'POST') { objects.set(key, Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part))); return end(200, '<CompleteMultipartUploadResult/>'); }
      return end(204);
    }
    if (request.method === 'PUT') { objects.set(key, body); return end(200); }
    if (request.method === 'DELETE') { objects.delete(key); return end(204); }
    const object = objects.get(key);
    if (object === undefined) return end(404);
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    return range === null ? end(200, object) : end(206, object.subarray(Number(range[1]), Number(range[2]) + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeS3 = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, objects, uploads, requests, held: Promise.resolve(),
    failNext(times, status = 503) { failing = times; failure = status; },
    async [Symbol.asyncDispose]() { server.closeAllConnections(); await new Promise<void>((resolve) => server.close(() => resolve())); },
  };
  return fake;
}
