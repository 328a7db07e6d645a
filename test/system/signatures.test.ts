import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { NARU, run, TestDaemon, type Ran } from '../support/daemon.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { NaruRegistry } from '../support/naru-registry.ts';

/** Signatures as cosign makes and reads them: openssl, libsodium and sigstore's own verifier look at the same bytes. */
let d: TestDaemon;
let registry: NaruRegistry;
let debian: DockerRegistry;
before(async () => {
  d = await TestDaemon.start({ daemon: (root) => ['--image-policy', join(root, 'policy.json')] });
  [registry, debian] = await Promise.all([NaruRegistry.start(), DockerRegistry.start()]);
  for (const [kind, args] of [['ec', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']], ['rsa', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']], ['ed', ['-algorithm', 'ed25519']], ['other', ['-algorithm', 'ed25519']]] as const) {
    assert.equal(run('openssl', ['genpkey', ...args, '-out', at(`${kind}.key`)]).code, 0);
    assert.equal(run('openssl', ['pkey', '-in', at(`${kind}.key`), '-pubout', '-out', at(`${kind}.pub`)]).code, 0);
  }
});
after(async () => {
  await d.destroy();
  await registry[Symbol.asyncDispose]();
  await debian[Symbol.asyncDispose]();
});

const OPEN_KEY = `
import base64, hashlib, json, sys
from nacl.secret import SecretBox
body = ''.join(line for line in open(sys.argv[1]).read().splitlines() if not line.startswith('-----'))
e = json.loads(base64.b64decode(body))
p = e['kdf']['params']
key = hashlib.scrypt(sys.argv[2].encode(), salt=base64.b64decode(e['kdf']['salt']), n=p['N'], r=p['r'], p=p['p'], dklen=32, maxmem=1 << 28)
der = SecretBox(key).decrypt(base64.b64decode(e['ciphertext']), base64.b64decode(e['cipher']['nonce']))
print('-----BEGIN PRIVATE KEY-----'); print(base64.encodebytes(der).decode(), end=''); print('-----END PRIVATE KEY-----')
`;
const at = (name: string): string => join(d.root, name);
const naru = (...args: string[]): Ran => run(NARU, ['-H', `unix://${d.socket}`, ...args], { env: { COSIGN_PASSWORD: 'sesame' } });
function ok(ran: Ran): string {
  assert.equal(ran.code, 0, ran.err + ran.out);
  return ran.out;
}
/** An image of its own: the same digest in two repositories would share its signatures. */
function push(name: string): void {
  const container = d.ok('create', 'busybox');
  d.ok('commit', '-c', `LABEL name=${name}`, container, name);
  d.ok('rm', container);
  d.ok('push', '-q', name);
}

test('every form and every kind of key: signed here, verified here, in our registry and in docker-registry', () => {
  for (const host of [registry.host, debian.host]) {
    for (const [form, key] of [['tag', 'ec'], ['referrer', 'rsa'], ['bundle', 'ed']] as const) {
      if (host === debian.host && form !== 'referrer') continue; // there it is the tag schema of referrers that is new
      const name = `${host}/signed/${form}:v1`;
      push(name);
      assert.match(ok(naru('image', 'sign', '--key', at(`${key}.key`), '--form', form, name)), /^Signed: .*\/signed\/\w+@sha256:[0-9a-f]{64}\nSignature: sha256:/);
      assert.match(ok(naru('image', 'verify', '--key', at(`${key}.pub`), name)), new RegExp(`\\(${form}\\): holds, by key .*\nVerified: .*@sha256:`));
      if (host === debian.host) continue;
      assert.match(ok(naru('image', 'verify', '--local', '--key', at(`${key}.pub`), name)), /Verified/, 'kept here too');
      const other = naru('image', 'verify', '--key', at('other.pub'), name);
      assert.equal(other.code, 1);
      assert.match(other.err, /no signature that holds/);
      assert.match(other.out, /does not count: it was made by none of the keys/);
    }
  }
});

test('cosign\'s tag keeps the signatures that were there; openssl agrees with what is stored', async () => {
  const name = `${registry.host}/two:v1`;
  push(name);
  ok(naru('image', 'sign', '--key', at('ec.key'), name));
  ok(naru('image', 'sign', '--key', at('ed.key'), name));
  const both = ok(naru('image', 'verify', '--key', at('ec.pub'), '--key', at('ed.pub'), name));
  assert.equal(both.match(/: holds, by key/g)?.length, 2, both);
  const digest = JSON.parse(ok(naru('image', 'verify', '--format', 'json', '--key', at('ec.pub'), name))).Digest as string;
  const manifest = await (await fetch(`http://${registry.host}/v2/two/manifests/${digest.replace(':', '-')}.sig`)).json() as { layers: { digest: string; annotations: Record<string, string> }[] };
  const payload = Buffer.from(await (await fetch(`http://${registry.host}/v2/two/blobs/${manifest.layers[0]!.digest}`)).arrayBuffer());
  assert.deepEqual(JSON.parse(payload.toString()), { critical: { identity: { 'docker-reference': `${registry.host}/two` }, image: { 'docker-manifest-digest': digest }, type: 'cosign container image signature' }, optional: null });
  writeFileSync(at('payload'), payload);
  writeFileSync(at('signature'), Buffer.from(manifest.layers[0]!.annotations['dev.cosignproject.cosign/signature']!, 'base64'));
  assert.match(run('openssl', ['dgst', '-sha256', '-verify', at('ec.pub'), '-signature', at('signature'), at('payload')]).out, /Verified OK/);
});

test('a key pair in cosign\'s own format, which libsodium opens; a bundle that sigstore\'s own verifier takes', async () => {
  ok(naru('image', 'generate-keys', '--output-key-prefix', at('cosign')));
  assert.equal(statSync(at('cosign.key')).mode & 0o777, 0o600);
  assert.match(readFileSync(at('cosign.key'), 'utf8'), /^-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----/);
  assert.match(naru('image', 'generate-keys', '--output-key-prefix', at('cosign')).err, /is there already/);
  const opened = run('/usr/bin/python3', ['-c', OPEN_KEY, at('cosign.key'), 'sesame']);
  assert.equal(opened.code, 0, opened.err);
  writeFileSync(at('opened.key'), opened.out);
  assert.equal(run('openssl', ['pkey', '-in', at('opened.key'), '-pubout']).out, readFileSync(at('cosign.pub'), 'utf8'));

  const name = `${registry.host}/peer:v1`;
  push(name);
  const wrong = run(NARU, ['-H', `unix://${d.socket}`, 'image', 'sign', '--key', at('cosign.key'), name], { env: { COSIGN_PASSWORD: 'wrong' } });
  assert.match(wrong.err, /wrong password/);
  // The older label too.
  writeFileSync(at('old.key'), readFileSync(at('cosign.key'), 'utf8').replaceAll('ENCRYPTED SIGSTORE', 'ENCRYPTED COSIGN'));
  const [, document] = /Signature: (sha256:\w+)/.exec(ok(naru('image', 'sign', '--key', at('old.key'), '--form', 'bundle', name)))!;
  const manifest = await (await fetch(`http://${registry.host}/v2/peer/manifests/${document}`)).json() as { layers: { digest: string }[]; subject: { digest: string } };
  writeFileSync(at('bundle.json'), await (await fetch(`http://${registry.host}/v2/peer/blobs/${manifest.layers[0]!.digest}`)).text());
  const verified = run('node', [join(import.meta.dirname, '../clients/sigstore.mjs'), at('bundle.json'), at('cosign.pub')]);
  assert.equal(verified.code, 0, verified.err);
  const { subject, predicateType } = JSON.parse(verified.out) as { subject: { digest: { sha256: string } }[]; predicateType: string };
  assert.equal(`sha256:${subject[0]!.digest.sha256}`, manifest.subject.digest);
  assert.equal(predicateType, 'https://sigstore.dev/cosign/sign/v1');
  assert.notEqual(run('node', [join(import.meta.dirname, '../clients/sigstore.mjs'), at('bundle.json'), at('ec.pub')]).code, 0, 'it does check');
});

test('the policy is enforced at pull and at run, and signatures travel with pull and push', () => {
  const name = `${registry.host}/team/app:v1`;
  push(name);
  const bare = `${registry.host}/team/bare:v1`;
  push(bare);
  d.ok('rmi', name, bare);
  writeFileSync(at('policy.json'), JSON.stringify({ default: 'allow', repositories: { [`${registry.host}/team`]: { keys: [at('ec.pub')] } } }));
  try {
    assert.match(d.docker('pull', name).err, /image .*\/team\/app:v1 is not signed as the image policy demands: there is no signature/);
    assert.match(d.docker('run', '--rm', name, 'true').err, /not signed as the image policy demands/);
    ok(naru('image', 'sign', '--key', at('ec.key'), '--form', 'bundle', name));
    assert.match(d.ok('pull', name), /Status: /);
    assert.equal(d.ok('run', '--rm', name, 'echo', 'signed'), 'signed');
    const id = d.ok('image', 'inspect', '-f', '{{.Id}}', name);
    assert.equal(d.ok('run', '--rm', id, 'echo', 'by id'), 'by id');
    assert.match(ok(naru('image', 'verify', name)), /Verified/, 'by the keys of the policy');
    assert.match(naru('image', 'referrers', '--local', name).out, /sigstore\.bundle/);
    // Pushed on, the signature goes with the image; under another name it does not count there.
    const other = `${debian.host}/elsewhere/app:v1`;
    d.ok('tag', name, other);
    d.ok('push', '-q', other);
    assert.match(naru('image', 'referrers', other).out, /sigstore\.bundle/);
    ok(naru('image', 'sign', '--key', at('ec.key'), '--form', 'tag', name));
    d.ok('push', '-q', other);
    assert.doesNotMatch(naru('image', 'referrers', other).out, /<none>/, 'a signature that names its repository stays there');
    assert.match(d.docker('pull', bare).err, /there is no signature/);
  } finally {
    writeFileSync(at('policy.json'), JSON.stringify({ default: 'allow' }));
  }
  assert.match(d.ok('pull', bare), /Status: /, 'the policy is read again when it changes');
});

test('default deny, the longest prefix, keys that are needed together, and a policy that is wrong lets nothing through', () => {
  const name = `${registry.host}/both/app:v1`;
  push(name);
  const policy = (value: unknown): void => writeFileSync(at('policy.json'), typeof value === 'string' ? value : JSON.stringify(value));
  try {
    policy({ default: 'deny', repositories: { 'docker.io/library/busybox': 'allow', [`${registry.host}/both`]: { keys: [at('ec.pub'), at('rsa.pub')], need: 2 } } });
    assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'allowed'), 'allowed');
    assert.match(d.docker('run', '--rm', 'hello').err, /image hello is denied by the image policy/);
    ok(naru('image', 'sign', '--key', at('ec.key'), name));
    assert.match(d.docker('pull', name).err, /1 of 2 keys signed it/);
    ok(naru('image', 'sign', '--key', at('rsa.key'), name));
    assert.match(d.ok('pull', name), /Status: /);
    assert.match(d.docker('pull', `${debian.host}/elsewhere/app:v1`).err, /is denied by the image policy/);
    policy('{"default": "alow"}');
    assert.match(d.docker('run', '--rm', 'busybox', 'true').err, /image policy .*policy\.json: default: neither "allow" nor "deny"/);
    policy({ repositories: { [registry.host]: { keys: [at('nothing.pub')] } } });
    assert.match(d.docker('pull', name).err, /nothing\.pub cannot be read/);
    policy({ defualt: 'deny' });
    assert.match(d.docker('pull', name).err, /defualt: unknown field/);
  } finally {
    policy({ default: 'allow' });
  }
});
