import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { NARU, run, TestDaemon, type Ran } from '../support/daemon.ts';
import { NaruRegistry } from '../support/naru-registry.ts';

/** `manifest`: each verb by Docker's CLI and by ours, against our registry; what they print and keep is the same. */
let d: TestDaemon;
let registry: NaruRegistry;
let scratch: string;
before(async () => {
  [d, registry] = await Promise.all([TestDaemon.start({ images: [] }), NaruRegistry.start()]);
  scratch = mkdtempSync(join(tmpdir(), 'naru-manifest.'));
  for (const [format, name] of [['v2s2', 'bb:a'], ['oci', 'other/bb:b']] as const) {
    const ran = run('skopeo', ['copy', '--format', format, '--dest-tls-verify=false', `docker-archive:${fixture('busybox.tar')}`, `docker://${registry.host}/${name}`]);
    assert.equal(ran.code, 0, ran.err);
  }
});
after(async () => {
  await d.destroy();
  await registry[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const docker = (...args: string[]): Ran => run('docker', ['--config', config('docker'), 'manifest', ...args]);
const naru = (...args: string[]): Ran => run(NARU, ['--config', config('naru'), '-H', `unix://${d.socket}`, 'manifest', ...args]);
function config(name: string): string {
  mkdirSync(join(scratch, name), { recursive: true });
  return join(scratch, name);
}
const tree = (name: string): string[] => readdirSync(join(scratch, name, 'manifests'), { recursive: true, encoding: 'utf8' }).sort();
/** The same from both, with the same exit status. */
function same(...args: string[]): string {
  const [theirs, ours] = [docker(...args), naru(...args)];
  assert.deepEqual([ours.code, ours.out, ours.err.replace(/^(Error response from daemon|naru|hint): .*\n/gm, '')], [theirs.code, theirs.out, theirs.err.replace(/^Error response from daemon: .*\n/gm, '')], args.join(' '));
  return ours.out;
}

test('create, annotate, inspect, push and rm print and keep what Docker\'s do', () => {
  const list = `${registry.host}/list:v1`;
  const images = [`${registry.host}/bb:a`, `${registry.host}/other/bb:b`];
  assert.equal(same('create', '--insecure', list, ...images), `Created manifest list ${list}\n`);
  assert.deepEqual(tree('naru'), tree('docker'));
  for (const file of tree('docker').filter((path) => path.includes('bb'))) {
    assert.deepEqual(JSON.parse(readFileSync(join(scratch, 'naru/manifests', file), 'utf8')), JSON.parse(readFileSync(join(scratch, 'docker/manifests', file), 'utf8')));
  }
  assert.match(naru('create', list, ...images).err, /refusing to amend an existing manifest list with no --amend flag/);
  same('annotate', '--os', 'linux', '--arch', 'arm64', '--variant', 'v8', list, images[1]!);
  assert.match(naru('annotate', '--arch', 'nonsense', list, images[0]!).err, /unsupported os\/arch combination: linux\/nonsense/);
  assert.match(naru('annotate', '--arch', 'arm', list, `${registry.host}/no:x`).err, /manifest for image .*\/no:x does not exist in .*\/list:v1/);
  same('inspect', '--insecure', list);
  same('inspect', '--insecure', '-v', list);
  same('inspect', '--insecure', images[0]!);
  same('inspect', '--insecure', '-v', images[1]!);
  const pushed = same('push', '--insecure', list);
  assert.match(pushed, /^Pushed ref .*\nPushed ref .*\nsha256:[0-9a-f]{64}\n$/);
  same('rm', list);
  assert.match(naru('rm', list).err, /No such manifest: .*\/list:v1/);
  assert.match(same('inspect', '--insecure', list), /"architecture": "arm64"/);
  same('inspect', '--insecure', '-v', list);
  assert.match(naru('inspect', `${registry.host}/nothing:x`).err, /no such manifest: .*\/nothing:x/);
  // What was put together is one image for each platform.
  assert.match(d.ok('pull', '--platform', 'linux/amd64', list), new RegExp(`Digest: ${pushed.trim().split('\n').at(-1)}`));
});

test('--insecure: a registry without TLS that is not on this machine, for this once', async () => {
  // An address that no rule for loopback knows.
  const address = '192.0.2.45';
  assert.equal(run('ip', ['addr', 'add', `${address}/32`, 'dev', 'lo']).code, 0);
  try {
    await using far = await NaruRegistry.start('--host', '0.0.0.0');
    const host = far.host.replace(/.*:/, `${address}:`);
    assert.equal(run('skopeo', ['copy', '--dest-tls-verify=false', `docker-archive:${fixture('busybox.tar')}`, `docker://${host}/bb:a`]).code, 0);
    for (const args of [['inspect', `${host}/bb:a`], ['create', `${host}/l:1`, `${host}/bb:a`]]) assert.match(naru(...args).err, /server gave HTTP response to HTTPS client/, args[0]!);
    for (const args of [['inspect', '--insecure', `${host}/bb:a`], ['create', '--insecure', `${host}/l:1`, `${host}/bb:a`]]) assert.equal(naru(...args).code, 0, args[0]!);
    assert.match(naru('push', `${host}/l:1`).err, /server gave HTTP response to HTTPS client/);
    assert.match(naru('push', '--insecure', `${host}/l:1`).out, /\nsha256:[0-9a-f]{64}\n$/);
  } finally {
    run('ip', ['addr', 'del', `${address}/32`, 'dev', 'lo']);
  }
});

test('a list that one begins the other goes on with; --amend and --purge', () => {
  const list = `${registry.host}/shared:v1`;
  const shared = ['--config', config('shared')];
  const both = (command: 'docker' | 'naru', ...args: string[]): Ran => (command === 'docker' ? run('docker', [...shared, 'manifest', ...args]) : run(NARU, [...shared, '-H', `unix://${d.socket}`, 'manifest', ...args]));
  assert.equal(both('docker', 'create', '--insecure', list, `${registry.host}/bb:a`).code, 0);
  assert.equal(both('naru', 'create', '--amend', list, `${registry.host}/other/bb:b`).code, 0);
  assert.equal(both('docker', 'annotate', '--arch', 's390x', '--os', 'linux', list, `${registry.host}/other/bb:b`).code, 0);
  const pushed = both('naru', 'push', '--purge', list);
  assert.equal(pushed.code, 0, pushed.err);
  assert.match(both('docker', 'inspect', '--insecure', list).out, /s390x/);
  assert.deepEqual(readdirSync(join(scratch, 'shared/manifests')), []);
});
