import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NaruError } from '#spec/errors.ts';
import { faultOf } from './error-codes.ts';
import { parseManifest } from './manifest.ts';
import { DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from './media-types.ts';

const digest = `sha256:${'1'.repeat(64)}`;
const part = { mediaType: 'a/b', digest, size: 1 };
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

test('what a registry needs of an image and an index', () => {
  const image = parseManifest(bytes({ schemaVersion: 2, config: part, layers: [{ ...part, urls: ['x'] }], subject: part, annotations: { a: 'b' } }), '');
  assert.equal(image.mediaType, OCI_MANIFEST);
  assert.equal(image.artifactType, 'a/b');
  assert.deepEqual(image.blobs.map((b) => b.elsewhere), [false, true]);
  assert.equal(image.subject, digest);
  const index = parseManifest(bytes({ schemaVersion: 2, manifests: [{ ...part, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } }] }), '');
  assert.equal(index.mediaType, OCI_INDEX);
  assert.equal(index.artifactType, undefined);
  assert.equal(index.manifests[0]?.platform, 'linux/arm/v7');
  assert.equal(parseManifest(bytes({ schemaVersion: 2, mediaType: DOCKER_MANIFEST_LIST, manifests: [] }), DOCKER_MANIFEST_LIST).mediaType, DOCKER_MANIFEST_LIST);
});
test('whatever comes in, it is a manifest or a refusal with a code', () => {
  const check = (input: Uint8Array): void => {
    try { parseManifest(input, OCI_MANIFEST); } catch (error) {
      assert.ok(error instanceof NaruError && faultOf(error)?.code === 'MANIFEST_INVALID', String(error));
    }
  };
  fc.assert(fc.property(fc.json(), (text) => check(new TextEncoder().encode(text))));
  fc.assert(fc.property(fc.uint8Array(), check));
  const piece = fc.oneof(fc.constant(part), fc.jsonValue(), fc.record({ mediaType: fc.jsonValue(), digest: fc.jsonValue(), size: fc.jsonValue() }));
  fc.assert(fc.property(fc.record({ schemaVersion: fc.constant(2), config: piece, layers: fc.oneof(fc.array(piece), fc.jsonValue()), subject: piece, annotations: fc.jsonValue() }, { requiredKeys: ['schemaVersion'] }), (value) => check(bytes(value))));
});
