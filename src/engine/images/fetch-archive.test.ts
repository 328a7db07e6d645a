import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ProgressFeed } from '../registry/progress-feed.ts';
import { fetchArchive } from './fetch-archive.ts';

async function serve(answer: RequestListener): Promise<{ host: string; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function fetched(source: string): Promise<{ bytes: string; said: string[] }> {
  const feed = new ProgressFeed();
  const said: string[] = [];
  const messages = feed.during((async () => Buffer.concat(await (await fetchArchive(source, feed, AbortSignal.timeout(10_000))).toArray()).toString())(), () => {});
  for (;;) {
    const step = await messages.next();
    if (step.done === true) return { bytes: step.value, said };
    said.push(step.value.status ?? '');
  }
}

test('an archive is read from a URL, through redirects, counted', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { Location: '/here' }).end();
    else response.end(request.url);
  });
  assert.deepEqual(await fetched(`http://${server.host}/moved`), { bytes: '/here', said: ['Downloading', 'Importing'] });
  assert.equal((await fetched(`${server.host}/plain`)).bytes, '/plain', 'without a scheme it is http');
});

test('what cannot be read is told in a sentence', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/short') response.writeHead(200, { 'Content-Length': '100' }).write('half', () => response.destroy());
    else if (request.url === '/private') response.writeHead(401).end();
    else response.writeHead(404).end();
  });
  const at = `http://${server.host}`;
  await assert.rejects(fetched(`${at}/none`), { kind: 'not-found', message: `download ${at}/none: Got HTTP status code >= 400: 404` });
  await assert.rejects(fetched(`${at}/private`), { kind: 'unavailable', message: /status code >= 400: 401/ });
  await assert.rejects(fetched(`${at}/short`), { kind: 'unavailable' });
  await assert.rejects(fetched('ftp://x/y'), { kind: 'invalid', message: 'invalid import source "ftp://x/y"' });
  await assert.rejects(fetched('http://'), { kind: 'invalid' });
});
