import { open } from 'node:fs/promises';
import { AwsClient } from 'aws4fetch';
import type { Digest } from '#spec/ids.ts';
import type { ByteRange } from '#registry/protocol/byte-range.ts';
import { algorithmOf, hexOf, isDigest } from '#registry/protocol/digest.ts';
import { registryError } from '#registry/protocol/error-codes.ts';
import type { BlobStorage, StagedBlob } from './blob-storage.ts';

export interface S3Options {
  /** Of the service, without the bucket: `https://…`. Objects are addressed by path (`<endpoint>/<bucket>/<key>`). */
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Before every key: `registry/`. */
  prefix: string;
  /** Of a multipart upload; blobs up to this size are one PUT. S3 wants at least 5 MiB, and at most 10,000 parts. */
  partBytes: number;
}

/** S3 allows this many parts of an object. */
const MAX_PARTS = 10_000;
const ATTEMPTS = 4;
const LIST_PAGE_LIMIT = 8 << 20;

/** Blobs as objects of any S3-compatible service. Every request is tried again a few times on 5xx, 429 and broken connections. */
export function s3Storage(options: S3Options): BlobStorage {
  const client = new AwsClient({
    accessKeyId: options.accessKeyId, secretAccessKey: options.secretAccessKey, region: options.region, service: 's3', retries: 0,
  });
  const base = `${options.endpoint.replace(/\/+$/, '')}/${encodeURIComponent(options.bucket)}`;
  const keyOf = (digest: Digest): string => `${options.prefix}${algorithmOf(digest)}/${hexOf(digest)}`;
  const urlOf = (digest: Digest, query = ''): string => `${base}/${keyOf(digest).split('/').map(encodeURIComponent).join('/')}${query}`;

  const send = async (url: string, init: { method: string; headers?: Record<string, string>; body?: Uint8Array | string }, what: string): Promise<Response> => {
    for (let attempt = 1; ; attempt++) {
      let answer: Response | undefined;
      let cause: unknown;
      try {
        answer = await client.fetch(url, init as RequestInit);
      } catch (error) {
        cause = error;
      }
      if (answer !== undefined && (answer.ok || answer.status === 404)) return answer;
      await answer?.body?.cancel();
      const passing = answer === undefined || answer.status >= 500 || answer.status === 429;
      if (!passing || attempt === ATTEMPTS) {
        throw registryError('UNAVAILABLE', `the object storage failed to ${what}${answer === undefined ? '' : ` (status ${answer.status})`}`, { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, 100 * 4 ** (attempt - 1)));
    }
  };

  /** Ids of this process's multipart uploads. */
  const underWay = new Set<string>();

  const putParts = async (blob: StagedBlob): Promise<void> => {
    const partBytes = Math.max(options.partBytes, Math.ceil(blob.size / MAX_PARTS));
    const started = await (await send(urlOf(blob.digest, '?uploads='), { method: 'POST' }, 'begin an upload')).text();
    const id = elements(started, 'UploadId')[0];
    if (id === undefined) throw registryError('UNAVAILABLE', 'the object storage gave no upload id');
    const query = `uploadId=${encodeURIComponent(id)}`;
    underWay.add(id);
    try {
      const file = await open(blob.path);
      const parts: string[] = [];
      try {
        for (let at = 0; at < blob.size; at += partBytes) {
          const body = await readPart(file, at, Math.min(partBytes, blob.size - at));
          const answer = await send(urlOf(blob.digest, `?partNumber=${parts.length + 1}&${query}`), { method: 'PUT', body }, 'store a part');
          if (!answer.ok) throw registryError('UNAVAILABLE', 'the object storage has forgotten an upload');
          parts.push(`<Part><PartNumber>${parts.length + 1}</PartNumber><ETag>${escapeXml(answer.headers.get('etag') ?? '')}</ETag></Part>`);
        }
      } finally {
        await file.close();
      }
      const done = await send(urlOf(blob.digest, `?${query}`), { method: 'POST', body: `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>` }, 'finish an upload');
      // S3 can fail after it has said 200.
      if (!done.ok || /<Error>/.test(await done.text())) throw registryError('UNAVAILABLE', 'the object storage failed to finish an upload');
    } catch (error) {
      await send(urlOf(blob.digest, `?${query}`), { method: 'DELETE' }, 'abort an upload').catch(() => undefined);
      throw error;
    } finally {
      underWay.delete(id);
    }
  };

  return {
    async put(blob) {
      if (blob.size > options.partBytes) return putParts(blob);
      const file = await open(blob.path);
      try {
        const answer = await send(urlOf(blob.digest), { method: 'PUT', body: await readPart(file, 0, blob.size) }, 'store a blob');
        if (!answer.ok) throw registryError('UNAVAILABLE', `the object storage has no bucket ${options.bucket}`);
      } finally {
        await file.close();
      }
    },
    async *read(digest: Digest, range: ByteRange) {
      if (range.end < range.start) return;
      const answer = await send(urlOf(digest), { method: 'GET', headers: { range: `bytes=${range.start}-${range.end}` } }, 'give a blob');
      if (answer.status === 404 || answer.body === null) throw registryError('BLOB_UNKNOWN', `blob ${digest} is not in the storage`);
      if (answer.status !== 206 && range.start > 0) throw registryError('UNAVAILABLE', 'the object storage does not serve ranges');
      let left = range.end - range.start + 1;
      for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
        yield piece.subarray(0, left);
        left -= Math.min(left, piece.length);
        if (left === 0) return;
      }
      throw registryError('UNAVAILABLE', `the object storage gave only part of blob ${digest}`);
    },
    async remove(digest) {
      await (await send(urlOf(digest), { method: 'DELETE' }, 'remove a blob')).body?.cancel();
    },
    async *list() {
      for (let token: string | undefined; ;) {
        const query = new URLSearchParams({ 'list-type': '2', prefix: options.prefix, ...(token === undefined ? {} : { 'continuation-token': token }) });
        const page = await (await send(`${base}?${query.toString()}`, { method: 'GET' }, 'list blobs')).text();
        if (page.length > LIST_PAGE_LIMIT) throw registryError('UNAVAILABLE', 'the object storage sent an enormous list');
        const times = elements(page, 'LastModified');
        for (const [i, key] of elements(page, 'Key').entries()) {
          const digest = key.slice(options.prefix.length).replace('/', ':');
          if (isDigest(digest)) yield { digest, modified: Date.parse(times[i] ?? '') || 0 };
        }
        token = elements(page, 'NextContinuationToken')[0];
        if (token === undefined) return;
      }
    },
    async sweep(before) {
      for (let marker: Record<string, string> = {}; ;) {
        const query = new URLSearchParams({ uploads: '', prefix: options.prefix, ...marker });
        const page = await (await send(`${base}?${query.toString()}`, { method: 'GET' }, 'list uploads')).text();
        if (page.length > LIST_PAGE_LIMIT) throw registryError('UNAVAILABLE', 'the object storage sent an enormous list');
        const [keys, ids, times] = [elements(page, 'Key'), elements(page, 'UploadId'), elements(page, 'Initiated')];
        for (const [i, id] of ids.entries()) {
          const digest = (keys[i] ?? '').slice(options.prefix.length).replace('/', ':');
          const begun = Date.parse(times[i] ?? '');
          if (!isDigest(digest) || underWay.has(id) || !(begun < before)) continue;
          await (await send(urlOf(digest, `?uploadId=${encodeURIComponent(id)}`), { method: 'DELETE' }, 'abort an upload')).body?.cancel();
        }
        const [key, id] = [elements(page, 'NextKeyMarker')[0], elements(page, 'NextUploadIdMarker')[0]];
        if (elements(page, 'IsTruncated')[0] !== 'true' || key === undefined || id === undefined) return;
        marker = { 'key-marker': key, 'upload-id-marker': id };
      }
    },
  };
}

async function readPart(file: Awaited<ReturnType<typeof open>>, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) throw registryError('UNKNOWN', 'a staged upload ends early');
    filled += bytesRead;
  }
  return bytes;
}

/** The texts of all elements of one name: all of S3's XML that is needed, and it holds neither nesting nor attributes there. */
const elements = (xml: string, name: string): string[] =>
  [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) =>
    (match[1] as string).replace(/&(?:lt|gt|quot|apos|amp|#34|#39);/g, (entity) => ({ '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'", '&amp;': '&', '&#34;': '"', '&#39;': "'" })[entity] as string));
const escapeXml = (text: string): string => text.replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);
