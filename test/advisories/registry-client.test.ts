import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { run, TestDaemon, type Ran } from '../support/daemon.ts';
import { FakeRegistry, INDEX, MANIFEST, refuse, sha256 } from '../support/fake-registry.ts';

/** What a hostile registry, or whoever writes its images, can do to who pulls: one test for each attack, through the daemon. */
let d: TestDaemon;
before(async () => {
  d = await TestDaemon.start({ images: ['busybox'] });
});
after(() => d.destroy());

const CONFIG = 'application/vnd.docker.container.image.v1+json';
const OS = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };

/** Docker's CLI beside this process, with a login for the registry. */
function pull(registry: FakeRegistry, name: string): Promise<Ran> {
  const config = join(d.root, 'config');
  run('mkdir', ['-p', config]);
  writeFileSync(join(config, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth: Buffer.from('ann:sesame').toString('base64') } } }));
  const child = spawn('docker', ['--config', config, '-H', `unix://${d.socket}`, 'pull', `${registry.host}/${name}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? 128, out, err })));
}

async function refused(registry: FakeRegistry, name: string, pattern: RegExp): Promise<void> {
  const ran = await pull(registry, name);
  assert.notEqual(ran.code, 0, ran.out);
  assert.match(ran.err, pattern);
}

function tarOf(...members: string[]): Buffer {
  const directory = join(d.root, `tar-${members.join('')}`);
  run('mkdir', ['-p', directory]);
  for (const member of members) writeFileSync(join(directory, member), member);
  const { stdout } = { stdout: run('sh', ['-c', `cd ${directory} && tar -cf ${directory}.tar .`]) };
  assert.equal(stdout.code, 0);
  return readFileSync(`${directory}.tar`);
}

function image(registry: FakeRegistry, name: string, changes: { config?: object; manifest?: object; tar?: Buffer } = {}): { layer: ReturnType<FakeRegistry['addBlob']>; config: ReturnType<FakeRegistry['addBlob']> } {
  const tar = changes.tar ?? tarOf(name.replaceAll('/', '-'));
  const layer = registry.addBlob(gzipSync(tar));
  const config = registry.addBlob(JSON.stringify({ ...OS, config: {}, rootfs: { type: 'layers', diff_ids: [sha256(tar)] }, ...changes.config }), CONFIG);
  registry.addManifest(name, { schemaVersion: 2, mediaType: MANIFEST, config, layers: [layer], ...changes.manifest }, { tag: 'v1' });
  return { layer, config };
}

test('33: digests and sizes that lie, a stream that is cut, an algorithm that is none, a document that is two things, a circle', async () => {
  await using registry = await FakeRegistry.start();
  const { layer, config } = image(registry, 'lies');
  registry.blobs.set(layer.digest, gzipSync(tarOf('other')));
  await refused(registry, 'lies:v1', /filesystem layer verification failed|longer than|size|unexpected|ended|bytes/);
  image(registry, 'algorithm', { manifest: { layers: [{ ...layer, digest: `md5:${'a'.repeat(32)}` }] } });
  await refused(registry, 'algorithm:v1', /invalid manifest: .*invalid digest/);
  image(registry, 'path', { manifest: { layers: [{ ...layer, digest: 'sha256:../../../../etc/passwd' }] } });
  await refused(registry, 'path:v1', /invalid digest/);
  // CVE-2021-41190
  image(registry, 'both', { manifest: { manifests: [] } });
  await refused(registry, 'both:v1', /both an image manifest and an index/);
  image(registry, 'many', { config: { rootfs: { type: 'layers', diff_ids: Array.from({ length: 5000 }, () => layer.digest) } }, manifest: { layers: Array.from({ length: 5000 }, () => layer) } });
  await refused(registry, 'many:v1', /image has 5000 layers, more than/);
  // A circle cannot be made of true digests: an index behind a tag that names what the registry answers with the index again.
  const entry = { mediaType: INDEX, digest: `sha256:${'c'.repeat(64)}`, size: 10, platform: OS };
  registry.addManifest('circle', { schemaVersion: 2, mediaType: INDEX, manifests: [entry] }, { tag: 'v1', type: INDEX });
  registry.manifests.set(`circle@${entry.digest}`, registry.manifests.get('circle:v1')!);
  await refused(registry, 'circle:v1', /manifest verification failed for digest/);
  assert.ok(config.size > 0);
  assert.deepEqual(readdirSync(join(d.scope.dataRoot, 'incoming')), [], 'nothing half made is left');
});

test('34: a crafted image does not stop other pulls (CVE-2021-20291)', async () => {
  await using registry = await FakeRegistry.start();
  const tar = tarOf('once');
  // The same layer twice, one that is no tar at all, and one that never comes to its end.
  const layer = registry.addBlob(gzipSync(tar));
  const junk = registry.addBlob(gzipSync(Buffer.alloc(4096, 1)));
  const config = registry.addBlob(JSON.stringify({ ...OS, rootfs: { type: 'layers', diff_ids: [sha256(tar), sha256(tar), sha256(Buffer.alloc(4096, 1))] } }), CONFIG);
  registry.addManifest('crafted', { schemaVersion: 2, mediaType: MANIFEST, config, layers: [layer, layer, junk] }, { tag: 'v1' });
  image(registry, 'honest');
  const [crafted, honest] = await Promise.all([pull(registry, 'crafted:v1'), pull(registry, 'honest:v1')]);
  assert.notEqual(crafted.code, 0);
  assert.equal(honest.code, 0, honest.err);
  assert.equal((await pull(registry, 'honest:v1')).code, 0, 'and the next one');
});

test('35: no answer of a registry leads credentials elsewhere, or us to what only this machine reaches', async () => {
  await using registry = await FakeRegistry.start();
  await using thief = await FakeRegistry.start('127.0.0.2');
  const { layer } = image(registry, 'steals');
  thief.blobs.set(layer.digest, registry.blobs.get(layer.digest)!);
  // A realm without TLS on another host.
  let challenge = `Bearer realm="http://${thief.host}/token",service="x"`;
  let asked = false;
  registry.quirks.push((request, response) => {
    asked ||= request.headers.authorization !== undefined;
    if (request.headers.authorization !== undefined) return false;
    refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
    return true;
  });
  await refused(registry, 'steals:v1', /names a token server without TLS/);
  challenge = 'Bearer realm="http://169.254.169.254/latest/meta-data",service="x"';
  await refused(registry, 'steals:v1', /names a token server without TLS/);
  challenge = 'Bearer realm="https://169.254.169.254/latest/meta-data",service="x"';
  await refused(registry, 'steals:v1', /refusing to follow a registry's answer to 169\.254\.169\.254/);
  assert.equal(thief.requests.length, 0);
  assert.ok(!asked);
  // The blob by a redirect to another host: it is fetched there, without the credentials.
  challenge = 'Basic realm="x"';
  let target = `http://${thief.host}/v2/steals/blobs/${layer.digest}`;
  registry.quirks.push((request, response) => {
    if (!request.url!.endsWith(layer.digest)) return false;
    response.writeHead(307, { location: target }).end();
    return true;
  });
  const pulled = await pull(registry, 'steals:v1');
  assert.equal(pulled.code, 0, pulled.err);
  assert.ok(registry.requests.some(({ headers }) => headers.authorization !== undefined), 'the registry itself was told');
  assert.ok(thief.requests.length > 0 && thief.requests.every(({ headers }) => headers.authorization === undefined && headers.cookie === undefined));
  d.ok('rmi', `${registry.host}/steals:v1`);
  target = 'http://169.254.169.254/latest/meta-data';
  await refused(registry, 'steals:v1', /refusing to follow a registry's answer to 169\.254\.169\.254/);
  // A layer's own URL (CVE-2020-15157).
  const foreign = { ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', digest: sha256('elsewhere'), size: 9, urls: [`https://169.254.169.254/x`] };
  const config = registry.addBlob(JSON.stringify({ ...OS, rootfs: { type: 'layers', diff_ids: [sha256('elsewhere')] } }), CONFIG);
  registry.addManifest('foreign', { schemaVersion: 2, mediaType: MANIFEST, config, layers: [foreign] }, { tag: 'v1' });
  await refused(registry, 'foreign:v1', /refusing to follow a registry's answer to 169\.254\.169\.254/);
});

test('36: names, labels and volumes of an image neither move a tag nor leave the container (CVE-2022-23648)', async () => {
  await using registry = await FakeRegistry.start();
  const busybox = d.ok('image', 'inspect', '-f', '{{.Id}}', 'busybox');
  image(registry, 'poison', {
    config: { config: { Labels: { 'org.opencontainers.image.ref.name': 'busybox:latest', 'io.containerd.image.name': 'docker.io/library/busybox:latest', 'naru.chain': '1', 'cdi.k8s.io/x': 'vendor.com/device=all' }, Volumes: { '/../../../../../../etc': {}, '/a/../../../root': {} }, Entrypoint: ['/x'] } },
    manifest: { annotations: { 'io.containerd.image.name': 'docker.io/library/busybox:latest', 'org.opencontainers.image.ref.name': 'busybox:latest' } },
  });
  const pulled = await pull(registry, 'poison:v1');
  assert.equal(pulled.code, 0, pulled.err);
  assert.equal(d.ok('image', 'inspect', '-f', '{{.Id}}', 'busybox'), busybox, 'the tag means what it meant');
  const created = d.docker('create', '--name', 'poisoned', `${registry.host}/poison:v1`);
  if (created.code === 0) {
    const mounts = JSON.parse(d.ok('inspect', '-f', '{{json .Mounts}}', 'poisoned')) as { Source: string; Destination: string }[];
    for (const { Source, Destination } of mounts) {
      assert.ok(Source.startsWith(join(d.scope.dataRoot, 'volumes')), Source);
      assert.ok(!Destination.includes('..'), Destination);
      assert.ok(!existsSync(join(Source, 'passwd')) && !existsSync(join(Source, 'shadow')), 'nothing of the host was copied in');
    }
    assert.deepEqual(JSON.parse(d.ok('inspect', '-f', '{{json .HostConfig.Devices}}', 'poisoned')), []);
    d.ok('rm', '-v', 'poisoned');
  }
});

test('37: titles of an artifact\'s blobs are text, never paths (CVE-2025-62725)', async () => {
  await using registry = await FakeRegistry.start();
  const empty = registry.addBlob('{}', 'application/vnd.oci.empty.v1+json');
  const blob = { ...registry.addBlob('services: {}', 'application/vnd.docker.compose.file+yaml'), annotations: { 'org.opencontainers.image.title': '../../../../../../tmp/naru-escaped', 'com.docker.compose.file': '../../../../../../tmp/naru-escaped' } };
  registry.addManifest('compose', { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', artifactType: 'application/vnd.docker.compose.project', config: empty, layers: [blob] }, { tag: 'v1', type: 'application/vnd.oci.image.manifest.v1+json' });
  const pulled = await pull(registry, 'compose:v1');
  assert.equal(pulled.code, 0, pulled.err);
  assert.ok(!existsSync('/tmp/naru-escaped'));
  const names = readdirSync(join(d.scope.dataRoot, 'artifacts'));
  assert.deepEqual(names.sort(), [empty, blob].map(({ digest }) => digest.replace(':', '-')).sort());
  for (const name of names) assert.equal(createHash('sha256').update(readFileSync(join(d.scope.dataRoot, 'artifacts', name))).digest('hex'), name.slice('sha256-'.length));
  assert.match(d.ok('image', 'inspect', '-f', '{{json .Descriptor}}', `${registry.host}/compose:v1`), /vnd\.docker\.compose\.project/);
  assert.notEqual(d.docker('run', '--pull', 'never', '--rm', `${registry.host}/compose:v1`).code, 0, 'and it is nothing to run');
  d.ok('rmi', `${registry.host}/compose:v1`);
  assert.deepEqual(readdirSync(join(d.scope.dataRoot, 'artifacts')), []);
});
