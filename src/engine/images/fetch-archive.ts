import { Readable } from 'node:stream';
import { NaruError } from '#spec/errors.ts';
import { compose } from '#registry/client/dispatch.ts';
import { followRedirects } from '#registry/client/follow-redirects.ts';
import { httpDispatch, onThisMachine } from '#registry/client/http-dispatch.ts';
import type { ProgressFeed } from '../registry/progress-feed.ts';

/** Bytes that wait between the network and the unpacking. */
const AHEAD = 1 << 20;

/**
 * The archive at a URL that somebody named, counted in `feed` as it comes. Without a scheme it is taken for http. Proxies are those of
 * the daemon's environment. Throws invalid for what is no URL, `unavailable` when nobody answers, `not-found` and so on by its status.
 */
export async function fetchArchive(source: string, feed: ProgressFeed, signal: AbortSignal): Promise<Readable> {
  const url = parseSource(source);
  const http = httpDispatch({ env: process.env, loopback: onThisMachine(url) });
  const response = await compose(http, followRedirects())({ method: 'GET', url, signal });
  if (response.status >= 400) {
    response.body.cancel();
    http.close();
    throw new NaruError(response.status === 404 ? 'not-found' : 'unavailable', `download ${url.href}: Got HTTP status code >= 400: ${response.status}`, { hint: 'the URL must give the archive without a login' });
  }
  feed.say({ status: 'Downloading', id: url.href });
  const total = Number(response.headers['content-length'] ?? 0);
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    let current = 0;
    try {
      for await (const piece of response.body) {
        current += piece.byteLength;
        feed.count('', 'Importing', { current, total });
        yield piece;
      }
      if (total > 0 && current < total) throw new NaruError('unavailable', `download ${url.href}: ended after ${current} of ${total} bytes`);
    } finally {
      http.close();
    }
  }
  return Readable.from(counted(), { objectMode: false, highWaterMark: AHEAD });
}

function parseSource(source: string): URL {
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(source) ? source : `http://${source}`);
    if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  } catch {
    // Told below
  }
  throw new NaruError('invalid', `invalid import source ${JSON.stringify(source)}`, { hint: 'give a URL that begins with http:// or https://, or - for an archive in the request' });
}
