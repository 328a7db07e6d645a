import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { FIXTURES } from '../fixtures/make-images.ts';
import { NARU, type Ran, TestDaemon } from '../support/daemon.ts';

/** podman of a user without rights, with naru as its runtime: in a throw-away copy of this machine, which gets the user. */
let d: TestDaemon;
const inside = (script: string): Ran => d.naru('exec', 'copy', 'sh', '-c', script);
const ok = (script: string): string => {
  const ran = inside(script);
  if (ran.code !== 0) throw new Error(`${script}: ${ran.code}: ${ran.err}`);
  return ran.out.trimEnd();
};
const USER = 'cd /home/u && setpriv --reuid 1500 --regid 1500 --clear-groups env -u USER HOME=/home/u XDG_RUNTIME_DIR=/run/user/1500';
const PODMAN = `${USER} podman --storage-driver vfs --runtime /usr/local/bin/naru-runtime --cgroup-manager cgroupfs --events-backend file`;

before(async () => {
  d = await TestDaemon.start({ images: [] });
  const ran = d.naru('run', '-d', '--name', 'copy', '--privileged', '--network', 'none', '--rootfs', '/', '-v', `${dirname(NARU)}:/opt/naru:ro`, '-v', `${FIXTURES}:/fixtures:ro`, 'sleep', '1000');
  assert.equal(ran.code, 0, ran.err);
  ok('useradd -m -u 1500 u; for f in subuid subgid; do grep -q ^u: /etc/$f || echo u:200000:65536 >>/etc/$f; done; mkdir -p /run/user/1500; chown 1500 /run/user/1500; ln -sf /opt/naru/naru /usr/local/bin/naru-runtime');
  ok(`${PODMAN} load -q -i /fixtures/busybox.tar`);
});
after(async () => {
  await d.destroy();
});

test('podman without rights: run, its exit status, its ids', () => {
  const ran = inside(`${PODMAN} run --rm --network none busybox sh -c 'id -u; cat /proc/self/uid_map; test -c /dev/null && echo x >/dev/null; exit 7'`);
  assert.equal(ran.code, 7, ran.err);
  assert.match(ran.out, /^0\n\s+0\s+1500\s+1\n\s+1\s+\d+\s+65536\n$/);
  assert.match(inside(`${PODMAN} run --rm --network none busybox nosuch`).err, /exec: "nosuch": executable file not found in \$PATH/);
});

test('podman without rights: exec as another user, top, stop, rm; nothing of the runtime’s is left', () => {
  ok(`${PODMAN} run -d --name box --network none busybox sleep 1000`);
  assert.equal(inside(`${PODMAN} exec box sh -c 'exit 3'`).code, 3);
  assert.equal(ok(`${PODMAN} exec --user 1000:1000 box id -u`), '1000');
  assert.match(ok(`${PODMAN} top box`), /sleep 1000/);
  assert.equal(ok('ls /run/user/1500/naru-runtime | wc -l'), '1');
  ok(`${PODMAN} stop -t 0 box`);
  assert.equal(ok(`${PODMAN} inspect -f '{{.State.ExitCode}}' box`), '137');
  ok(`${PODMAN} rm box`);
  assert.equal(ok('ls /run/user/1500/naru-runtime | wc -l'), '0');
});
