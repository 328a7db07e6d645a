import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { NARU, run, TestDaemon } from '../support/daemon.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { Wire } from '../support/wire.ts';
import { NaruRegistry } from '../support/naru-registry.ts';

/** What is stored: every byte comes back, the disk does not fill, damage is found and put right. */

/** A tar of one file that does not compress. */
function rootTar(directory: string, size: number): string {
  const root = mkdtempSync(join(directory, 'root.'));
  writeFileSync(join(root, 'data'), randomBytes(size));
  assert.equal(run('tar', ['-C', root, '-cf', `${root}.tar`, '.']).code, 0);
  return `${root}.tar`;
}
const PLACES = ['layers', 'recipes', 'blobs', 'artifacts', 'pulls', 'snapshots', 'volumes', 'containers', 'incoming', 'trash'];
/** Bytes and entries of each place below the data root. */
const bytesIn = (d: TestDaemon): string => PLACES.map((place) => run('sh', ['-c', `cd ${d.scope.dataRoot} && [ -d ${place} ] && echo ${place} $(find ${place} -mindepth 1 | wc -l) $(find ${place} -type f -printf '%s\\n' | awk '{s+=$1} END {print s+0}')`]).out).join('');
async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); ) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('system prune and rmi return every byte: images, artifacts and what refers to them, containers, volumes, half of a pull', async () => {
  const d = await TestDaemon.start({ images: [] });
  const scratch = mkdtempSync(join(tmpdir(), 'naru-care.'));
  await using registry = await NaruRegistry.start();
  try {
    const before = bytesIn(d);
    const name = `${registry.host}/app:v1`;
    d.ok('load', '-q', '-i', fixture('busybox.tar'));
    d.ok('import', rootTar(scratch, 3_000_000), name);
    d.ok('push', '-q', name);
    assert.equal(run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', join(scratch, 'key')]).code, 0);
    const signed = d.naru('image', 'sign', '--key', join(scratch, 'key'), '--form', 'referrer', name);
    assert.equal(signed.code, 0, signed.err);
    d.ok('run', '--name', 'writer', '-v', 'vol:/v', '-v', '/anonymous', 'busybox', 'sh', '-c', 'dd if=/dev/zero of=/big bs=1M count=2; echo x > /v/x; echo y > /anonymous/y');
    await using wire = await Wire.to(registry.host);
    wire.speed = 2_000_000;
    d.ok('rmi', name);
    await d.signalled('docker', ['pull', `${wire.host}/app:v1`], { after: 'Pulling fs layer', signal: 'SIGINT' });
    await until('half of a pull is there', () => readdirSync(join(d.scope.dataRoot, 'pulls')).length > 0);
    assert.match(d.ok('system', 'df', '-v'), /busybox/);
    d.ok('tag', 'busybox', 'kept:v1');
    d.ok('rm', 'writer');
    assert.equal(d.ok('image', 'prune', '-a', '-f', '--filter', 'until=2h').includes('busybox'), true, 'busybox was created long ago');
    d.ok('volume', 'rm', 'vol');
    d.ok('system', 'prune', '-a', '-f', '--volumes');
    assert.equal(d.ok('images', '-aq'), '');
    await until(`what is left is what was there: ${bytesIn(d)} | ${before}`, () => sameButHello(bytesIn(d), before));
  } finally {
    await d.destroy();
    rmSync(scratch, { recursive: true, force: true });
  }
});

/** The built-in image is an image too: `prune -a` took it. */
function sameButHello(now: string, before: string): boolean {
  const sizes = (text: string): Map<string, number> => new Map(text.trim().split('\n').map((line) => [line.split(' ')[0]!, Number(line.split(' ')[2])]));
  const [a, b] = [sizes(now), sizes(before)];
  return [...a].every(([place, size]) => size <= b.get(place)! && (['layers', 'recipes', 'blobs'].includes(place) ? size === 0 : size === b.get(place)));
}

test('the high-water mark removes what is unused, least recently used first, never what is in use', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'naru-care.'));
  const size = 64 << 20;
  const d = await TestDaemon.start({
    images: [],
    daemon(root) {
      mkdirSync(join(root, 'data'));
      assert.equal(run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=711`, 'naru-test', join(root, 'data')]).code, 0);
      return ['--image-high-water', '50', '--image-low-water', '35%', '--image-min-age', '0s'];
    },
  });
  try {
    const add = (name: string): void => void d.ok('import', rootTar(scratch, 8 << 20), name);
    const names = (): string[] => d.ok('images', '--format', '{{.Repository}}').split('\n').filter((name) => name !== 'hello').sort();
    add('in-use');
    d.ok('create', '--name', 'user', 'in-use', 'x');
    add('old');
    add('run-lately');
    d.ok('rm', d.ok('create', 'run-lately', 'x'));
    assert.deepEqual(names(), ['in-use', 'old', 'run-lately'], 'below the mark nothing is touched');
    add('new');
    await until('the oldest went', () => !names().includes('old'));
    // 50 % are 32 MiB: four of 8 are above, two with the database are below 35 %.
    await until(`down to the low-water mark: ${names().join()}`, () => names().length === 2);
    assert.deepEqual(names(), ['in-use', 'new']);
    add('newer');
    add('newest');
    await until('again', () => names().length === 2);
    assert.deepEqual(names(), ['in-use', 'newest']);

    // A pull counts on a layer that is here; while it waits for the rest, the image that has it is removed.
    await using registry = await NaruRegistry.start();
    add('base');
    d.ok('create', '--name', 'maker', 'base', 'x');
    writeFileSync(join(scratch, 'more'), randomBytes(2 << 20));
    d.ok('cp', join(scratch, 'more'), 'maker:/more');
    d.ok('commit', 'maker', `${registry.host}/app:v1`);
    d.ok('push', '-q', `${registry.host}/app:v1`);
    d.ok('rm', 'maker');
    d.ok('rmi', `${registry.host}/app:v1`);
    await using wire = await Wire.to(registry.host);
    wire.speed = 1_000_000;
    const pull = spawn(NARU, ['-H', `unix://${d.socket}`, 'pull', `${wire.host}/app:v1`], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [pull.stdout, pull.stderr]) stream.on('data', (text) => { said += String(text); });
    const ended = new Promise((resolve) => pull.once('close', resolve));
    await until('the pull began, and the layer below is here', () => said.includes('Already exists') && said.includes('Pulling fs layer'));
    let release = (): void => {};
    wire.held = new Promise((resolve) => { release = resolve; });
    add('filler');
    await until('what the pull counted on went', () => !names().includes('base'));
    wire.speed = 0;
    release();
    assert.equal(await ended, 0, said);
    for (const name of [`${wire.host}/app`, 'in-use']) assert.ok(names().includes(name), names().join());
    assert.match(d.naru('system', 'check').out, /, 0 problems\n$/);
    assert.ok(!/\bERROR\b/i.test(d.log()));
  } finally {
    d.docker('rm', '-f', 'user');
    await d.down();
    run('umount', [join(d.root, 'data')]);
    await d.destroy();
    rmSync(scratch, { recursive: true, force: true });
  }
});

test('system check finds a flipped byte, a missing layer, a damaged config and blob, and files that nothing knows; --repair pulls again', async () => {
  const d = await TestDaemon.start({ images: ['busybox'] });
  const scratch = mkdtempSync(join(tmpdir(), 'naru-care.'));
  await using registry = await DockerRegistry.start();
  try {
    const name = `${registry.host}/app:v1`;
    d.ok('import', rootTar(scratch, 100_000), name);
    d.ok('push', '-q', name);
    d.ok('import', rootTar(scratch, 100_000), 'local:v1');
    assert.match(d.naru('system', 'check').out, /^\d+ checked, 0 problems\n$/);
    const layers = join(d.scope.dataRoot, 'layers');
    const withData = readdirSync(layers).filter((dir) => readdirSync(join(layers, dir)).includes('data')).map(Number).sort((a, b) => a - b);
    const damage = (dir: number): void => {
      const bytes = readFileSync(join(layers, String(dir), 'data'));
      bytes[50_000]! ^= 1;
      writeFileSync(join(layers, String(dir), 'data'), bytes);
    };
    damage(withData[0]!);
    rmSync(join(layers, String(withData[1])), { recursive: true });
    mkdirSync(join(layers, '999'));
    writeFileSync(join(d.scope.dataRoot, 'blobs/sha256', 'f'.repeat(64)), 'x');
    const found = d.naru('system', 'check');
    assert.equal(found.code, 1);
    assert.match(found.out, new RegExp(`layer sha256:\\w+ \\(${name}\\): its content has digest sha256:`));
    assert.match(found.out, /layer sha256:\w+ \(local:v1\): its directory is missing/);
    assert.match(found.out, /file layers\/999: nothing knows it/);
    assert.match(found.out, /file blobs\/sha256\/f{64}: nothing knows it/);
    assert.match(found.out, /, 4 problems\n/);
    // A container holds on to the damaged image: it stays, and the message says why.
    const container = d.ok('create', name, 'x');
    assert.match(d.naru('system', 'check', '--repair').out, new RegExp(`image sha256:\\w+ \\(${name}\\): container ${container.slice(0, 12)} needs it`));
    d.ok('rm', container);
    const repaired = d.naru('system', 'check', '--repair');
    assert.match(repaired.out, new RegExp(`\\(${name}\\): pulled again from ${registry.host}/app`), repaired.out + repaired.err);
    assert.match(d.naru('system', 'check').out, /, 0 problems\n$/);
    assert.match(d.docker('image', 'inspect', 'local:v1').err, /No such image/);
    assert.equal(d.ok('run', '--rm', 'busybox', 'echo', 'untouched'), 'untouched');
    // The config too: nothing can be read of such an image but its names.
    const id = d.ok('image', 'inspect', '-f', '{{.Id}}', name);
    writeFileSync(join(d.scope.dataRoot, 'blobs/sha256', id.slice(7)), '{}');
    await d.restart();
    assert.match(d.naru('system', 'check').out, new RegExp(`config ${id} \\(${name}\\): its bytes have another digest`));
    assert.match(d.naru('system', 'check', '--repair').out, /pulled again from/);
    assert.equal(d.ok('image', 'inspect', '-f', '{{.Id}}', name), id);
  } finally {
    await d.destroy();
    rmSync(scratch, { recursive: true, force: true });
  }
});
