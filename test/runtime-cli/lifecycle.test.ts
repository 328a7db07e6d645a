import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

const naru = join(import.meta.dirname, '../../dist/naru');
const top = mkdtempSync(join(tmpdir(), 'naru-runtime-cli.'));
const parent = `/naru-cli-test-${process.pid}`;
let count = 0;
after(() => {
  for (const { mountPoint } of detectCgroups().hierarchies) spawnSync('rmdir', [mountPoint + parent]);
  rmSync(top, { recursive: true, force: true });
});

/** A bundle with busybox and `args`. */
function bundle(args: string[], change?: (spec: OciSpec) => void): { id: string; path: string } {
  const id = `c${count++}`;
  const path = join(top, id);
  mkdirSync(join(path, 'rootfs/bin'), { recursive: true });
  for (const name of ['proc', 'dev', 'sys', 'tmp']) mkdirSync(join(path, 'rootfs', name));
  copyFileSync('/usr/bin/busybox', join(path, 'rootfs/bin/busybox'));
  for (const name of ['sh', 'true', 'sleep', 'id', 'cat']) symlinkSync('busybox', join(path, 'rootfs/bin', name));
  const spec = defaultSpec();
  spec.process!.args = args;
  spec.linux!.cgroupsPath = `${parent}/${id}`;
  change?.(spec);
  writeFileSync(join(path, 'config.json'), JSON.stringify(spec));
  return { id, path };
}

function runtime(...args: string[]): { status: number | null; out: string; err: string } {
  const ran = spawnSync(naru, ['runtime', '--root', join(top, 'root'), ...args], { encoding: 'utf8', timeout: 20_000 });
  return { status: ran.status, out: ran.stdout, err: ran.stderr };
}
/** For commands whose container keeps the streams that it was given. */
const background = (...args: string[]): number | null =>
  spawnSync(naru, ['runtime', '--root', join(top, 'root'), ...args], { stdio: 'ignore', timeout: 20_000 }).status;
const statusOf = (id: string): string => (JSON.parse(runtime('state', id).out) as { status: string }).status;
const leftGroups = (id: string): string[] => detectCgroups().hierarchies.map((h) => `${h.mountPoint}${parent}/${id}`).filter((path) => existsSync(path));

test('run: its output, its exit status, and nothing left', () => {
  const { id, path } = bundle(['sh', '-c', 'echo $((6*7)); exit 7']);
  assert.deepEqual(runtime('run', '-b', path, id), { status: 7, out: '42\n', err: '' });
  assert.deepEqual(readdirSync(join(top, 'root')), []);
  assert.deepEqual(leftGroups(id), []);
});

test('create, start, kill, delete: the state is the kernel\'s at every step', () => {
  const { id, path } = bundle(['sleep', '60']);
  const pidFile = join(path, 'pid');
  assert.equal(background('create', '--bundle', path, '--pid-file', pidFile, id), 0);
  const pid = readFileSync(pidFile, 'utf8');
  assert.equal(statusOf(id), 'created');
  assert.equal((JSON.parse(runtime('state', id).out) as { pid: number }).pid, Number(pid));
  assert.equal(runtime('start', id).status, 0);
  assert.equal(statusOf(id), 'running');
  assert.match(runtime('start', id).err, /cannot start an already running container/);
  assert.match(runtime('delete', id).err, /cannot delete container .* that is not stopped: running/);
  assert.equal(runtime('kill', id, 'KILL').status, 0);
  // Not reaped by anybody in time, perhaps: dead all the same.
  for (let i = 0; i < 50 && statusOf(id) !== 'stopped'; i++) spawnSync('sleep', ['0.02']);
  assert.equal(statusOf(id), 'stopped');
  assert.match(runtime('kill', id, 'KILL').err, /container not running/);
  assert.equal(runtime('delete', id).status, 0);
  assert.match(runtime('state', id).err, /container does not exist/);
  assert.deepEqual(leftGroups(id), []);
});

test('exec: streams, exit status, user, environment; pause and resume; update', () => {
  const { id, path } = bundle(['sleep', '60']);
  assert.equal(background('run', '-d', '-b', path, id), 0);
  assert.deepEqual(runtime('exec', '-u', '5:6', '-e', 'A=b', id, 'sh', '-c', 'id -u; id -g; echo $A; exit 4'), { status: 4, out: '5\n6\nb\n', err: '' });
  assert.equal(runtime('pause', id).status, 0);
  assert.equal(statusOf(id), 'paused');
  assert.match(runtime('exec', id, 'true').err, /paused container/);
  assert.equal(runtime('resume', id).status, 0);
  assert.equal(runtime('update', '--pids-limit', '20', id).status, 0);
  assert.equal((JSON.parse(runtime('events', '--stats', id).out) as { data: { pids: { limit: number } } }).data.pids.limit, 20);
  assert.equal((JSON.parse(runtime('ps', '-f', 'json', id).out) as number[]).length, 1);
  assert.equal(runtime('delete', '--force', id).status, 0);
  assert.deepEqual(leftGroups(id), []);
});

test('what cannot run is told at create, and leaves nothing', () => {
  const { id, path } = bundle(['nosuch']);
  const ran = runtime('create', '-b', path, id);
  assert.equal(ran.status, 1);
  assert.match(ran.err, /exec: "nosuch": executable file not found in \$PATH/);
  assert.deepEqual(readdirSync(join(top, 'root')), []);
  assert.deepEqual(leftGroups(id), []);
});

test('bad input: the pointer of the field, status 1, nothing left', () => {
  const log = join(top, 'log.json');
  for (const [change, pointer] of [
    [(s: OciSpec) => { s.ociVersion = '7'; }, '/ociVersion'], [(s: OciSpec) => { s.process!.cwd = 'x'; }, '/process/cwd'],
    [(s: OciSpec) => { s.root!.path = 'nowhere'; }, '/root/path'], [(s: OciSpec) => { s.linux!.cgroupsPath = '/a/../b'; }, '/linux/cgroupsPath'],
  ] as const) {
    const { id, path } = bundle(['true'], change);
    const ran = runtime('--log', log, '--log-format', 'json', 'create', '-b', path, id);
    assert.equal(ran.status, 1);
    const entry = JSON.parse(readFileSync(log, 'utf8').trimEnd().split('\n').at(-1)!) as { level: string; msg: string; time: string };
    assert.equal(entry.level, 'error');
    assert.ok(entry.msg.includes(`${pointer}: `), entry.msg);
    assert.ok(!Number.isNaN(Date.parse(entry.time)));
  }
  assert.deepEqual(readdirSync(join(top, 'root')), []);
});

test('an id leads nowhere else; --force on nothing is no error', () => {
  const { path } = bundle(['true']);
  for (const id of ['../x', 'a/b', '..', '.', 'a b', '']) assert.equal(runtime('create', '-b', path, id).status, 1, id);
  assert.equal(runtime('delete', 'none').status, 1);
  assert.equal(runtime('delete', '--force', 'none').status, 0);
});

test('what a creator left that was killed before it had a container is removed; what is being made stays', () => {
  const [old, young, live] = ['.new-999999999-aaaaaa', '.new-999999999-bbbbbb', `.new-${process.pid}-cccccc`].map((name) => join(top, 'root', name)) as [string, string, string];
  for (const path of [old, young, live]) mkdirSync(path, { recursive: true });
  for (const path of [old, live]) utimesSync(path, 1, 1);
  for (const command of [['list', '-q'], ['delete', '--force', 'nonesuch']]) {
    mkdirSync(old, { recursive: true });
    utimesSync(old, 1, 1);
    assert.deepEqual(runtime(...command), { status: 0, out: '', err: '' });
    assert.deepEqual([old, young, live].map((path) => existsSync(path)), [false, true, true]);
  }
  for (const path of [young, live]) rmSync(path, { recursive: true });
});
