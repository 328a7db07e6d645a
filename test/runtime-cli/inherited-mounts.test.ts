import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { mountsOf } from '../support/host-mounts.ts';
import { type Bundle, NARU, RuntimeBundles, until } from '../support/runtime-bundles.ts';

/**
 * Containers without a mount namespace: their mounts are made where the runtime runs. That is a namespace of the test's own here, shared with
 * a second one, as the host's mounts are shared with other containers. After `delete` both are what they were.
 */
const holders: ChildProcess[] = [];
let bundles: RuntimeBundles;
let here = 0, peer = 0;

async function hold(words: readonly string[]): Promise<number> {
  const child = spawn(words[0]!, words.slice(1), { stdio: 'ignore' });
  holders.push(child);
  const before = readlinkSync('/proc/self/ns/mnt');
  assert.ok(await until(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n' && readlinkSync(`/proc/${child.pid}/ns/mnt`) !== before), words.join(' '));
  return child.pid!;
}

before(async () => {
  const top = mkdtempSync(join(tmpdir(), 'naru-inherited.'));
  const shared = join(top, 'shared');
  mkdirSync(shared);
  here = await hold(['unshare', '-m', '--propagation', 'private', 'sh', '-ec',
    `mount --bind ${top} ${top}; mount --make-shared ${top}; mount -t tmpfs shared ${shared}; mkdir ${shared}/below ${shared}/over; mount -t tmpfs below ${shared}/below; echo kept > ${shared}/below/file; exec sleep 600`]);
  peer = await hold(['nsenter', '-t', String(here), '-m', '--', 'unshare', '-m', '--propagation', 'unchanged', 'sleep', '600']);
  bundles = new RuntimeBundles(['nsenter', '-t', String(here), '-m', '--', NARU, 'runtime'], top);
});
after(() => {
  bundles?.destroy();
  for (const holder of holders) holder.kill('SIGKILL');
});

const mounts = (pid: number): string[] => mountsOf(pid, bundles.top);
const inside = (spec: OciSpec): void => {
  spec.linux!.namespaces = spec.linux!.namespaces!.filter(({ type }) => type !== 'mount');
  delete spec.linux!.maskedPaths;
  delete spec.linux!.readonlyPaths;
};
/** A bundle whose rootfs holds a file that must outlive it. */
function inherited(args: string | readonly string[], change?: (spec: OciSpec) => void): Bundle {
  const bundle = bundles.bundle(args, (spec) => (inside(spec), change?.(spec)));
  writeFileSync(join(bundle.rootfs, 'etc/precious'), bundle.id);
  return bundle;
}
const kept = ({ id, rootfs }: Bundle): void => assert.equal(readFileSync(join(rootfs, 'etc/precious'), 'utf8'), id);

test('it runs in its rootfs, with all of its mounts, and leaves none', async () => {
  const [ours, theirs] = [mounts(here), mounts(peer)];
  const bundle = inherited(['sh', '-c', 'cat /etc/precious /data/below/file; readlink /proc/self/ns/mnt; touch /data/over/mine; mount -t tmpfs own /data/below && echo done; sleep 60'], (spec) => {
    spec.root!.readonly = true;
    const { capabilities } = spec.process!;
    spec.process!.capabilities = Object.fromEntries(['bounding', 'effective', 'permitted'].map((set) => [set, [...capabilities?.bounding ?? [], 'CAP_SYS_ADMIN']]));
    delete spec.linux!.seccomp;
    spec.mounts!.push({ destination: '/data', source: join(bundles.top, 'shared'), type: 'none', options: ['rbind', 'rw'] }, { destination: '/data/over', type: 'tmpfs', source: 'tmpfs' });
  });
  mkdirSync(join(bundle.rootfs, 'data'));
  const out = join(bundle.path, 'out');
  assert.equal(bundles.run(['run', '-d', '-b', bundle.path, bundle.id], { stdio: ['ignore', openSync(out, 'w'), 'inherit'] }).status, 0);
  assert.ok(await until(() => readFileSync(out, 'utf8').endsWith('done\n')), readFileSync(out, 'utf8'));
  assert.equal(readFileSync(out, 'utf8'), `${bundle.id}kept\n${readlinkSync(`/proc/${here}/ns/mnt`)}\ndone\n`);
  // All of it below one directory of ours, and elsewhere no more than the empty file system under it.
  const added = mounts(here).filter((line) => !ours.includes(line));
  assert.ok(added.length > 8 && added.every((line) => line.includes(`${bundles.root}/${bundle.id}/tree`)), added.join('\n'));
  assert.deepEqual(mounts(peer).filter((line) => !theirs.includes(line)), [`/ ${bundles.root}/${bundle.id}/tree`]);
  const { out: seen } = bundles.run(['exec', bundle.id, 'sh', '-c', 'cat /etc/precious; ls -d /data/over/mine; pwd; touch /etc/x']);
  assert.equal(seen, `${bundle.id}/data/over/mine\n/\n`);
  assert.match(bundles.run(['checkpoint', bundle.id]).err, /\/linux\/namespaces: a container without a mount namespace cannot be checkpointed/);
  // What somebody binds there from the host meanwhile goes, but not where it came from.
  assert.equal(spawnSync('nsenter', ['-t', String(here), '-m', '--', 'mount', '--rbind', join(bundles.top, 'shared'), `${bundles.root}/${bundle.id}/tree/tmp`]).status, 0);
  bundles.ok('delete', '--force', bundle.id);
  assert.deepEqual([mounts(here), mounts(peer)], [ours, theirs]);
  assert.equal(existsSync(join(bundles.root, bundle.id)), false);
  kept(bundle);
});

test('run to its end, and a start that fails, leave nothing either', () => {
  const [ours, theirs] = [mounts(here), mounts(peer)];
  const [good, bad] = [inherited(['sh', '-c', 'cat /etc/precious; exit 3']), inherited(['/nonexistent'])];
  assert.deepEqual(bundles.run(['run', '-b', good.path, good.id]), { status: 3, out: good.id, err: '' });
  assert.match(bundles.run(['run', '-b', bad.path, bad.id]).err, /nonexistent/);
  assert.deepEqual([mounts(here), mounts(peer), readdirSync(bundles.root)], [ours, theirs, []]);
  [good, bad].forEach(kept);
});

test('killed at any step of it, delete takes its mounts and nothing else', async () => {
  const [ours, theirs] = [mounts(here), mounts(peer)];
  let kills = 0;
  // What the helper does (every other of its steps), then what the command line does.
  for (const [verb, calls, steps] of [['create', 'mkdir,open_tree,mount_setattr,move_mount,fsmount,chroot', [1, 3, 5, 6, 7, 9, 11, 14]], ['delete', 'mount,umount2,rmdir,rename,renameat,unlinkat', [1, 2, 3, 4, 5]]] as const) {
    for (const step of steps) {
      const bundle = inherited(['sleep', '60'], (spec) => spec.mounts!.push({ destination: '/data', source: join(bundles.top, 'shared'), type: 'none', options: ['rbind'] }));
      mkdirSync(join(bundle.rootfs, 'data'));
      if (verb === 'delete') assert.equal(bundles.background('create', '-b', bundle.path, bundle.id), 0);
      const log = join(bundle.path, 'strace');
      const words = verb === 'create' ? ['create', '-b', bundle.path, bundle.id] : ['delete', '--force', bundle.id];
      const ran = spawnSync('strace', ['-D', '-f', '-qq', '-o', log, '-e', `trace=${calls}`, '-e', `inject=${calls}:signal=KILL:when=${step}`, ...bundles.command(...words)], { stdio: 'ignore', timeout: 15_000, killSignal: 'SIGKILL' });
      if (ran.signal !== null || await until(() => /killed by SIGKILL/.test(readFileSync(log, 'utf8')), 300)) kills++;
      bundles.ok('delete', '--force', bundle.id);
      const settled = await until(() => JSON.stringify([mounts(here), mounts(peer)]) === JSON.stringify([ours, theirs]), 3000);
      if (!settled) assert.deepEqual([mounts(here), mounts(peer)], [ours, theirs], `${verb}, step ${step}`);
      kept(bundle);
    }
  }
  assert.ok(kills > 8, `${kills} kills`);
  console.log(`${kills} kills`);
});
