import assert from 'node:assert/strict';
import { spawnSync, type StdioOptions } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { fixture } from '../fixtures/make-images.ts';

/** naru runtime called by a user without any rights: a user namespace of one's own id, no cgroups (what runc calls rootless). */
const UID = 12_345;
const top = mkdtempSync(join(tmpdir(), 'naru-rootless.'));
chmodSync(top, 0o755);
const program = join(top, 'naru');
copyFileSync(join(import.meta.dirname, '../../dist/naru'), program);
const bundle = join(top, 'bundle');
mkdirSync(join(bundle, 'rootfs'), { recursive: true });
mkdirSync(join(top, 'run'));
assert.equal(spawnSync('tar', ['-C', join(bundle, 'rootfs'), '-xf', fixture('busybox-rootfs.tar')]).status, 0);
assert.equal(spawnSync('chown', ['-R', `${UID}:${UID}`, top]).status, 0);
after(() => rmSync(top, { recursive: true, force: true }));

/** As that user. */
function runtime(args: readonly string[], stdio: StdioOptions = ['ignore', 'pipe', 'pipe']): { status: number | null; out: string; err: string } {
  const ran = spawnSync('setpriv', ['--reuid', String(UID), '--regid', String(UID), '--clear-groups', 'env', `HOME=${top}`, `XDG_RUNTIME_DIR=${join(top, 'run')}`, program, 'runtime', ...args],
    { cwd: bundle, encoding: 'utf8', timeout: 30_000, stdio });
  return { status: ran.status, out: ran.stdout ?? '', err: ran.stderr ?? '' };
}
const ok = (...args: string[]): string => {
  const ran = runtime(args);
  assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.err}`);
  return ran.out;
};
const config = join(bundle, 'config.json');
ok('spec', '--rootless');
const original = JSON.parse(readFileSync(config, 'utf8')) as OciSpec;
function configure(args: string[], change: (spec: OciSpec) => void = () => {}): void {
  const spec = structuredClone(original);
  spec.process!.terminal = false;
  spec.process!.args = args;
  change(spec);
  writeFileSync(config, JSON.stringify(spec));
  chownSync(config, UID, UID);
}
const left = (): string[] => readdirSync(join(top, 'run')).flatMap((name) => readdirSync(join(top, 'run', name)));

test('rootless: run; inside one is root, outside one’s files are one’s own', () => {
  configure(['sh', '-c', 'id -u; cat /proc/self/uid_map; hostname; touch /tmp/made; echo $$; exit 6'], (spec) => { spec.root!.readonly = false; });
  const ran = runtime(['run', 'box']);
  assert.equal(ran.err, '');
  assert.match(ran.out, new RegExp(`^0\\n\\s+0\\s+${UID}\\s+1\\nnaru\\n1\\n$`));
  assert.equal(ran.status, 6);
  assert.equal(spawnSync('stat', ['-c', '%u', join(bundle, 'rootfs/tmp/made')], { encoding: 'utf8' }).stdout.trim(), String(UID));
  assert.deepEqual(left(), []);
});

test('rootless: create, start, exec, ps, kill, delete', () => {
  configure(['sh', '-c', 'sleep 61 & exec sleep 62']);
  assert.equal(runtime(['create', 'box'], 'ignore').status, 0);
  const state = (): { status: string; pid: number } => JSON.parse(ok('state', 'box')) as { status: string; pid: number };
  assert.equal(state().status, 'created');
  ok('start', 'box');
  assert.equal(state().status, 'running');
  const inside = runtime(['exec', 'box', 'sh', '-c', 'id -u; ps | wc -l; exit 4']);
  assert.deepEqual([inside.status, inside.out.split('\n')[0], inside.err], [4, '0', '']);
  const pids = JSON.parse(ok('ps', '-f', 'json', 'box')) as number[];
  assert.ok(pids.includes(state().pid) && pids.length === 2, String(pids));
  assert.match(runtime(['pause', 'box']).err, /pause: container box has no cgroup of its own/);
  assert.match(runtime(['events', '--stats', 'box']).err, /events: container box has no cgroup of its own/);
  ok('kill', '--all', 'box', 'KILL');
  const end = Date.now() + 10_000;
  while (state().status !== 'stopped') assert.ok(Date.now() < end, 'it does not end');
  ok('delete', 'box');
  assert.deepEqual(left(), []);
});

test('rootless: delete --force ends everything', () => {
  configure(['sh', '-c', 'sleep 63 & exec sleep 64']);
  assert.equal(runtime(['run', '-d', 'box'], 'ignore').status, 0);
  const pids = JSON.parse(ok('ps', '-f', 'json', 'box')) as number[];
  ok('delete', '--force', 'box');
  for (const pid of pids) assert.doesNotMatch(spawnSync('cat', [`/proc/${pid}/cmdline`], { encoding: 'utf8' }).stdout, /sleep/);
  assert.deepEqual(left(), []);
});

test('rootless: what needs rights is refused by its pointer, and nothing is left', () => {
  for (const [change, message] of [
    [(spec: OciSpec) => { spec.linux!.resources = { memory: { limit: 1 << 26 } }; }, /memory/],
    [(spec: OciSpec) => { spec.linux!.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }]; }, /\/linux\/uidMappings: without rights .* hostID 12345/],
    [(spec: OciSpec) => { spec.linux!.gidMappings = [{ containerID: 0, hostID: UID, size: 2 }]; }, /\/linux\/gidMappings: /],
    [(spec: OciSpec) => { spec.process!.user.additionalGids = [5]; }, /\/process\/user\/additionalGids: /],
  ] as const) {
    configure(['true'], change);
    const ran = runtime(['run', 'box']);
    assert.equal(ran.status, 1);
    assert.match(ran.err, message);
    assert.deepEqual(left(), []);
  }
});

test('rootless: nothing of the machine is within reach of its root', () => {
  configure(['sh', '-c', 'cat /proc/1/root/etc/debian_version; echo 0 >/proc/sys/kernel/hostname_x; mknod /tmp/null c 1 3; mount -t tmpfs x /tmp && echo mounted; chown 1 /tmp'], (spec) => {
    spec.process!.capabilities = Object.fromEntries(['bounding', 'permitted', 'effective'].map((set) => [set, ['CAP_SYS_ADMIN', 'CAP_MKNOD', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE']]));
    delete spec.linux!.seccomp;
    spec.root!.readonly = false;
  });
  const ran = runtime(['run', 'box']);
  assert.doesNotMatch(ran.out, /^\d/m);
  assert.match(ran.err, /mknod: .*not permitted/);
  assert.match(ran.err, /chown: .*Invalid argument/);
  assert.deepEqual(left(), []);
});
