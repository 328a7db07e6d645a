import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MSG, Scratch, Spawner, child, cleanup, clone, container, exec, exit, failure, logText, pidOf, prepare, sh,
} from './harness.ts';

test('a program in new namespaces on an overlay: output, log, exit record', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }),
    prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('exit_file', { path: scratch.path('exit'), sync: 0 }),
    ...container(scratch),
    exec(['/bin/sh', '-c', 'echo hello $$; hostname; echo bad >&2; exit 7']),
  ]);
  const started = await shim.expect(MSG.STARTED);
  assert.ok(pidOf(started) > 1);
  assert.deepEqual(exit(await shim.expect(MSG.EXITED)), { code: 7, signal: 0, ooms: 0 });
  await shim.closed();
  assert.equal(logText(scratch.read('log')), 'hello 1\nbox\n');
  assert.equal(logText(scratch.read('log'), 2), 'bad\n');
  const record = scratch.read('exit');
  assert.equal(record.length, 32);
  assert.equal(record.subarray(0, 4).toString(), 'NEXT');
  assert.equal(record.readInt32LE(4), 7);
});
