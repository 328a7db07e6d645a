import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { CRIU, OPTION } from '#runtime/criu/criu-request.ts';
import { type Bundle, RuntimeBundles, type Said } from '../support/runtime-bundles.ts';

/** What checkpoint and restore ask of criu, told by a criu that writes it down: the numbers are those of its rpc.proto. */
const b = new RuntimeBundles();
afterEach(() => assert.deepEqual(b.left(), []));
after(() => b.destroy());

const record = join(b.top, 'asked');
const criu = join(b.top, 'criu');
writeFileSync(criu, `#!/bin/sh\nexec ${process.execPath} ${join(import.meta.dirname, '../support/fake-criu.ts')} ${record} "$@"\n`);
chmodSync(criu, 0o755);

interface Asked { readonly args: string[]; readonly type: number; readonly options: [number, number | string][]; readonly handed: [number, string][]; readonly cgroup: string; readonly root: string }
function asked(said: Said): Asked {
  assert.deepEqual([said.status, said.err], [0, '']);
  const found = JSON.parse(readFileSync(record, 'utf8')) as Asked;
  rmSync(record);
  return found;
}
const all = ({ options }: Asked, option: number): (number | string)[] => options.filter(([field]) => field === option).map(([, value]) => value);
const one = (found: Asked, option: number): number | string | undefined => {
  const values = all(found, option);
  assert.ok(values.length <= 1, `option ${option} ${values.length} times`);
  return values[0];
};

function running(): Bundle {
  const bundle = b.bundle(['sleep', '100']);
  assert.equal(b.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  return bundle;
}
const image = ({ path }: Bundle): string => join(path, 'image');
const checkpoint = (box: Bundle, ...words: string[]): Asked => asked(b.run(['--criu', criu, 'checkpoint', '--leave-running', '--image-path', image(box), ...words, box.id]));

test('checkpoint: what every one says', () => {
  const box = running();
  const found = checkpoint(box, '--work-path', join(box.path, 'work'));
  assert.deepEqual(found.args, ['swrk', '3']);
  assert.equal(found.type, CRIU.dump);
  assert.equal(one(found, OPTION.imagesDirFd), image(box));
  assert.equal(one(found, OPTION.workDirFd), join(box.path, 'work'));
  assert.equal(one(found, OPTION.pid), b.state(box.id).pid);
  assert.equal(one(found, OPTION.root), box.rootfs);
  assert.equal(one(found, OPTION.leaveRunning), 1);
  assert.equal(one(found, OPTION.logFile), 'dump.log');
  assert.equal(one(found, OPTION.manageCgroupsMode), 3);
  assert.ok(String(one(found, OPTION.freezeCgroup)).endsWith(`${b.parent}/${box.id}`));
  // Nothing that was not asked for.
  for (const flag of ['tcpEstablished', 'extUnixSk', 'shellJob', 'fileLocks', 'linkRemap', 'autoDedup', 'lazyPages'] as const) assert.equal(one(found, OPTION[flag]), 0, flag);
  for (const option of [OPTION.parentImg, OPTION.trackMem, OPTION.pageServer, OPTION.emptyNs, OPTION.statusFd]) assert.deepEqual(all(found, option), []);
  assert.ok(b.run(['--criu', criu, 'checkpoint', '--image-path', image(box), box.id]).status === 0);
  assert.match(b.run(['state', box.id]).err, /container does not exist/, 'without --leave-running it ends');
});

test('checkpoint: each flag is its option', () => {
  const box = running();
  for (const [flag, option] of [['tcp-established', OPTION.tcpEstablished], ['ext-unix-sk', OPTION.extUnixSk], ['shell-job', OPTION.shellJob], ['file-locks', OPTION.fileLocks],
    ['link-remap', OPTION.linkRemap], ['auto-dedup', OPTION.autoDedup], ['lazy-pages', OPTION.lazyPages], ['tcp-skip-in-flight', OPTION.tcpSkipInFlight]] as const) {
    assert.equal(one(checkpoint(box, `--${flag}`), option), 1, flag);
  }
  const rest = checkpoint(box, '--manage-cgroups-mode', 'strict', '--empty-ns', 'network', '--page-server', '127.0.0.1:2734');
  assert.equal(one(rest, OPTION.manageCgroupsMode), 5);
  assert.equal(one(rest, OPTION.emptyNs), 0x40000000);
  assert.equal(one(rest, OPTION.pageServer), '\n\t127.0.0.1\x10\xae\x15');
  for (const [word, mode] of [['soft', 3], ['full', 4], ['ignore', 0]] as const) assert.equal(one(checkpoint(box, '--manage-cgroups-mode', word), OPTION.manageCgroupsMode), mode, word);
  const [program, ...words] = b.command('--criu', criu, 'checkpoint', '--leave-running', '--image-path', image(box), '--status-fd', '9', box.id) as [string, ...string[]];
  const told = asked((({ status, stderr }): Said => ({ status, out: '', err: stderr }))(spawnSync('bash', ['-c', `exec 9>${join(box.path, 'status')}; exec "$@"`, 'bash', program, ...words], { encoding: 'utf8' })));
  const fd = one(told, OPTION.statusFd);
  assert.equal(told.handed.find(([number]) => number === fd)?.[1], join(box.path, 'status'), 'the descriptor that it is told of is the caller’s 9');
  b.ok('delete', '--force', box.id);
});

test('checkpoint: pages before the rest, and what came before', () => {
  const box = running();
  const before = asked(b.run(['--criu', criu, 'checkpoint', '--pre-dump', '--image-path', join(box.path, 'first'), box.id]));
  assert.deepEqual([before.type, one(before, OPTION.trackMem)], [CRIU.preDump, 1]);
  assert.equal(b.state(box.id).status, 'running');
  const last = checkpoint(box, '--parent-path', '../first');
  assert.deepEqual([last.type, one(last, OPTION.parentImg), one(last, OPTION.trackMem)], [CRIU.dump, '../first', 1]);
  assert.match(b.run(['--criu', criu, 'checkpoint', '--image-path', image(box), '--parent-path', '/abs', box.id]).err, /--parent-path: must be relative/);
  b.ok('delete', '--force', box.id);
});

test('restore: its options; criu begins in the container’s groups; what it makes is the container', () => {
  const hooked = join(b.top, 'hooked');
  const box = b.bundle(['sleep', '100'], (spec) => {
    spec.mounts!.push({ destination: '/from', source: '/etc', options: ['bind', 'ro'] });
    spec.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', `cat > ${hooked}`] }] };
  });
  assert.equal(b.background('run', '-d', '-b', box.path, box.id), 0);
  asked(b.run(['--criu', criu, 'checkpoint', '--image-path', image(box), box.id]));
  const restore = (...words: string[]): Asked => asked(b.run(['--criu', criu, 'restore', '-d', '-b', box.path, '--image-path', image(box), ...words, box.id]));
  const found = restore('--tcp-established', '--no-subreaper', '--lsm-profile', 'apparmor:x', '--lsm-mount-context', 'system_u:object_r:x', '--pid-file', join(box.path, 'pid'));
  assert.equal(found.type, CRIU.restore);
  assert.deepEqual([OPTION.rstSibling, OPTION.tcpEstablished, OPTION.lsmProfile, OPTION.lsmMountContext].map((option) => one(found, option)), [1, 1, 'apparmor:x', 'system_u:object_r:x']);
  assert.equal(one(found, OPTION.root), join(b.root, box.id, 'criu-root'));
  assert.ok(all(found, OPTION.extMnt).includes('\n\x05/from\x12\x04/etc'), 'the bind mount comes from where this bundle says');
  for (const line of found.cgroup.trim().split('\n')) assert.ok(line.endsWith(`${b.parent}/${box.id}`), line);
  assert.equal(all(found, OPTION.cgRoot).length, found.cgroup.trim().split('\n').length);
  const { status, pid } = b.state(box.id);
  assert.equal(status, 'running');
  assert.equal(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1], 'sleep');
  assert.equal(Number(readFileSync(join(box.path, 'pid'), 'utf8')), pid);
  assert.equal((JSON.parse(readFileSync(hooked, 'utf8')) as { pid: number }).pid, pid);
  b.ok('delete', '--force', box.id);
  // criu pivots by itself, which needs a "/" that has a parent; a ramdisk has none.
  const log = join(b.top, 'strace');
  const traced = spawnSync('strace', ['-qq', '-o', log, '-e', 'trace=mount,chroot', ...b.command('--criu', criu, 'restore', '-d', '--no-pivot', '-b', box.path, '--image-path', image(box), box.id)], { encoding: 'utf8' });
  const onTop = asked({ status: traced.status, out: '', err: traced.stderr });
  assert.match(readFileSync(log, 'utf8'), /mount\("\/", "\/", NULL, MS_BIND\|MS_REC, NULL\) = 0\nchroot\("\."\) += 0/);
  assert.equal(onTop.root.split(' ')[3], '/');
  b.ok('delete', '--force', box.id);
});

test('restore: what fails leaves nothing', () => {
  const box = running();
  asked(b.run(['--criu', criu, 'checkpoint', '--image-path', image(box), box.id]));
  const broken = join(b.top, 'broken');
  writeFileSync(broken, '#!/bin/sh\nexit 3\n');
  chmodSync(broken, 0o755);
  const restore = (...words: string[]): Said => b.run(['--criu', broken, 'restore', '-d', '-b', box.path, '--image-path', image(box), ...words, box.id]);
  assert.match(restore().err, /criu failed: /);
  assert.deepEqual(b.left(), []);
  assert.match(restore('--console-socket', join(b.top, 'nowhere')).err, /--console-socket .*nowhere: /);
  assert.deepEqual(b.left(), []);
  assert.equal(b.background('run', '-d', '-b', box.path, box.id), 0);
  assert.match(restore().err, /container with id "\w+" exists/);
  assert.equal(b.state(box.id).status, 'running', 'the one that has the id is not touched');
  b.ok('delete', '--force', box.id);
});
