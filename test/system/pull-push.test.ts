import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixture } from '../fixtures/make-images.ts';
import { NARU, run, TestDaemon, type Ran } from '../support/daemon.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { Wire } from '../support/wire.ts';

/** Images that travel: the real Docker CLI on this side, Debian's docker-registry and skopeo on the other. */
const LAYER = 12_000_000;
const SIZE = 4 * LAYER;
let d: TestDaemon;
let registry: DockerRegistry;
let scratch: string;
before(async () => {
  d = await TestDaemon.start({ images: [] });
  registry = await DockerRegistry.start();
  scratch = mkdtempSync(join(tmpdir(), 'naru-pull.'));
  skopeo('copy', `docker-archive:${fixture('busybox.tar')}`, `docker://${registry.host}/bb:latest`);
  makeLayers(4, LAYER);
  skopeo('copy', `oci:${scratch}/oci:layers`, `docker://${registry.host}/layers:latest`);
});
after(async () => {
  await d.destroy();
  await registry[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

function skopeo(verb: string, ...args: string[]): string {
  const tls = verb === 'copy' ? ['--src-tls-verify=false', '--dest-tls-verify=false'] : ['--tls-verify=false'];
  const ran = run('skopeo', [verb, ...tls, ...args]);
  assert.equal(ran.code, 0, ran.err);
  return ran.out;
}
const digestOf = (name: string): string => (JSON.parse(skopeo('inspect', `docker://${name}`)) as { Digest: string }).Digest;

/** An OCI layout of an image with layers that do not compress. */
function makeLayers(count: number, size: number): void {
  const bundle = join(scratch, 'oci');
  assert.equal(run('umoci', ['init', '--layout', bundle]).code, 0);
  assert.equal(run('umoci', ['new', '--image', `${bundle}:layers`]).code, 0);
  for (let i = 0; i < count; i++) {
    const directory = join(scratch, `l${i}`);
    mkdirSync(join(directory, `d${i}`), { recursive: true });
    writeFileSync(join(directory, `d${i}`, 'data'), randomBytes(size));
    assert.equal(run('umoci', ['insert', '--image', `${bundle}:layers`, join(directory, `d${i}`), `/d${i}`]).code, 0);
  }
}

/** Beside this process, which serves the wire. */
function start(command: string, args: readonly string[]): { done: Promise<Ran>; kill(signal?: NodeJS.Signals): void } {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  return { done: new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? 128, out, err }))), kill: (signal = 'SIGINT') => void child.kill(signal) };
}
const docker = (...args: string[]): ReturnType<typeof start> => start('docker', ['-H', `unix://${d.socket}`, ...args]);
const forget = (...names: string[]): void => void d.docker('rmi', '-f', ...names);
const partials = (): string[] => readdirSync(join(d.scope.dataRoot, 'pulls'));

test('pull: what Docker prints, the registry\'s digest, and an image that runs', async () => {
  const name = `${registry.host}/bb`;
  const ran = d.docker('pull', name);
  assert.equal(ran.code, 0, ran.err);
  const lines = ran.out.trim().split('\n');
  assert.equal(lines[0], 'Using default tag: latest');
  assert.equal(lines[1], 'latest: Pulling from bb');
  assert.match(lines[2]!, /^[0-9a-f]{12}: Pulling fs layer$/);
  for (const word of ['Verifying Checksum', 'Download complete', 'Pull complete']) assert.ok(lines.some((line) => line.endsWith(`: ${word}`)), word);
  assert.deepEqual(lines.slice(-3), [`Digest: ${digestOf(name)}`, `Status: Downloaded newer image for ${name}:latest`, `${name}:latest`]);
  assert.equal(d.ok('run', '--rm', name, 'echo', 'hi'), 'hi');
  assert.match(d.ok('pull', name), /Status: Image is up to date for/);
  assert.equal(d.ok('image', 'inspect', '-f', '{{index .RepoDigests 0}}', name), `${name}@${digestOf(name)}`);
  assert.deepEqual(partials(), []);
  assert.equal(await d.leaked(), '');
});

test('by digest, for another platform, and what is not there', () => {
  const name = `${registry.host}/bb`;
  const digest = digestOf(name);
  forget(name);
  assert.match(d.ok('pull', `${name}@${digest}`), /Status: Downloaded newer image for .*@sha256:/);
  assert.equal(d.ok('run', '--rm', `${name}@${digest}`, 'echo', 'hi'), 'hi');
  const refused = (pattern: RegExp, ...args: string[]): void => {
    const ran = d.docker('pull', ...args);
    assert.notEqual(ran.code, 0);
    assert.match(ran.err, pattern);
  };
  refused(/manifest for .*\/bb:nope not found: manifest unknown: manifest unknown/, `${name}:nope`);
  refused(/not found: /, `${registry.host}/nothing/here`);
  refused(/does not match the specified platform \(linux\/s390x\)/, '--platform', 'linux/s390x', `${name}:latest`);
  refused(/connection refused/, '127.0.0.1:1/x');
  assert.match(d.ok('pull', '-q', `${name}:latest`), /\/bb:latest$/);
});

test('all tags', () => {
  for (const tag of ['a', 'b']) skopeo('copy', `docker://${registry.host}/bb:latest`, `docker://${registry.host}/many:${tag}`);
  d.ok('pull', '-a', `${registry.host}/many`);
  assert.deepEqual(d.ok('images', '--format', '{{.Tag}}', `${registry.host}/many`).split('\n').sort(), ['a', 'b']);
});

test('push: a pulled image keeps its digest; nothing that is there travels again', () => {
  const name = `${registry.host}/bb`;
  d.ok('pull', '-q', name);
  d.ok('tag', name, `${registry.host}/team/copy:v1`);
  const mounted = d.ok('push', `${registry.host}/team/copy:v1`);
  assert.match(mounted, /^The push refers to repository \[127\.0\.0\.1:\d+\/team\/copy\]\n[0-9a-f]{12}: Preparing\n/);
  assert.match(mounted, /: Mounted from bb\n/);
  assert.match(mounted, new RegExp(`v1: digest: ${digestOf(name)} size: \\d+$`));
  assert.match(d.ok('push', `${registry.host}/team/copy:v1`), /: Layer already exists\n/);
  assert.equal(digestOf(`${registry.host}/team/copy:v1`), digestOf(name));
  assert.match(d.docker('push', `${registry.host}/nobody/has:this`).err, /tag does not exist|does not exist locally/);
});

test('push: a new image, read by skopeo and by another daemon', async () => {
  d.ok('pull', '-q', `${registry.host}/bb`);
  const container = d.ok('run', '-d', `${registry.host}/bb`, 'sh', '-c', 'echo made here > /made; sleep 100');
  const name = `${registry.host}/made`;
  for (let i = 0; i < 100 && d.docker('exec', container, 'cat', '/made').out === ''; i++);
  d.ok('commit', container, name);
  d.ok('rm', '-f', container);
  assert.match(d.ok('push', name), /: Pushed\n/);
  const before = digestOf(`${name}:latest`);
  assert.equal(d.ok('image', 'inspect', '-f', '{{json .RepoDigests}}', name), JSON.stringify([`${name}@${before}`]), 'known right after the push');
  assert.match(d.ok('images', '--digests', name), new RegExp(before));
  forget(name);
  assert.match(d.ok('pull', name), /: Already exists\n/);
  assert.equal(d.ok('run', '--rm', name, 'cat', '/made'), 'made here');
  assert.match(d.ok('push', name), new RegExp(`: Layer already exists\n(.*\n)*latest: digest: ${before}`));
  skopeo('copy', `docker://${name}:latest`, `dir:${join(scratch, 'out')}`);
  // Compressed anew for registries that have nothing: the same bytes each time.
  const digests = new Set<string>();
  for (let i = 0; i < 2; i++) {
    await using other = await DockerRegistry.start();
    d.ok('tag', name, `${other.host}/x/made`);
    d.ok('push', '-q', `${other.host}/x/made`);
    digests.add(digestOf(`${other.host}/x/made:latest`));
  }
  assert.equal(digests.size, 1);
});

test('layers in zstd, and OCI manifests', () => {
  const name = `${registry.host}/zstd`;
  skopeo('copy', '--format', 'oci', '--dest-compress-format', 'zstd', `docker-archive:${fixture('busybox.tar')}`, `docker://${name}:latest`);
  forget(...d.ok('images', '-q').split('\n'));
  d.ok('pull', name);
  assert.equal(d.ok('run', '--rm', name, 'echo', 'hi'), 'hi');
});

test('login, and a registry that asks for it', async () => {
  await using guarded = await DockerRegistry.start({ users: { ann: 'sesame' } });
  const config = join(scratch, 'config');
  mkdirSync(config);
  const call = (input: string, ...args: string[]): Ran => run('docker', ['--config', config, '-H', `unix://${d.socket}`, ...args], { input });
  d.ok('pull', '-q', `${registry.host}/bb`);
  const name = `${guarded.host}/secret/bb`;
  d.ok('tag', `${registry.host}/bb`, name);
  assert.match(call('', 'push', name).err, /unauthorized|denied|no basic auth/);
  assert.match(call('wrong', 'login', '-u', 'ann', '--password-stdin', guarded.host).err, /unauthorized: /);
  const login = call('sesame', 'login', '-u', 'ann', '--password-stdin', guarded.host);
  assert.match(login.out, /Login Succeeded/, login.err);
  const pushed = call('', 'push', name);
  assert.equal(pushed.code, 0, pushed.err);
  forget(name);
  assert.match(call('', 'pull', name).out, /Status: Downloaded newer image/);
  // naru keeps and uses the login in the same place.
  const naru = (input: string, ...args: string[]): Ran => run(NARU, ['--config', join(scratch, 'naru-config'), '-H', `unix://${d.socket}`, ...args], { input });
  assert.match(naru('wrong', 'login', '-u', 'ann', '--password-stdin', guarded.host).err, /unauthorized/);
  assert.equal(naru('sesame', 'login', '-u', 'ann', '--password-stdin', guarded.host).out, 'Login Succeeded\n');
  assert.equal(readFileSync(join(scratch, 'naru-config', 'config.json'), 'utf8'), readFileSync(join(config, 'config.json'), 'utf8'));
  forget(name);
  assert.match(naru('', 'pull', name).out, /Status: Downloaded newer image/);
  assert.equal(naru('', 'logout', guarded.host).code, 0);
  assert.equal(naru('', 'pull', name).code, 1);
  const refused = d.docker('pull', name);
  assert.match(refused.err, /pull access denied for .*secret\/bb, repository does not exist or may require 'docker login'/);
});

test('distribution and search over the API', () => {
  const { status, json } = d.api('GET', `/distribution/${registry.host}/bb:latest/json`);
  assert.equal(status, 200);
  const { Descriptor, Platforms } = json as { Descriptor: { digest: string }; Platforms: { os: string }[] };
  assert.equal(Descriptor.digest, digestOf(`${registry.host}/bb`));
  assert.equal(Platforms[0]!.os, 'linux');
  assert.equal(d.api('GET', `/images/search?term=${registry.host}/x`).status, 501);
});

test('naru pulls and pushes as docker does', () => {
  const name = `${registry.host}/bb`;
  forget(name);
  const pulled = run(NARU, ['-H', `unix://${d.socket}`, 'pull', name]);
  assert.match(pulled.out, /Status: Downloaded newer image/, pulled.err);
  d.ok('tag', name, `${registry.host}/by-naru`);
  const pushed = run(NARU, ['-H', `unix://${d.socket}`, 'push', `${registry.host}/by-naru`]);
  assert.match(pushed.out, /latest: digest: sha256:/, pushed.err);
});

test('two pulls of the same image share the work', async () => {
  await using wire = await Wire.to(registry.host);
  wire.speed = 80_000_000;
  const pulls = ['a', 'b'].map(() => docker('pull', `${wire.host}/layers`));
  for (const { done } of pulls) assert.equal((await done).code, 0);
  assert.ok(wire.received < SIZE * 1.2, `${wire.received} bytes came`);
  forget(`${wire.host}/layers`);
});

test('a pull that its user ends leaves what came; the next one goes on from there', async () => {
  await using wire = await Wire.to(registry.host);
  wire.speed = 16_000_000;
  const first = docker('pull', `${wire.host}/layers`);
  while (wire.received < 20_000_000) await new Promise((resolve) => setTimeout(resolve, 10));
  first.kill();
  await first.done;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(partials().length > 0);
  wire.speed = 0;
  const second = await docker('pull', `${wire.host}/layers`).done;
  assert.equal(second.code, 0, second.err);
  // What was on its way in the sockets of four connections when the user ended it never reached the daemon.
  assert.ok(wire.received < SIZE * 1.2 + 4 * 2_000_000, `${wire.received} bytes came`);
  assert.deepEqual(partials(), []);
  forget(`${wire.host}/layers`);
});

test('a pull that is cut at 20 random bytes, its daemon killed 5 times, completes and downloads less than 1.2 of the size', async () => {
  await using wire = await Wire.to(registry.host);
  let cuts = 20;
  wire.speed = 5_000_000;
  let limit = 100_000 + Math.random() * 1_500_000;
  wire.cut = (received) => {
    if (cuts === 0 || received < limit) return false;
    cuts--;
    limit = 100_000 + Math.random() * 1_500_000;
    return true;
  };
  let ran: Ran = { code: 1, out: '', err: '' };
  for (let kills = 5; ran.code !== 0; ) {
    const pull = docker('pull', `${wire.host}/layers`);
    if (kills > 0) {
      const goal = wire.received + SIZE / 7;
      let ended = false;
      void pull.done.then(() => { ended = true; });
      while (!ended && wire.received < goal) await new Promise((resolve) => setTimeout(resolve, 5));
      kills--;
      // What is in the kernel's buffers between us is lost with the daemon, on a busy machine megabytes of it: it may arrive first.
      let release = (): void => {};
      wire.held = new Promise((resolve) => (release = resolve));
      for (let [still, before] = [0, -1]; still < 4; ) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const now = partials().reduce((sum, name) => sum + (statSync(join(d.scope.dataRoot, 'pulls', name), { throwIfNoEntry: false })?.size ?? 0), 0);
        still = now === before ? still + 1 : 0;
        before = now;
      }
      await d.restart('SIGKILL');
      release();
    }
    ran = await pull.done;
    assert.ok(kills > 0 || ran.code === 0 || cuts >= 0, ran.err);
  }
  assert.equal(cuts, 0, 'all cuts were made');
  assert.ok(wire.received < SIZE * 1.2, `${wire.received} bytes came of ${SIZE}`);
  const expected = digestOf(`${registry.host}/layers`);
  assert.match(ran.out, new RegExp(`Digest: ${expected}`));
  d.ok('save', '-o', join(scratch, 'saved.tar'), `${wire.host}/layers`);
  assert.ok(readFileSync(join(scratch, 'saved.tar')).byteLength > SIZE);
  assert.deepEqual(partials(), []);
  forget(`${wire.host}/layers`);
});
