import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fakeS3 } from './fake-s3.ts';
import { digestOf, randomBlob, repository } from './harness.ts';

/** The server dies by SIGKILL at any moment: what it has acknowledged is there afterwards, and the store is whole. */
const directory = mkdtempSync(join(tmpdir(), 'naru-kill-'));
const program = join(directory, 'main.ts');
writeFileSync(program, `import { runRegistry } from ${JSON.stringify(join(import.meta.dirname, '../../src/registry/server/command.ts'))};\nprocess.exitCode = await runRegistry(process.argv.slice(2));\n`);
let child: ChildProcess | undefined;
after(() => { child?.kill('SIGKILL'); rmSync(directory, { recursive: true, force: true }); });

async function start(options: readonly string[] = ['--data', join(directory, 'data'), '--grace', '50ms', '--gc-interval', '20ms']): Promise<string> {
  const started = spawn(process.execPath, [program, 'serve', '--port', '0', '--access-log', 'off', ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  child = started;
  return new Promise((resolve, reject) => {
    let said = '';
    started.stderr.on('data', (d) => {
      said += String(d);
      const match = / at (http:\S+)/.exec(said);
      if (match !== null) resolve(match[1] as string);
    });
    started.on('exit', () => reject(new Error(`it did not start: ${said}`)));
  });
}
const kill = (): Promise<void> => new Promise((resolve) => { child?.once('exit', () => resolve()); child?.kill('SIGKILL'); });

test('five kills during pushes and collections', { timeout: 60_000 }, async () => {
  const done: { repo: string; tag: string; digest: string; blobs: string[] }[] = [];
  for (let round = 0; round < 5; round++) {
    const url = await start();
    let dead = false;
    const pushers = [0, 1, 2].map(async (n) => {
      const one = repository(url, `kill/r${n}`);
      for (let i = 0; !dead; i++) {
        try {
          const image = await one.image(`t${round}-${i}`, { layers: [randomBlob(20_000)] });
          done.push({ repo: one.name, tag: `t${round}-${i}`, digest: image.digest, blobs: [image.config.digest, ...image.layers.map((l) => l.digest)] });
        } catch (error) {
          if (!dead && !/MANIFEST_BLOB_UNKNOWN/.test((error as Error).message) && child?.exitCode === null && child.signalCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    });
    // On a busy machine a round lasts until something was pushed in it.
    const before = done.length;
    const end = Date.now() + 8_000;
    do await new Promise((resolve) => setTimeout(resolve, 150 + round * 70));
    while (done.length < before + 3 && Date.now() < end);
    await kill();
    dead = true;
    await Promise.all(pushers);
  }
  const url = await start();
  assert.ok(done.length > 10, `${done.length} pushes`);
  for (const { repo, tag, digest, blobs } of done) {
    const one = repository(url, repo);
    const answer = await one.manifest(tag);
    assert.equal(answer.status, 200, `${repo}:${tag}`);
    assert.equal(digestOf(await answer.text()), digest);
    for (const blob of blobs) assert.equal(digestOf(Buffer.from(await (await one.blob(blob)).arrayBuffer())), blob);
  }
  await kill();
});

test('an upload goes on after its server was killed in the middle of a chunk', { timeout: 60_000 }, async () => {
  const bytes = randomBlob(3_000_000);
  let one = repository(await start(), 'kill/upload');
  const location = await one.start();
  assert.equal((await one.send('PATCH', location, { body: bytes.subarray(0, 1_000_000), headers: { 'content-range': '0-999999' } })).status, 202);
  const sending = fetch(one.at(location), {
    method: 'PATCH', duplex: 'half', headers: { 'content-range': '1000000-2999999' },
    body: new ReadableStream({ async pull(c) { c.enqueue(bytes.subarray(1_000_000, 2_200_000)); await new Promise(() => undefined); } }),
  } as RequestInit).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await kill();
  await sending;
  one = repository(await start(), 'kill/upload');
  const status = await one.send('GET', location);
  assert.equal(status.status, 204);
  const received = Number((status.headers.get('range') as string).slice(2)) + 1;
  assert.ok(received >= 1_000_000 && received <= 2_200_000, `${received} bytes are there`);
  assert.equal((await one.send('PATCH', location, { body: bytes.subarray(received), headers: { 'content-range': `${received}-2999999` } })).status, 202);
  assert.equal((await one.send('PUT', one.withQuery(location, `digest=${digestOf(bytes)}`))).status, 201);
  assert.equal(digestOf(Buffer.from(await (await one.blob(digestOf(bytes))).arrayBuffer())), digestOf(bytes));
  await kill();
});

test('a collection that is killed halfway is finished by the next one; nothing that is named goes', { timeout: 60_000 }, async () => {
  const one = repository(await start(), 'kill/gc');
  const kept = await one.image('kept');
  // Loose blobs by the hundred, all of which are due as soon as they are here.
  const loose = [...Array(300).keys()].map(() => randomBlob(500));
  await Promise.all(loose.map((bytes) => one.put(bytes).catch(() => undefined)));
  await kill();
  const files = (): string[] => (readdirSync(join(directory, 'data', 'blobs'), { recursive: true, encoding: 'utf8' })).filter((path) => /[0-9a-f]{64}$/.test(path));
  for (let round = 0; round < 4; round++) {
    await start();
    await new Promise((resolve) => setTimeout(resolve, 15));
    await kill();
  }
  const again = repository(await start(), 'kill/gc');
  for (let i = 0; i < 200 && files().some((path) => loose.some((bytes) => path.endsWith(digestOf(bytes).slice(7)))); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(files().filter((path) => loose.some((bytes) => path.endsWith(digestOf(bytes).slice(7)))), []);
  for (const { digest } of [kept.config, ...kept.layers]) assert.equal(digestOf(Buffer.from(await (await again.blob(digest)).arrayBuffer())), digest);
  await kill();
});

test('killed while a blob goes to S3 in parts: nothing of it is seen, the upload is ended again, and what was half stored is given back', { timeout: 60_000 }, async () => {
  await using s3 = await fakeS3('bucket');
  const config = join(directory, 's3.yml');
  writeFileSync(config, JSON.stringify({ data: join(directory, 's3-data'), s3: { endpoint: s3.url, bucket: 'bucket', region: 'test-1', accessKeyId: 'key', secretAccessKey: 'secret', prefix: 'reg/', partSize: '100KB' } }));
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (const end = Date.now() + 20_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 10))) assert.ok(Date.now() < end, what);
  };
  const bytes = randomBlob(350_000);
  const digest = digestOf(bytes);
  let one = repository(await start(['--config', config]), 'kill/s3');
  const location = await one.start();
  assert.equal((await one.send('PATCH', location, { body: bytes })).status, 202);
  let release = (): void => {};
  const ended = (): Promise<Response> => one.send('PUT', one.withQuery(location, `digest=${digest}`));
  s3.held = new Promise((resolve) => { release = resolve; });
  const ending = ended().catch(() => undefined);
  await until('the first part is on its way', () => s3.requests.some((line) => line.includes('partNumber=1')));
  await kill();
  await ending;
  release();
  assert.equal(s3.objects.size, 0);
  assert.equal(s3.uploads.size, 1, 'what was half stored is still there');
  s3.held = Promise.resolve();

  one = repository(await start(['--config', config]), 'kill/s3');
  assert.equal((await one.blob(digest)).status, 404);
  assert.equal((await one.send('GET', location)).headers.get('range'), '0-349999', 'all that was acknowledged');
  assert.equal((await ended()).status, 201);
  assert.equal(digestOf(Buffer.from(await (await one.blob(digest)).arrayBuffer())), digest);
  const gc = spawn(process.execPath, [program, 'gc', '--config', config, '--grace', '0s'], { stdio: 'ignore' });
  assert.equal(await new Promise((resolve) => gc.once('close', resolve)), 0);
  assert.equal(s3.uploads.size, 0, 'given back');
  await kill();
});
