import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { test } from 'node:test';
import { readGroupFile } from './cgroup-files.ts';

test('a process that ends between the opening and the reading of its file is gone, not a failure', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const fd = openSync(`/proc/${child.pid}/cgroup`, 'r');
  try {
    assert.match(readGroupFile(`/proc/self/fd/${fd}`) ?? '', /:/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(readGroupFile(`/proc/self/fd/${fd}`), undefined);
  } finally {
    closeSync(fd);
  }
});
