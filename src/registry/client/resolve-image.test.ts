import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answered, FakeRegistry, INDEX, MANIFEST, refuse, sha256 } from '#test/support/fake-registry.ts';
import { openFake } from '#test/support/open-fake.ts';
import { isKind } from '#spec/errors.ts';
import { parsePlatform } from './platform.ts';

const NAME = 'library/x';
const AMD64 = parsePlatform('linux/amd64');
const CONFIG = 'application/vnd.docker.container.image.v1+json';

const image = (registry: FakeRegistry, note: string, options: { tag?: string } = {}) =>
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: MANIFEST, config: registry.addBlob(JSON.stringify({ note }), CONFIG), layers: [] }, options);

test('a tag, a digest, and what is not there', async () => {
  await using registry = await FakeRegistry.start();
  const { digest } = image(registry, 'a', { tag: 'latest' });
  using repository = openFake(registry);
  assert.equal((await repository.resolve('latest', { platform: AMD64 })).top.digest, digest);
  assert.equal((await repository.resolve(digest, { platform: AMD64 })).top.digest, digest);
  await assert.rejects(repository.resolve('nope', { platform: AMD64 }), /^NaruError: manifest for .*\/library\/x:nope not found: manifest unknown: manifest unknown$/);
});

test('of an index the best platform is taken', async () => {
  await using registry = await FakeRegistry.start();
  const of = (platform: object, note: string): object => ({ ...image(registry, note), platform });
  const v5 = of({ os: 'linux', architecture: 'arm', variant: 'v5' }, 'v5'), v7 = of({ os: 'linux', architecture: 'arm', variant: 'v7' }, 'v7');
  const amd = of({ os: 'linux', architecture: 'amd64' }, 'amd'), v3 = of({ os: 'linux', architecture: 'amd64', variant: 'v3' }, 'amd3');
  const proof = { ...image(registry, 'proof'), platform: { os: 'unknown', architecture: 'unknown' }, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } };
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: [proof, v5, v7, v3, amd] }, { tag: 'latest', type: INDEX });
  using repository = openFake(registry);
  const chosen = async (platform: string): Promise<string> => {
    const { config } = await repository.resolve('latest', { platform: parsePlatform(platform) });
    return (JSON.parse((await repository.document(config)).toString()) as { note: string }).note;
  };
  assert.equal(await chosen('linux/amd64'), 'amd');
  assert.equal(await chosen('linux/amd64/v4'), 'amd3');
  assert.equal(await chosen('linux/arm/v6'), 'v5');
  assert.equal(await chosen('linux/arm'), 'v7');
  await assert.rejects(chosen('linux/s390x'), /no matching manifest for linux\/s390x in the manifest list entries/);
});

test('indexes in circles, too deep, or without end', async () => {
  await using registry = await FakeRegistry.start();
  using repository = openFake(registry);
  // A circle cannot be made with digests: one that answers anything to any digest must not matter, and a chain is cut.
  let child = image(registry, 'bottom');
  for (let depth = 0; depth < 6; depth++) child = registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: [child] }, { type: INDEX, tag: 'deep' });
  await assert.rejects(repository.resolve('deep', { platform: AMD64 }), /nested deeper than 4/);
  const empty = registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: [] }, { type: INDEX });
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: [empty, empty] }, { type: INDEX, tag: 'twice' });
  await assert.rejects(repository.resolve('twice', { platform: AMD64 }), /leads back to/);
  const many = Array.from({ length: 40 }, (_, i) => registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: [], annotations: { i: String(i) } }, { type: INDEX }));
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: many }, { type: INDEX, tag: 'maze' });
  await assert.rejects(repository.resolve('maze', { platform: AMD64 }), /through more than 16 manifests/);
});

test('manifests that lie', async () => {
  await using registry = await FakeRegistry.start();
  using repository = openFake(registry);
  const refused = async (reference: string, pattern: RegExp): Promise<void> => {
    await assert.rejects(repository.resolve(reference, { platform: AMD64 }), (error: Error) => (isKind(error, 'corrupt') || isKind(error, 'too-large') || isKind(error, 'unsupported')) && pattern.test(error.message), reference);
  };
  const { digest } = image(registry, 'a');
  registry.manifests.set(`${NAME}@${digest}`, { type: MANIFEST, bytes: Buffer.from('{}') });
  await refused(digest, /manifest verification failed for digest/);
  registry.addManifest(NAME, 'no json', { tag: 'text' });
  await refused('text', /invalid manifest/);
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: MANIFEST, config: registry.addBlob('{}', CONFIG), layers: [], manifests: [] }, { tag: 'both' });
  await refused('both', /both an image manifest and an index/);
  registry.addManifest(NAME, { schemaVersion: 1, name: NAME, fsLayers: [], history: [] }, { tag: 'old', type: 'application/vnd.docker.distribution.manifest.v1+prettyjws' });
  await refused('old', /schema 1 support has been removed/);
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: MANIFEST, config: { mediaType: CONFIG, digest: 'sha256:../../etc', size: 2 }, layers: [] }, { tag: 'climbs' });
  await refused('climbs', /invalid digest/);
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: MANIFEST, config: registry.addBlob('{}', CONFIG), layers: Array.from({ length: 500 }, () => registry.addBlob('l')) }, { tag: 'many' });
  await refused('many', /500 layers, more than 480/);
  registry.addManifest(NAME, { schemaVersion: 2, config: registry.addBlob('{}', 'application/vnd.cncf.helm.config.v1+json'), layers: [] }, { tag: 'helm', type: 'application/vnd.oci.image.manifest.v1+json' });
  await refused('helm', /unsupported media type application\/vnd.cncf.helm/);
  registry.manifests.set(`${NAME}:huge`, { type: MANIFEST, bytes: Buffer.alloc(5 << 20, ' ') });
  await refused('huge', /larger than 4194304 bytes/);
  const bigger = { ...image(registry, 'size'), size: 1, platform: { os: 'linux', architecture: 'amd64' } };
  registry.addManifest(NAME, { schemaVersion: 2, mediaType: INDEX, manifests: [bigger] }, { type: INDEX, tag: 'sizes' });
  await refused('sizes', /its descriptor says 1/);
});

test('a tag whose digest header is not that of the bytes', async () => {
  await using registry = await FakeRegistry.start();
  image(registry, 'a', { tag: 'latest' });
  registry.quirks.push((_request, response) => {
    const { bytes } = registry.manifests.get(`${NAME}:latest`)!;
    response.writeHead(200, { 'content-type': MANIFEST, 'docker-content-digest': sha256('else') }).end(bytes);
    return true;
  });
  using repository = openFake(registry);
  await assert.rejects(repository.resolve('latest', { platform: AMD64 }), /the registry says/);
});

test('a refusal is told in Docker\'s words, without control characters', async () => {
  await using registry = await FakeRegistry.start();
  registry.quirks.push((_request, response) => {
    response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ errors: [{ code: 'DENIED', message: 'no\x1b[31m way' }] }));
    return true;
  });
  using repository = openFake(registry);
  await assert.rejects(repository.manifest('latest'), /pull access denied for .*: denied: no \[31m way$/);
  registry.quirks.length = 0;
  registry.quirks.push((_request, response) => answered(refuse(response, 400, 'NAME_INVALID')));
  await assert.rejects(repository.manifest('latest'), (error) => isKind(error, 'invalid'));
});
