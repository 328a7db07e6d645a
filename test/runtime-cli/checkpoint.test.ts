import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { RuntimeBundles, type Bundle } from '../support/runtime-bundles.ts';

/** checkpoint and restore: what is said of what cannot be. */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.clear(), []));
after(() => b.destroy());

function running(): Bundle {
  const bundle = b.bundle(['sleep', '60']);
  assert.equal(b.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  return bundle;
}
test('checkpoint: without criu it is said so, and the container goes on', () => {
  const box = running();
  const said = b.run(['--criu', '/nonexistent/criu', 'checkpoint', '--image-path', join(box.path, 'image'), box.id]);
  assert.equal(said.status, 1);
  assert.match(said.err, /criu is not installed \(\/nonexistent\/criu\)/);
  assert.equal(b.state(box.id).status, 'running');
});

test('checkpoint and restore: wrong words are refused', () => {
  const box = running();
  assert.match(b.run(['checkpoint', '--manage-cgroups-mode', 'x', box.id]).err, /invalid manage-cgroups-mode value "x"/);
  assert.match(b.run(['checkpoint', '--image-path', join(box.path, 'i'), '--page-server', 'x', box.id]).err, /--page-server: /);
  assert.match(b.run(['restore', '-b', box.path, '--image-path', join(box.path, 'nowhere'), 'other']).err, /nowhere: /);
  mkdirSync(join(box.path, 'empty'));
  assert.match(b.run(['restore', '-b', box.path, '--image-path', join(box.path, 'empty'), 'other']).err, /no checkpoint that can be read/);
  assert.equal(b.state(box.id).status, 'running');
});
