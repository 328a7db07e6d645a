import assert from 'node:assert/strict';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { codeOf, digestOf, OCI_INDEX, randomBlob, repository, testRegistry } from './harness.ts';

const never = { interval: 3_600_000, grace: 0 };
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const blobFile = (data: string, digest: string): string => join(data, 'blobs', 'sha256', digest.slice(7, 9), digest.slice(7));

test('blobs go when nothing names them, after the grace period, and no earlier', async () => {
  await using registry = await testRegistry({ garbage: never });
  const one = repository(registry.url, 'gc/one');
  const image = await one.image('v1');
  const loose = randomBlob(700);
  await one.put(loose);
  await wait(5);
  const report = await registry.server.clean();
  assert.equal(report?.blobs, 1);
  assert.equal(report?.bytes, 700);
  assert.equal((await one.blob(digestOf(loose))).status, 404);
  assert.equal(existsSync(blobFile(registry.data, digestOf(loose))), false);
  for (const { digest } of [image.config, ...image.layers]) assert.equal((await one.blob(digest)).status, 200);
  await one.manifest(image.digest, 'DELETE');
  await wait(5);
  assert.equal((await registry.server.clean())?.blobs, 2);
  assert.equal((await one.send('GET', '/v2/gc/one/tags/list')).status, 404, 'an empty repository goes too');

  await using patient = await testRegistry({ garbage: { interval: 3_600_000, grace: 60_000 } });
  const other = repository(patient.url, 'gc/two');
  await other.put(loose);
  assert.equal((await patient.server.clean())?.blobs, 0);
  assert.equal((await other.blob(digestOf(loose))).status, 200);
});

test('a blob in several repositories lives until the last one lets it go', async () => {
  await using registry = await testRegistry({ garbage: never });
  const layer = randomBlob(500);
  const [a, b] = [repository(registry.url, 'a'), repository(registry.url, 'b')];
  const first = await a.image('x', { layers: [layer] });
  await b.image('x', { layers: [layer] });
  await a.manifest(first.digest, 'DELETE');
  await wait(5);
  await registry.server.clean();
  assert.equal((await a.blob(digestOf(layer))).status, 404);
  assert.equal((await b.blob(digestOf(layer))).status, 200);
});

test('a blob that a manifest names cannot be deleted', async () => {
  await using registry = await testRegistry({ garbage: never });
  const one = repository(registry.url, 'a');
  const image = await one.image('x');
  const answer = await one.blob(image.config.digest, {}, 'DELETE');
  assert.equal(answer.status, 405);
  assert.equal(await codeOf(answer), 'DENIED');
  assert.equal((await one.blob(image.config.digest)).status, 200);
});

test('files without a row are found, and a mark that a killed collector left is carried on', async () => {
  await using registry = await testRegistry({ garbage: never });
  const stray = randomBlob(100);
  const path = blobFile(registry.data, digestOf(stray));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, stray);
  utimesSync(path, 1, 1);
  assert.equal((await registry.server.clean())?.strays, 1);
  assert.equal(existsSync(path), false);
});

test('pushes and collections at the same time: every push that succeeded is whole', async () => {
  // As short as this machine allows: some pushes must come through, and blobs must go beneath others.
  const started = performance.now();
  {
    await using trial = await testRegistry({ garbage: never });
    for (let n = 0; n < 4; n++) await repository(trial.url, 'trial').image(`t${n}`);
  }
  const grace = Math.max(25, Math.round(performance.now() - started));
  await using registry = await testRegistry({ garbage: { interval: 3_600_000, grace } });
  const shared = [...Array(6).keys()].map(() => randomBlob(2_000));
  let stop = false;
  const collector = (async () => { while (!stop) { await registry.server.clean(); await wait(1); } })();
  let refused = 0;
  const pusher = async (n: number): Promise<void> => {
    const one = repository(registry.url, `race/r${n}`);
    for (let round = 0; round < 12; round++) {
      const layers = [shared[(n + round) % 6] as Buffer, shared[(n + round + 1) % 6] as Buffer];
      try {
        const image = await one.image('latest', { layers });
        for (const { digest, size } of [image.config, ...image.layers]) {
          const bytes = Buffer.from(await (await one.blob(digest)).arrayBuffer());
          assert.equal(bytes.length, size);
          assert.equal(digestOf(bytes), digest);
        }
        if (round % 3 === 2) await one.manifest(image.digest, 'DELETE');
      } catch (error) {
        // Grace is next to nothing here: a blob may go between its push and the manifest's. It must be told, never stored broken.
        if (!/manifest PUT gave 404[\s\S]*MANIFEST_BLOB_UNKNOWN/.test((error as Error).message)) throw error;
        refused++;
      }
    }
  };
  try {
    await Promise.all([0, 1, 2, 3].map(pusher));
  } finally {
    stop = true;
    await collector;
  }
  assert.ok(refused < 48, 'some pushes must have succeeded');
  assert.deepEqual(registry.said.filter((line) => line.startsWith('error')), []);
});

test('retention: by age and by the last pull, in repositories of a pattern; the first rule that matches decides', async () => {
  await using registry = await testRegistry({
    garbage: never,
    retention: { rules: [{ repositories: 'app/*', tags: 'v*', maxAge: 3_600_000 }, { repositories: '**', tags: 'v*', pulledWithin: 600_000 }], untagged: undefined, unpulled: undefined },
  });
  const app = repository(registry.url, 'app/web');
  const tool = repository(registry.url, 'tool');
  for (const one of [app, tool]) for (const tag of ['v-old', 'v-new', 'v-pulled', 'other']) await one.image(tag);
  const database = new DatabaseSync(`${registry.data}/registry.db`);
  const long = Date.now() - 7_200_000;
  database.exec(`UPDATE tags SET updated = ${long} WHERE name <> 'v-new'; UPDATE manifests SET pushed = ${long}`);
  database.close();
  await tool.manifest('v-pulled');
  await app.manifest('v-pulled');
  await registry.restart(); // what was pulled is written by then
  const report = await registry.server.clean();
  assert.deepEqual(report?.expired.tags.map(({ repository: where, name }) => `${where}:${name}`).sort(), ['app/web:v-old', 'app/web:v-pulled', 'tool:v-old']);
});

test('retention: newest of a pattern stay, other tags are left alone, untagged manifests go with their children', async () => {
  await using registry = await testRegistry({
    garbage: never, retention: { rules: [{ repositories: 'app/*', tags: 'build-*', keepLast: 2 }], untagged: 1, unpulled: undefined },
  });
  const one = repository(registry.url, 'app/web');
  for (let i = 0; i < 4; i++) { await one.image(`build-${i}`); await wait(3); }
  const release = await one.image('release');
  const child = await one.image(undefined);
  const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child.descriptor] });
  await one.putManifest('multi', index, OCI_INDEX);
  const signature = await one.image(undefined, { extra: { subject: release.descriptor, artifactType: 'application/x.sig' } });
  const orphan = await one.image(undefined);
  await wait(10);
  const report = await registry.server.clean();
  assert.deepEqual(report?.expired.tags.map((t) => t.name).sort(), ['build-0', 'build-1']);
  const tags = ((await (await one.send('GET', '/v2/app/web/tags/list')).json()) as { tags: string[] }).tags;
  assert.deepEqual(tags, ['build-2', 'build-3', 'multi', 'release']);
  for (const [digest, status] of [[release.digest, 200], [child.digest, 200], [signature.digest, 200], [orphan.digest, 404]] as const) assert.equal((await one.manifest(digest)).status, status);
  await one.manifest('multi', 'DELETE');
  await one.manifest(release.digest, 'DELETE');
  await wait(10);
  await registry.server.clean();
  for (const digest of [child.digest, signature.digest, digestOf(index)]) assert.equal((await one.manifest(digest)).status, 404);
});
