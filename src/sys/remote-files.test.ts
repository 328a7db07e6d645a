import assert from 'node:assert/strict';
import { mkdtempSync, rmdirSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HOST_VIEW, mayWait, remoteMounts } from './remote-files.ts';

const LINES = [
  '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw', '30 22 0:25 / /mnt/nfs rw,relatime shared:7 master:2 - nfs4 server:/x rw,vers=4.2,hard',
  '31 22 0:26 / /mnt/with\\040-\\040dash rw - fuse.sshfs me@there:/ rw,user_id=0', '32 22 0:27 / /tmp rw - tmpfs fuse rw', '33 22 0:28 / /misc rw - autofs systemd-1 rw', '',
].join('\n');

test('mounts that somebody else serves, by their types', () => {
  assert.deepEqual([...remoteMounts(LINES)], [30, 31, 33]);
  assert.deepEqual([...remoteMounts('')], []);
});

test('without such a mount no path can wait; with one, a path that the kernel knows to lie elsewhere cannot', () => {
  const directory = mkdtempSync(join(tmpdir(), 'naru-remote.'));
  const mountinfo = join(directory, 'mountinfo');
  writeFileSync(mountinfo, '22 1 254:0 / / rw - ext4 /dev/vda rw\n');
  assert.equal(mayWait([directory, '/nowhere/at/all'], { root: '/', mountinfo }), false);
  writeFileSync(mountinfo, '999999999 1 254:0 / / rw - nfs there:/ rw\n');
  assert.equal(mayWait([directory], { root: '/', mountinfo }), false);
  assert.equal(mayWait([directory], { root: directory, mountinfo }), true, 'in that root it is not there: only a look can tell');
  assert.equal(mayWait(['/nowhere/at/all'], { root: '/', mountinfo }), true);
  assert.equal(mayWait(['/'], { root: directory, mountinfo }), false);
  assert.equal(mayWait([directory], { ...HOST_VIEW, mountinfo: join(directory, 'gone') }), false);
  rmSync(mountinfo);
  rmdirSync(directory);
});
