import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { distributionSuite } from './distribution-suite.ts';
import { digestOf, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, repository, testRegistry, type TestRegistry } from '#test/registry/harness.ts';

describe('OCI distribution on the file system', () => {
  let registry: TestRegistry;
  before(async () => { registry = await testRegistry(); });
  after(() => registry[Symbol.asyncDispose]());
  distributionSuite(() => registry.url);
});

test('manifests whose parts are missing are refused when told so', async () => {
  for (const sparse of [false, true]) {
    await using registry = await testRegistry({ sparse });
    const one = repository(registry.url, 'sparse');
    const image = await one.image('whole');
    const layer = { mediaType: OCI_LAYER, digest: digestOf('absent'), size: 6 };
    assert.equal((await one.putManifest('image', { ...image.manifest, layers: [layer] })).status, sparse ? 201 : 404);
    assert.equal((await one.putManifest('index', { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [image.descriptor, { mediaType: OCI_MANIFEST, digest: digestOf('no'), size: 2 }] })).status, sparse ? 201 : 404);
  }
});
