import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { repository } from '../registry/harness.ts';
import { run, TestDaemon } from '../support/daemon.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { NaruRegistry } from '../support/naru-registry.ts';

/** Images for several platforms, and how layers are compressed: Docker's CLI and skopeo on our registry and on docker-registry. */
let d: TestDaemon;
let registry: NaruRegistry;
let scratch: string;
const host = process.arch === 'arm64' ? 'arm64' : 'amd64';
const other = process.arch === 'arm64' ? 'amd64' : 'arm64';
before(async () => {
  [d, registry] = await Promise.all([TestDaemon.start({ images: [] }), NaruRegistry.start()]);
  scratch = mkdtempSync(join(tmpdir(), 'naru-platforms.'));
  mkdirSync(join(scratch, 'root'));
  for (const architecture of ['amd64', 'arm64']) {
    writeFileSync(join(scratch, 'root/for'), architecture.repeat(1000));
    assert.equal(run('tar', ['-C', join(scratch, 'root'), '-cf', join(scratch, 'root.tar'), '.']).code, 0);
    d.ok('import', '--platform', `linux/${architecture}`, join(scratch, 'root.tar'), `${multi()}-${architecture}`);
    d.ok('push', '-q', `${multi()}-${architecture}`);
  }
  const manifest = (...args: string[]): void => assert.equal(run('docker', ['--config', scratch, 'manifest', ...args]).code, 0);
  manifest('create', '--insecure', multi(), `${multi()}-amd64`, `${multi()}-arm64`);
  manifest('push', '--insecure', multi());
  d.ok('rmi', `${multi()}-amd64`, `${multi()}-arm64`);
});
after(async () => {
  await d.destroy();
  await registry[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});
const multi = (): string => `${registry.host}/multi:v1`;
const architectureOf = (...args: string[]): string => d.ok('image', 'inspect', '-f', '{{.Architecture}}', ...args);

test('both platforms of an index stand behind one tag; the machine\'s own is in front', async () => {
  d.ok('pull', '-q', '--platform', `linux/${other}`, multi());
  assert.equal(architectureOf(multi()), other);
  d.ok('pull', '-q', multi());
  assert.equal(architectureOf(multi()), host);
  assert.equal(architectureOf('--platform', `linux/${other}`, multi()), other);
  assert.match(d.docker('image', 'inspect', '--platform', 'linux/s390x', multi()).err, /does not match the specified platform \(linux\/s390x\)/);
  assert.equal(d.ok('images', '-q').split('\n').length, 2, 'one line for the image, one for hello');
  assert.match(d.ok('pull', '--platform', `linux/${other}`, multi()), /Status: /);
  assert.equal(architectureOf(multi()), host, 'still in front');
  assert.match(d.ok('history', '--platform', `linux/${other}`, multi()), /Imported/);
  const container = d.ok('create', '--platform', `linux/${other}`, multi(), 'x');
  assert.match(d.ok('image', 'inspect', '-f', '{{.Architecture}}', d.ok('inspect', '-f', '{{.Image}}', container)), new RegExp(other));
  assert.equal(await d.leaked(), '');
});

test('images --tree and the manifests of the API', () => {
  const [theirs, ours] = [d.ok('images', '--tree'), d.naru('images', '--tree').out];
  for (const text of [theirs, ours]) for (const architecture of ['amd64', 'arm64']) assert.match(text, new RegExp(`─ linux/${architecture}`));
  interface Summary { RepoTags: string[]; Manifests?: { Kind: string; Available: boolean; Descriptor: { digest: string }; ImageData: { Platform: { architecture: string } } }[] }
  const listed = (query: string): Summary | undefined => (d.api('GET', `/v1.51/images/json?${query}`).json as Summary[]).find(({ RepoTags }) => RepoTags[0] === multi());
  assert.deepEqual(listed('manifests=1')!.Manifests!.map(({ Kind, Available, ImageData }) => [Kind, Available, ImageData.Platform.architecture]), [['image', true, 'amd64'], ['image', true, 'arm64']]);
  assert.equal(listed('')!.Manifests, undefined);
  const inspected = d.api('GET', `/v1.51/images/${multi()}/json?manifests=1`).json as { Descriptor: { digest: string; mediaType: string }; Manifests: unknown[] };
  assert.equal(inspected.Manifests.length, 2);
  assert.equal(`${registry.host}/multi@${inspected.Descriptor.digest}`, d.ok('image', 'inspect', '-f', '{{index .RepoDigests 0}}', multi()));
});

test('push of a tag without a platform: the index with all platforms that are here; its digest stays while it is whole', () => {
  const copy = `${registry.host}/whole:v1`;
  d.ok('tag', multi(), copy);
  const remote = (name: string): string => run('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${name}`]).out;
  assert.match(d.ok('push', copy), /v1: digest: sha256:/);
  assert.equal(remote(copy), remote(multi()), 'the index that they came by');
  for (const architecture of ['amd64', 'arm64']) {
    const config = JSON.parse(run('skopeo', ['--override-arch', architecture, 'inspect', '--tls-verify=false', '--config', `docker://${copy}`]).out) as { architecture: string };
    assert.equal(config.architecture, architecture);
  }
  d.ok('rmi', copy);
  // Compressed in another way its parts have other digests: a new index, of which the image is known as well.
  d.ok('tag', multi(), copy);
  assert.equal(d.naru('push', '--compression', 'zstd', copy).code, 0);
  const index = JSON.parse(remote(copy)) as { mediaType: string; manifests: { platform: { architecture: string } }[] };
  assert.equal(index.mediaType, 'application/vnd.oci.image.index.v1+json');
  assert.deepEqual(index.manifests.map(({ platform }) => platform.architecture).sort(), ['amd64', 'arm64']);
  assert.match(d.ok('image', 'inspect', '-f', '{{.RepoDigests}}', copy), new RegExp(`whole@sha256:${createHash('sha256').update(remote(copy)).digest('hex')}`));
  d.ok('rmi', copy);
});

test('save, load and push of one platform', () => {
  d.ok('save', '--platform', `linux/${other}`, '-o', join(scratch, 'one.tar'), multi());
  d.ok('tag', multi(), `${registry.host}/copy:v1`);
  assert.match(d.ok('push', '--platform', `linux/${other}`, `${registry.host}/copy:v1`), /digest: sha256:/);
  const pushed = JSON.parse(run('skopeo', ['inspect', '--tls-verify=false', '--config', `docker://${registry.host}/copy:v1`]).out) as { architecture: string };
  assert.equal(pushed.architecture, other);
  assert.match(d.docker('push', '--platform', 'linux/s390x', `${registry.host}/copy:v1`).err, /does not match the specified platform/);
  d.ok('rmi', multi(), `${registry.host}/copy:v1`);
  assert.equal(d.ok('images', '-aq').split('\n').length, 1, 'the other platform went with its last tag');
  assert.match(d.docker('load', '--platform', `linux/${host}`, '-i', join(scratch, 'one.tar')).err, /the archive holds no image for/);
  d.ok('load', '--platform', `linux/${other}`, '-i', join(scratch, 'one.tar'));
  assert.equal(architectureOf(multi()), other);
});

test('push --compression zstd: to a registry that has gzip already too; every level is the same image', async () => {
  await using debian = await DockerRegistry.start();
  d.ok('load', '-q', '-i', fixture('busybox.tar'));
  const name = `${debian.host}/bb:z`;
  d.ok('tag', 'busybox', name);
  d.ok('push', '-q', name);
  const types = (): string[] => (JSON.parse(run('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${name}`]).out) as { layers: { mediaType: string; size: number }[] }).layers.map(({ mediaType, size }) => `${mediaType} ${size}`);
  assert.match(types()[0]!, /gzip/);
  const zstd = d.naru('push', '--compression', 'zstd', name);
  assert.equal(zstd.code, 0, zstd.err);
  const [usual] = types();
  assert.match(usual!, /^application\/vnd\.oci\.image\.layer\.v1\.tar\+zstd /);
  assert.match(d.naru('push', '--compression', 'lz4', name).err, /unknown compression "lz4"/);
  assert.match(d.naru('push', '--compression', 'zstd', '--compression-level', '40', name).err, /outside the range of 1 to 22/);
  await using fresh = await NaruRegistry.start();
  d.ok('tag', 'busybox', `${fresh.host}/bb:z`);
  const hard = d.naru('push', '--compression', 'zstd', '--compression-level', '19', `${fresh.host}/bb:z`);
  assert.equal(hard.code, 0, hard.err);
  const smaller = JSON.parse(run('skopeo', ['inspect', '--tls-verify=false', '--raw', `docker://${fresh.host}/bb:z`]).out) as { layers: { size: number }[] };
  assert.ok(smaller.layers[0]!.size < Number(usual!.split(' ')[1]), `${smaller.layers[0]!.size} is less than ${usual}`);
  const id = d.ok('image', 'inspect', '-f', '{{.Id}}', 'busybox');
  d.ok('rmi', '-f', name, `${fresh.host}/bb:z`);
  d.ok('pull', '-q', `${fresh.host}/bb:z`);
  assert.equal(d.ok('image', 'inspect', '-f', '{{.Id}}', `${fresh.host}/bb:z`), id);
});

test('artifacts, and with --referrers what refers to an image and to that again, travel whole from registry to registry', async () => {
  await using debian = await DockerRegistry.start();
  const from = repository(`http://${registry.host}`, 'travels');
  const at = repository(`http://${debian.host}`, 'arrived/here');
  const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: `sha256:${createHash('sha256').update('{}').digest('hex')}`, size: 2 };
  assert.equal((await from.put('{}')).status, 201);
  const artifact = async (type: string, tag: string | undefined, extra: object = {}): Promise<{ digest: string; layers: { digest: string }[]; descriptor: object }> => {
    return await from.image(tag, { layers: [createHash('sha512').update(type).digest(), Buffer.from(`${type} `.repeat(5000))], extra: { artifactType: type, config: empty, ...extra } });
  };
  const chart = await artifact('application/x.chart', 'chart');
  const arrives = async (name: string, one: { digest: string; layers: { digest: string }[] }): Promise<void> => {
    const answer = await at.manifest(name, 'HEAD', { headers: { accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' } });
    assert.equal(answer.headers.get('docker-content-digest'), one.digest, name);
    for (const { digest } of one.layers) assert.equal((await at.blob(digest, {}, 'HEAD')).status, 200, `${name}: ${digest}`);
  };
  d.ok('pull', '-q', `${registry.host}/travels:chart`);
  d.ok('tag', `${registry.host}/travels:chart`, `${debian.host}/arrived/here:chart`);
  d.ok('push', '-q', `${debian.host}/arrived/here:chart`);
  await arrives('chart', chart);

  d.ok('pull', '-q', '--platform', `linux/${host}`, multi());
  d.ok('tag', multi(), `${registry.host}/travels:image`);
  d.ok('push', '-q', '--platform', `linux/${host}`, `${registry.host}/travels:image`);
  const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: '', size: 0 };
  const bytes = Buffer.from(await (await from.manifest('image', 'GET', { headers: { accept: subject.mediaType } })).arrayBuffer());
  Object.assign(subject, { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, size: bytes.byteLength });
  const bill = await artifact('application/x.bill', undefined, { subject });
  const about = await artifact('application/x.about-the-bill', undefined, { subject: bill.descriptor });
  d.ok('rmi', `${registry.host}/travels:image`, multi());
  assert.equal(d.naru('pull', '-q', '--referrers', `${registry.host}/travels:image`).code, 0);
  const kept = d.naru('image', 'referrers', '--local', `${registry.host}/travels:image`);
  assert.match(kept.out, /x\.bill/, kept.err);
  d.ok('tag', `${registry.host}/travels:image`, `${debian.host}/arrived/here:image`);
  d.ok('push', '-q', `${debian.host}/arrived/here:image`);
  await arrives(bill.digest, bill);
  await arrives(about.digest, about);
  assert.match(d.naru('image', 'referrers', `${debian.host}/arrived/here:image`).out, /x\.bill/, 'a registry without the API is asked by the tag schema');
  d.ok('rmi', `${registry.host}/travels:image`, `${debian.host}/arrived/here:image`, `${registry.host}/travels:chart`, `${debian.host}/arrived/here:chart`);
  assert.match(d.docker('image', 'inspect', `${registry.host}/travels:chart`).err, /No such image/i);
});
