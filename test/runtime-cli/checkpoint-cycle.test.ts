import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { RuntimeBundles, type Bundle } from '../support/runtime-bundles.ts';

/**
 * checkpoint and restore. Debian's criu (3.17) cannot dump on kernels that are much newer than itself: there, what is tested is that
 * this is said in criu's words and the container goes on; in the guest of test/vm, whose kernel it knows, it works.
 */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.clear(), []));
after(() => b.destroy());

const inGuest = process.env['NARU_TEST_SLOW'] !== undefined;
const works = spawnSync('criu', ['check'], { encoding: 'utf8' }).status === 0;

/** Counts on in /tmp/count. */
function counter(options: { readonly runc?: boolean } = {}): Bundle {
  const bundle = b.bundle(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.1; done'], (spec) => {
    spec.linux!.namespaces = spec.linux!.namespaces!.filter((n) => n.type !== 'network');
    if (options.runc === true) delete spec.linux!.seccomp; // its numbers are too wide for runc's JSON
  });
  if (options.runc !== true) assert.equal(b.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  return bundle;
}
const count = ({ path }: Bundle): number => Number(readFileSync(join(path, 'rootfs/tmp/count'), 'utf8'));

function waitFor(what: string, met: () => boolean): void {
  const end = Date.now() + 60_000;
  while (!met()) {
    assert.ok(Date.now() < end, what);
    spawnSync('sleep', ['0.1']);
  }
}

test(works ? 'checkpoint, restore: the program goes on where it was, and is a container like any other' : 'checkpoint: what criu cannot do here is said in its words; the container goes on; runc cannot either', () => {
  assert.ok(works || !inGuest, 'criu does not work in the guest');
  const box = counter();
  const image = join(box.path, 'image');
  waitFor('it does not count', () => existsSync(join(box.path, 'rootfs/tmp/count')) && count(box) > 3);
  const said = b.run(['checkpoint', '--image-path', image, box.id]);
  if (!works) {
    assert.equal(said.status, 1);
    assert.match(said.err, /criu failed: .*Error \(criu\//);
    assert.equal(b.state(box.id).status, 'running');
    const before = count(box);
    waitFor('it stands still', () => count(box) > before);
    // The reference's own way to the same criu.
    const { id, path } = counter({ runc: true });
    const runc = (...words: string[]) => spawnSync('runc', ['--root', join(b.top, 'runc'), '--log', join(b.top, 'runc.log'), ...words], { stdio: 'ignore', timeout: 20_000 });
    try {
      assert.equal(runc('run', '-d', '-b', path, id).status, 0, existsSync(join(b.top, 'runc.log')) ? readFileSync(join(b.top, 'runc.log'), 'utf8') : '');
      assert.notEqual(runc('checkpoint', '--image-path', join(path, 'image'), id).status, 0);
      assert.match(readFileSync(join(b.top, 'runc.log'), 'utf8'), /criu/i);
    } finally {
      runc('delete', '--force', id);
    }
    return;
  }
  assert.equal(said.status, 0, said.err);
  assert.match(b.run(['state', box.id]).err, /container does not exist/);
  const before = count(box);
  spawnSync('sleep', ['0.5']);
  assert.equal(count(box), before);
  const restored = b.run(['restore', '-d', '-b', box.path, '--image-path', image, '--pid-file', join(box.path, 'pid'), box.id], { stdio: ['ignore', 'ignore', 'pipe'] });
  assert.equal(restored.status, 0, restored.err);
  waitFor('it does not count on', () => count(box) > before + 3);
  assert.ok(count(box) < before + 600, 'it began anew');
  const { status, pid } = b.state(box.id);
  assert.equal(status, 'running');
  assert.equal(Number(readFileSync(join(box.path, 'pid'), 'utf8')), pid);
  assert.equal(b.ok('exec', box.id, 'cat', '/proc/1/cmdline').split('\0')[0], 'sh');
  assert.ok((JSON.parse(b.ok('ps', '-f', 'json', box.id)) as number[]).includes(pid));
  // Once more, and it goes on running.
  const second = b.run(['checkpoint', '--leave-running', '--image-path', join(box.path, 'second'), box.id]);
  assert.equal(second.status, 0, second.err);
  assert.equal(b.state(box.id).status, 'running');
  b.ok('kill', box.id, 'KILL');
  waitFor('it does not end', () => b.state(box.id).status === 'stopped');
  b.ok('delete', box.id);
  assert.deepEqual(b.groups(box.id), []);
});
