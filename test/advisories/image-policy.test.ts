import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, repository } from '../registry/harness.ts';
import { TestDaemon } from '../support/daemon.ts';
import { NaruRegistry } from '../support/naru-registry.ts';

/** Ways around the image policy: what is signed for something else, what was changed, and images that come by another door. */
let d: TestDaemon;
let registry: NaruRegistry;
let key: KeyObject;
let stranger: KeyObject;
before(async () => {
  d = await TestDaemon.start({ daemon: (root) => ['--image-policy', join(root, 'policy.json')] });
  registry = await NaruRegistry.start();
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  key = pair.privateKey;
  stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  writeFileSync(join(d.root, 'key.pub'), pair.publicKey.export({ format: 'pem', type: 'spki' }));
  for (const name of ['good', 'evil']) {
    const container = d.ok('create', 'busybox');
    d.ok('commit', '-c', `LABEL is=${name}`, container, `${registry.host}/team/${name}:v1`);
    d.ok('rm', container);
    d.ok('push', '-q', `${registry.host}/team/${name}:v1`);
    d.ok('save', '-o', join(d.root, `${name}.tar`), `${registry.host}/team/${name}:v1`);
    digests[name] = d.ok('image', 'inspect', '-f', '{{index .RepoDigests 0}}', `${registry.host}/team/${name}:v1`).split('@')[1]!;
  }
  writeFileSync(join(d.root, 'policy.json'), JSON.stringify({ default: 'allow', repositories: { [`${registry.host}/team`]: { keys: [join(d.root, 'key.pub')] } } }));
});
after(async () => {
  await d.destroy();
  await registry[Symbol.asyncDispose]();
});
const digests: Record<string, string> = {};
const evil = (): string => `${registry.host}/team/evil:v1`;

const payloadOf = (name: string, digest: string): string => JSON.stringify({ critical: { identity: { 'docker-reference': `${registry.host}/${name}` }, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' }, optional: null });
const signed = (payload: string, by = key): string => sign('sha256', Buffer.from(payload), { key: by, dsaEncoding: 'der' }).toString('base64');

/** Puts a signature behind cosign's tag of the evil image, or another, whatever it says. */
async function plant(payload: string, signature: string, { name, digest }: { name: string; digest: string } = { name: 'team/evil', digest: digests['evil']! }): Promise<void> {
  const at = repository(`http://${registry.host}`, name);
  await at.put('{}');
  await at.put(payload);
  const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const answer = await at.putManifest(`${digest.replace(':', '-')}.sig`, {
    schemaVersion: 2, mediaType: OCI_MANIFEST, config: { mediaType: OCI_CONFIG, digest: sha256('{}'), size: 2 },
    layers: [{ mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json', digest: sha256(payload), size: payload.length, annotations: { 'dev.cosignproject.cosign/signature': signature } }],
  }, OCI_MANIFEST);
  assert.equal(answer.status, 201);
}

/** A bundle that refers to the evil image. */
async function plantBundle(statement: object): Promise<void> {
  const at = repository(`http://${registry.host}`, 'team/evil');
  const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const type = 'application/vnd.in-toto+json';
  const body = JSON.stringify(statement);
  const bundle = JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', verificationMaterial: { publicKey: { hint: '' } },
    dsseEnvelope: { payload: Buffer.from(body).toString('base64'), payloadType: type, signatures: [{ sig: signed(`DSSEv1 ${type.length} ${type} ${body.length} ${body}`) }] },
  });
  await at.put('{}');
  await at.put(bundle);
  const manifest = await at.send('GET', `/v2/team/evil/manifests/${digests['evil']}`);
  const answer = await at.putManifest('bundle', {
    schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json', config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 },
    layers: [{ mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', digest: sha256(bundle), size: bundle.length }],
    subject: { mediaType: manifest.headers.get('content-type'), digest: digests['evil'], size: Number(manifest.headers.get('content-length')) },
  }, OCI_MANIFEST);
  assert.equal(answer.status, 201);
}

function refused(pattern: RegExp, ...args: string[]): void {
  const ran = d.docker(...args);
  assert.notEqual(ran.code, 0, `${args.join(' ')} went through: ${ran.out}`);
  assert.match(ran.err, pattern);
}

test('containers that were made before the policy, or before it changed, do not start past it; what runs is left to run', () => {
  const [policy, strict] = [join(d.root, 'policy.json'), readFileSync(join(d.root, 'policy.json'))];
  const set = (text: string | Uint8Array): void => writeFileSync(policy, text);
  set('{ "default": "allow" }');
  const [stopped, running] = [d.ok('create', evil(), 'true'), d.ok('run', '-d', evil(), 'sleep', '1000')];
  const mounting = d.ok('create', '--mount', `type=image,source=${evil()},target=/x`, 'busybox', 'true');
  set(strict);
  for (const container of [stopped, mounting]) {
    refused(/is not signed as the image policy demands/, 'start', container);
    assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', container), 'created');
  }
  refused(/is not signed as the image policy demands/, 'restart', '-t', '0', running);
  assert.equal(d.ok('inspect', '-f', '{{.State.Status}}', running), 'running');
  set('{ "default": "allow" }');
  d.ok('start', '-a', stopped);
  set(strict);
  d.ok('rm', '-f', stopped, running, mounting);
});

test('a signature of an index that lists the index of an image is the image\'s, when it is pulled and when it runs', async () => {
  const at = repository(`http://${registry.host}`, 'team/good');
  const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const index = (descriptor: object): string => JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptor] });
  const manifest = await at.send('GET', `/v2/team/good/manifests/${digests['good']}`);
  const inner = index({ mediaType: manifest.headers.get('content-type'), digest: digests['good'], size: Number(manifest.headers.get('content-length')) });
  const outer = index({ mediaType: OCI_INDEX, digest: sha256(inner), size: inner.length });
  for (const [reference, text] of [[sha256(inner), inner], ['nested', outer]] as const) assert.equal((await at.putManifest(reference, text, OCI_INDEX)).status, 201);
  const nested = `${registry.host}/team/good:nested`;
  refused(/is not signed as the image policy demands/, 'pull', nested);
  const payload = payloadOf('team/good', sha256(outer));
  await plant(payload, signed(payload), { name: 'team/good', digest: sha256(outer) });
  d.ok('pull', '-q', nested);
  d.ok('run', '--rm', nested, 'true');
});

test('a signature for another digest does not make this one good', async () => {
  const payload = payloadOf('team/evil', digests['good']!);
  await plant(payload, signed(payload));
  refused(/it is for another image, sha256:/, 'pull', evil());
});

test('a signature made under another repository\'s name does not count here', async () => {
  const payload = payloadOf('team/good', digests['evil']!);
  await plant(payload, signed(payload));
  refused(/it was made for another repository, /, 'pull', evil());
});

test('a payload that was changed after it was signed, and a signature by another key', async () => {
  await plant(payloadOf('team/evil', digests['evil']!), signed(payloadOf('team/evil', digests['good']!)));
  refused(/it was made by none of the keys, or changed since/, 'pull', evil());
  const payload = payloadOf('team/evil', digests['evil']!);
  await plant(payload, signed(payload, stranger));
  refused(/it was made by none of the keys/, 'pull', evil());
  await plant(payload, '');
  refused(/it has no signature/, 'pull', evil());
  const typed = payload.replace('cosign container image signature', 'something else');
  await plant(typed, signed(typed));
  refused(/its payload is of type "something else"/, 'pull', evil());
});

test('an attestation by the right key, and a statement about another image, are no signature', async () => {
  const statement = { _type: 'https://in-toto.io/Statement/v1', subject: [{ digest: { sha256: digests['evil']!.slice(7) } }], predicate: {} };
  await plantBundle({ ...statement, predicateType: 'https://slsa.dev/provenance/v1' });
  refused(/it is no signature but an attestation/, 'pull', evil());
  await plantBundle({ ...statement, subject: [{ digest: { sha256: digests['good']!.slice(7) } }], predicateType: 'https://sigstore.dev/cosign/sign/v1' });
  refused(/it is for another image/, 'pull', evil());
});

test('no other door: tag, digest, id, load, import, commit and an image mount are held to the same rule', () => {
  const not = /is not signed as the image policy demands/;
  refused(not, 'pull', `${registry.host}/team/evil@${digests['evil']}`);
  refused(not, 'run', '--rm', evil(), 'true');
  refused(not, 'run', '--rm', `${registry.host}/team/evil@${digests['evil']}`, 'true');
  const id = d.ok('image', 'inspect', '-f', '{{.Id}}', evil());
  refused(not, 'run', '--rm', id, 'true');
  refused(not, 'run', '--rm', id.slice(7, 19), 'true');
  d.ok('tag', evil(), 'innocent:latest');
  refused(not, 'run', '--rm', 'innocent', 'true');
  d.ok('tag', 'busybox', `${registry.host}/team/tagged:v1`);
  refused(not, 'run', '--rm', `${registry.host}/team/tagged:v1`, 'true');
  assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'under its own name'), 'under its own name');
  d.ok('rmi', '-f', evil(), 'innocent', `${registry.host}/team/tagged:v1`);
  d.ok('load', '-q', '-i', join(d.root, 'evil.tar'));
  refused(not, 'run', '--rm', evil(), 'true');
  const container = d.ok('create', 'busybox');
  d.ok('commit', container, `${registry.host}/team/committed:v1`);
  refused(not, 'run', '--rm', `${registry.host}/team/committed:v1`, 'true');
  d.ok('export', '-o', join(d.root, 'root.tar'), container);
  d.ok('import', join(d.root, 'root.tar'), `${registry.host}/team/imported:v1`);
  refused(not, 'run', '--rm', `${registry.host}/team/imported:v1`, 'true');
  refused(not, 'run', '--rm', '--mount', `type=image,source=${evil()},target=/x`, 'busybox', 'true');
});
