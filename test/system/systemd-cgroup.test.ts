import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { FIXTURES } from '../fixtures/make-images.ts';
import { NARU, type Ran, TestDaemon } from '../support/daemon.ts';
import { RuntimeBundles } from '../support/runtime-bundles.ts';

/**
 * --systemd-cgroup with a systemd that is real: Debian's own, as the first process of a container that is a throw-away copy of this
 * machine. (This machine itself has none running.)
 */
let d: TestDaemon;
const scratch = mkdtempSync(join(tmpdir(), 'naru-systemd.'));
const inside = (script: string): Ran => d.naru('exec', 'sd', 'sh', '-c', script);
const ok = (script: string): string => {
  const ran = inside(script);
  if (ran.code !== 0) throw new Error(`${script}: ${ran.code}: ${ran.err}`);
  return ran.out.trimEnd();
};
/** `naru runtime` in there. */
const RUNTIME = '/opt/naru/naru runtime --systemd-cgroup --root /srv/runtime';

before(async () => {
  d = await TestDaemon.start({ images: [] });
  // Nothing of what this machine would start.
  writeFileSync(join(scratch, 'naru.target'), '[Unit]\nDescription=naru test\n');
  const ran = d.naru('run', '-d', '--name', 'sd', '--privileged', '--network', 'none', '--cgroupns', 'private', '--rootfs', '/', '--tmpfs', '/run', '-e', 'container=docker',
    '-v', `${join(scratch, 'naru.target')}:/etc/systemd/system/naru.target:ro`, '-v', `${dirname(NARU)}:/opt/naru:ro`, '-v', `${FIXTURES}:/fixtures:ro`,
    '/lib/systemd/systemd', '--unit=naru.target', '--show-status=no');
  assert.equal(ran.code, 0, ran.err);
  const end = Date.now() + 30_000;
  while (inside('systemctl is-system-running').out.trim() !== 'running') {
    assert.ok(Date.now() < end, `systemd does not come up: ${d.naru('logs', 'sd').err}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  ok(`mkdir -p /srv/bundle/rootfs && tar -C /srv/bundle/rootfs -xf /fixtures/busybox-rootfs.tar && cd /srv/bundle && /opt/naru/naru runtime spec`);
  const config = JSON.parse(ok('cat /srv/bundle/config.json')) as { process: { terminal: boolean; args: string[] }; annotations: object; linux: { cgroupsPath: string; resources: object } };
  config.process.terminal = false;
  config.process.args = ['sleep', '1000'];
  config.linux.cgroupsPath = 'naru-test.slice:naru:box';
  config.annotations = { 'org.systemd.property.TimeoutStopUSec': 'uint64 7000000', 'org.systemd.property.CollectMode': '\'inactive-or-failed\'' };
  Object.assign(config.linux.resources, { memory: { limit: 64 << 20 }, pids: { limit: 33 }, cpu: { shares: 512, quota: 50_000, period: 100_000 } });
  assert.equal(d.pipe('naru', JSON.stringify(config), 'exec', '-i', 'sd', 'sh', '-c', 'cat >/srv/bundle/config.json').code, 0);
});
after(async () => {
  await d.destroy();
  rmSync(scratch, { recursive: true, force: true });
});

const shown = (...properties: string[]): string[] => ok(`systemctl show naru-box.scope ${properties.map((p) => `-p ${p}`).join(' ')}`).split('\n').sort();
const SCOPE = '/naru.slice/naru-test.slice/naru-box.scope';

test('--systemd-cgroup: without systemd it is said so, and nothing is made', () => {
  using_(new RuntimeBundles(), (b) => {
    const { id, path } = b.bundle(['true'], (spec) => { spec.linux!.cgroupsPath = 'system.slice:naru:x'; });
    const said = b.run(['--systemd-cgroup', 'run', '-b', path, id]);
    assert.equal(said.status, 1);
    assert.match(said.err, /systemd not running on this host, cannot use systemd cgroups manager/);
    assert.deepEqual(b.clear(), []);
  });
});

test('--systemd-cgroup: a container is a scope of systemd’s, with its limits, devices and the properties of its annotations', () => {
  ok(`${RUNTIME} run -d -b /srv/bundle box </dev/null >/dev/null 2>&1`);
  assert.deepEqual(shown('ActiveState', 'Slice', 'Delegate', 'TasksMax', 'MemoryLimit', 'CPUShares', 'CPUQuotaPerSecUSec', 'DevicePolicy', 'TimeoutStopUSec', 'CollectMode'), [
    'ActiveState=active', 'CPUQuotaPerSecUSec=500ms', 'CPUShares=512', 'CollectMode=inactive-or-failed', 'Delegate=yes', 'DevicePolicy=strict', 'MemoryLimit=67108864', 'Slice=naru-test.slice', 'TasksMax=33', 'TimeoutStopUSec=7s',
  ].sort());
  const groups = ok(`cat /proc/$(${RUNTIME} state box | sed -n 's/.*"pid": \\([0-9]*\\).*/\\1/p')/cgroup`);
  for (const line of groups.split('\n')) assert.ok(line.endsWith(`:${SCOPE}`), line);
  // The process that held the scope until then is gone, and exec joins.
  assert.equal(ok(`cat /sys/fs/cgroup/pids${SCOPE}/cgroup.procs | wc -l`), '1');
  assert.equal(ok(`${RUNTIME} exec box sh -c 'wc -l </proc/self/cgroup'`), String(groups.split('\n').length));
});

test('--systemd-cgroup: what systemd writes again at its reload is what was asked for; update tells it the new limits', () => {
  const devices = ok(`cat /sys/fs/cgroup/devices${SCOPE}/devices.list`);
  ok('systemctl daemon-reload');
  assert.equal(ok(`cat /sys/fs/cgroup/devices${SCOPE}/devices.list`), devices);
  assert.doesNotMatch(devices, /^a /m);
  ok(`${RUNTIME} update --memory 128m --pids-limit 44 box`);
  assert.deepEqual(shown('MemoryLimit', 'TasksMax'), ['MemoryLimit=134217728', 'TasksMax=44']);
  ok('systemctl daemon-reload');
  assert.equal(ok(`cat /sys/fs/cgroup/memory${SCOPE}/memory.limit_in_bytes`), '134217728');
});

test('--systemd-cgroup: a scope that another container has is not taken, and not touched', () => {
  const ran = inside(`${RUNTIME} run -b /srv/bundle other </dev/null`);
  assert.equal(ran.code, 1);
  assert.match(ran.err, /Unit naru-box\.scope (already exists|was already loaded)/);
  assert.equal(ok(`${RUNTIME} list -q; ls /srv/runtime`), 'box\nbox');
  assert.match(ok(`${RUNTIME} state box`), /"status": "running"/);
  assert.deepEqual(shown('ActiveState'), ['ActiveState=active']);
});

test('--systemd-cgroup: restore puts what criu makes into a new scope, with its limits', () => {
  const fake = join(import.meta.dirname, '../support/fake-criu.ts');
  ok(`printf '#!/bin/sh\nexec ${process.execPath} ${fake} /srv/asked "$@"\n' >/srv/criu && chmod +x /srv/criu && ${RUNTIME} --criu /srv/criu checkpoint --image-path /srv/image box`);
  assert.deepEqual(shown('ActiveState', 'LoadState'), ['ActiveState=inactive', 'LoadState=not-found']);
  ok(`${RUNTIME} --criu /srv/criu restore -d -b /srv/bundle --image-path /srv/image box </dev/null >/dev/null 2>/srv/err || { cat /srv/err >&2; exit 1; }`);
  const { cgroup } = JSON.parse(ok('cat /srv/asked')) as { cgroup: string };
  for (const line of cgroup.trim().split('\n')) assert.ok(line.endsWith(`:${SCOPE}`), line);
  assert.deepEqual(shown('ActiveState', 'MemoryLimit', 'TasksMax'), ['ActiveState=active', 'MemoryLimit=67108864', 'TasksMax=33']);
  assert.equal(ok(`cat /sys/fs/cgroup/pids${SCOPE}/cgroup.procs | wc -l`), '1');
});

test('--systemd-cgroup: a restore that fails leaves no scope, no group and nothing that held them', () => {
  ok(`${RUNTIME} delete --force box; printf '#!/bin/sh\nexit 3\n' >/srv/broken && chmod +x /srv/broken`);
  const ran = inside(`${RUNTIME} --criu /srv/broken restore -d -b /srv/bundle --image-path /srv/image box </dev/null`);
  assert.match(ran.err, /^criu failed: [^\n]*\n$/);
  assert.deepEqual(shown('ActiveState', 'LoadState'), ['ActiveState=inactive', 'LoadState=not-found']);
  assert.equal(ok(`ls -d /sys/fs/cgroup/*${SCOPE} /srv/runtime/* 2>/dev/null | wc -l; grep -l [n]aru-scope /proc/[0-9]*/cmdline 2>/dev/null | wc -l`), '0\n0');
  ok(`${RUNTIME} run -d -b /srv/bundle box </dev/null >/dev/null 2>&1`);
});

test('--systemd-cgroup: delete leaves no scope and no group; the name can be taken again, over the bus as well', () => {
  ok(`${RUNTIME} delete --force box`);
  assert.deepEqual(shown('ActiveState', 'LoadState'), ['ActiveState=inactive', 'LoadState=not-found']);
  assert.equal(ok(`ls -d /sys/fs/cgroup/*${SCOPE} 2>/dev/null | wc -l`), '0');
  ok('for unit in socket service; do mkdir -p /etc/systemd/system/dbus.$unit.d; printf "[Unit]\\nDefaultDependencies=no\\n" >/etc/systemd/system/dbus.$unit.d/alone.conf; done; systemctl daemon-reload; systemctl start dbus.service; test -S /run/dbus/system_bus_socket');
  ok(`mv /run/systemd/private /run/systemd/aside; ${RUNTIME} run -d -b /srv/bundle box </dev/null >/dev/null 2>&1; mv /run/systemd/aside /run/systemd/private`);
  assert.deepEqual(shown('ActiveState'), ['ActiveState=active']);
  ok(`${RUNTIME} delete --force box`);
  assert.equal(ok('systemctl list-units --failed --no-legend | wc -l'), '0');
});

test('--systemd-cgroup: a path that is none is refused with its pointer; a start that fails leaves no scope', () => {
  ok('cp /srv/bundle/config.json /srv/good.json');
  for (const path of ['/a/b', 'a:b', 'bad--name.slice:naru:x', 'x.slice:naru:']) {
    ok(`sed 's#naru-test.slice:naru:box#${path}#' /srv/good.json >/srv/bundle/config.json`);
    assert.match(inside(`${RUNTIME} run -b /srv/bundle box`).err, /\/linux\/cgroupsPath: /, path);
  }
  ok('sed \'s#"sleep"#"nosuch"#\' /srv/good.json >/srv/bundle/config.json');
  assert.match(inside(`${RUNTIME} run -b /srv/bundle box`).err, /executable file not found/);
  assert.deepEqual(shown('ActiveState', 'LoadState'), ['ActiveState=inactive', 'LoadState=not-found']);
  assert.equal(ok('ls /srv/runtime | wc -l'), '0');
});

function using_(b: RuntimeBundles, work: (b: RuntimeBundles) => void): void {
  try {
    work(b);
  } finally {
    b.destroy();
  }
}
