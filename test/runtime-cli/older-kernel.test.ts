import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test as register } from 'node:test';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { type Bundle, NARU, RuntimeBundles } from '../support/runtime-bundles.ts';

/** The runtime where system calls are missing, as on older kernels and under other programs' filters: it does without, or says which. */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.left(), []));
after(() => b.destroy());

/** On emulated processors only what depends on the kernel's cgroups. */
const IN_GUEST = /^without (clone3|cgroup\.kill)/;
function test(name: string, work: () => void): void {
  if (process.env['NARU_TEST_SLOW'] === undefined || IN_GUEST.test(name)) register(name, work);
}

const without = (calls: string): string[] => [process.execPath, join(import.meta.dirname, '../support/without-calls.ts'), calls, NARU, 'runtime', '--root', b.root];
interface Ran { readonly status: number | null; readonly out: string; readonly err: string }
function runtime(calls: string, words: readonly string[], stdio: 'pipe' | 'ignore' = 'pipe'): Ran {
  const [program, ...args] = [...without(calls), ...words] as [string, ...string[]];
  const ran = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', stdio, stdio], timeout: 100_000 });
  return { status: ran.status, out: ran.stdout ?? '', err: ran.stderr ?? '' };
}
const run = (calls: string, { id, path }: Bundle): Ran => runtime(calls, ['run', '-b', path, id]);
const refused = (calls: string, bundle: Bundle, sentence: RegExp): void => {
  const { status, out, err } = run(calls, bundle);
  assert.deepEqual([status, out], [1, ''], err);
  assert.match(err, sentence);
  assert.equal(err.trim().split('\n').length, 1, err);
};
const host = (name: string): string => {
  const path = join(b.top, name);
  mkdirSync(path);
  writeFileSync(join(path, 'file'), 'x');
  return path;
};
const bind = (source: string, options: string[], more: object = {}) => (spec: OciSpec): void => { spec.mounts!.push({ destination: '/bound', source, options, ...more }); };

test('without mount_setattr (before 5.12): attributes and propagation come once a mount is attached', () => {
  const source = host('older');
  const script = 'touch /bound/escaped 2>/dev/null && echo wrote; touch /new 2>/dev/null && echo wrote root; (echo 1 > /proc/sys/kernel/panic) 2>/dev/null && echo wrote sys; '
    + 'mkdir /sys/fs/cgroup/*/mine 2>/dev/null && echo made; grep -E " (/|/bound|/proc/sys|/sys/fs/cgroup) " /proc/self/mountinfo | while read -r _ _ _ _ at options tags; do echo "$at ${options%%,*} $tags"; done; cat /bound/file';
  const bundle = b.bundle(script, (spec) => {
    bind(source, ['bind', 'ro', 'nosuid', 'nodev', 'noexec', 'noatime'])(spec);
    spec.root!.readonly = true;
    spec.linux!.rootfsPropagation = 'private';
  });
  const { status, out, err } = run('mount_setattr', bundle);
  assert.deepEqual([status, err], [0, '']);
  assert.doesNotMatch(out, /wrote|made/);
  assert.match(out, /^\/ ro /m);
  assert.match(out, /^\/bound ro /m);
  assert.match(out, /^\/proc\/sys ro /m);
  assert.doesNotMatch(out, /shared:/, 'what is mounted inside would appear on the host');
  assert.match(out, /x$/);
  assert.ok(!existsSync(join(source, 'escaped')));
});

test('without mount_setattr: what cannot be had in another way is refused, by its field', () => {
  const source = host('recursive');
  refused('mount_setattr', b.bundle('true', bind(source, ['rbind', 'rro'])), /\/mounts\/7\/options: .*the kernel, or a filter of system calls around naru, has no mount_setattr \(Linux 5\.12\)/);
  const mapped = { uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }], gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }] };
  refused('mount_setattr', b.bundle('true', bind(source, ['bind'], mapped)), /\/mounts\/7\S*: .* has no mount_setattr \(Linux 5\.12\)/);
});

test('without clone3: the child is put into its group before it goes on; a time namespace can be had', () => {
  const bundle = b.bundle('cat /proc/self/cgroup; cat /proc/1/comm', (spec) => { spec.linux!.namespaces = spec.linux!.namespaces!.filter(({ type }) => type !== 'cgroup'); });
  const { out, err, status } = run('clone3', bundle);
  assert.deepEqual([status, err], [0, '']);
  const groups = out.trim().split('\n').slice(0, -1);
  assert.ok(groups.some((line) => line.startsWith('0::')), out);
  for (const line of groups) assert.ok(line.endsWith(`${b.parent}/${bundle.id}`), line);
  const later = b.bundle('grep boottime /proc/self/timens_offsets', (spec) => { spec.linux!.namespaces!.push({ type: 'time' }); spec.linux!.timeOffsets = { boottime: { secs: 5, nanosecs: 0 } }; });
  assert.match(run('clone3', later).out, /^boottime\s+5\s+0$/m);
});

test('without openat2, or the mount calls: refused in one sentence, and nothing is left', () => {
  refused('openat2', b.bundle('true'), /has no openat2 \(Linux 5\.6\)/);
  refused('fsopen,fsmount', b.bundle('true'), /has no fsopen \(Linux 5\.2\)/);
  refused('open_tree', b.bundle('true'), /\/root: .* has no open_tree \(Linux 5\.2\)/);
});

test('without close_range: no descriptor of the caller reaches the program', () => {
  const { out, err } = run('close_range', b.bundle('ls /proc/self/fd | tr "\\n" " "'));
  assert.equal(out.trim(), '0 1 2 3', err);
});

test('without pidfds: a container runs; who would have to signal a number says so and leaves it alone', () => {
  assert.equal(run('pidfd_open,pidfd_send_signal', b.bundle('exit 3')).status, 3);
  const box = b.bundle(['sleep', '100']);
  assert.equal(runtime('pidfd_open', ['run', '-d', '-b', box.path, box.id], 'ignore').status, 0);
  for (const words of [['kill', box.id, 'TERM'], ['exec', box.id, 'true']] as const) {
    const { status, err } = runtime('pidfd_open', words);
    assert.notEqual(status, 0, words[0]);
    assert.match(err, /pidfd_open/, words[0]);
  }
  assert.equal(b.state(box.id).status, 'running');
  b.ok('delete', '--force', box.id);
});

test('without cgroup.kill (before 5.14): all of a container ends all the same', () => {
  const box = b.bundle('for i in 1 2 3 4 5; do sleep 100 & done; sleep 100', (spec) => { spec.linux!.namespaces = spec.linux!.namespaces!.filter(({ type }) => type !== 'pid'); });
  assert.equal(b.background('run', '-d', '-b', box.path, box.id), 0);
  const file = b.groups(box.id).map((group) => `${group}/cgroup.kill`).find((path) => existsSync(path)) ?? '';
  assert.ok(file !== '', 'no group has the file');
  // In a mount namespace where the file takes the word and does nothing.
  const ran = spawnSync('unshare', ['-m', 'sh', '-c', `mount --bind /dev/null ${file} && exec "$@"`, 'sh', ...b.command('delete', '--force', box.id)], { encoding: 'utf8' });
  assert.deepEqual([ran.status, ran.stderr], [0, '']);
});
