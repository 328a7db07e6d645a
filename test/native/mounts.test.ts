import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodePlan } from '#runtime/plan/encode.ts';
import type { PlanOp } from '#runtime/plan/plan.ts';
import { sealedMemfd, socketpair } from '#sys/descriptors.ts';
import { O_DIRECTORY, O_PATH } from '#sys/numbers.ts';
import {
  EINVAL, ENOENT, MSG, SLOT, Scratch, Spawner, child, clone, container, exec, exit, failure, helper, logText, prepare, type Message,
} from './harness.ts';

const ENOTDIR = 20, EISDIR = 21;

/** Run a script in a container whose tree was prepared; `inside` runs before pivot_root. */
async function inside(scratch: Scratch, root: string, ops: PlanOp[], script: string): Promise<{ out: string; code: number; failed?: Message }> {
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    ...container(scratch, { root, inside: ops }), exec(['/bin/sh', '-c', script]),
  ]);
  const code = exit(await shim.expect(MSG.EXITED)).code;
  return { out: logText(scratch.read('log')) + logText(scratch.read('log'), 2), code };
}

async function fails(scratch: Scratch, root: string, ops: PlanOp[]): Promise<number> {
  using spawner = new Spawner();
  const shim = await spawner.spawn([...container(scratch, { root, inside: ops }), exec(['/bin/true'])]);
  return failure(await shim.expect(MSG.FAILED)).errno;
}

const target = (path: string, kind: number, mode = 0o755): PlanOp => child('target', { root: SLOT.ROOT, path, kind, like: -1, mode });
const devnull = child('open', { slot: SLOT.NULL, at: SLOT.ROOT, path: 'dev/null', flags: O_PATH, mode: 0, resolve: 16 });

test('target makes directories, files and their parents, and leaves what is there alone', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  writeFileSync(`${root}/etc/file`, 'kept');
  const { out } = await inside(scratch, root, [
    target('a/b/c', 0, 0o700), target('x/y/file', 1, 0o640), target('etc/file', 1), target('etc', 0), target('/abs/../abs/./d', 0),
  ], 'ls -ld /a/b /a/b/c /x/y/file /abs/d | cut -c1-10; cat /etc/file');
  assert.equal(out.replaceAll(/sh: cut: not found\n/g, ''), out);
  assert.match(out, /kept$/);
});

test('target fails when the wrong kind is there', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  assert.equal(await fails(scratch, root, [target('bin/busybox', 0)]), ENOTDIR);
  assert.equal(await fails(scratch, root, [target('etc', 1)]), EISDIR);
  assert.equal(await fails(scratch, root, [target('bin/busybox/below', 0)]), ENOTDIR);
});

test('target: where only the last component is missing nobody walks; what stands in its way is walked round', () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  mkdirSync(`${root}/deep/deeper/deepest`, { recursive: true });
  symlinkSync('deep/deeper', `${root}/short`);
  symlinkSync('made-by-link', `${root}/dangling`);
  /** What the child looks up and makes for one target. */
  const calls = (...of: PlanOp[]): string[] => {
    const [mine, theirs] = socketpair('seqpacket');
    const plan = sealedMemfd('plan', encodePlan({ ops: [prepare('open', { slot: SLOT.ROOT, at: -1, path: root, flags: O_PATH | O_DIRECTORY, mode: 0, resolve: 0 }), clone(), ...of] }));
    spawnSync('strace', ['-f', '-qq', '-o', scratch.path('calls'), '-e', 'trace=openat2,mkdirat,openat', helper(), 'run'], { stdio: ['ignore', 'ignore', 'inherit', theirs, plan] });
    for (const fd of [mine, theirs, plan]) closeSync(fd);
    const lines = scratch.read('calls').toString().split('\n').map((line) => line.replace(/^\d+ +/, ''));
    return lines.slice(lines.findIndex((line) => line.includes(`"${root}"`)) + 1).map((line) => line.slice(0, line.indexOf('('))).filter((name) => name !== '');
  };
  assert.deepEqual(calls(target('deep/deeper/deepest/new', 0, 0o700)), ['openat2', 'openat2', 'mkdirat']);
  assert.equal(statSync(`${root}/deep/deeper/deepest/new`).mode, 0o40700);
  assert.deepEqual(calls(target('short/deepest/file', 1, 0o640)), ['openat2', 'openat2', 'openat'], 'through a link of the image');
  assert.equal(statSync(`${root}/deep/deeper/deepest/file`).mode, 0o100640);
  assert.deepEqual(calls(target('deep/deeper/deepest/new', 0)), ['openat2'], 'it is there');
  assert.ok(calls(target('dangling', 0)).length > 3, 'a link in its place leads on');
  assert.ok(statSync(`${root}/made-by-link`).isDirectory());
  assert.ok(calls(target('none/new', 0)).length > 3, 'two are missing');
  assert.ok(statSync(`${root}/none/new`).isDirectory());
});

test('symlinks in the image never lead out of it: /dev, ancestors, dangling, absolute, upwards', async () => {
  using scratch = new Scratch();
  using host = new Scratch();
  const root = scratch.busyboxRoot();
  rmSync(`${root}/dev`, { recursive: true });
  symlinkSync(host.dir, `${root}/dev`); // an absolute link to a directory of the host
  symlinkSync(`../../../../../../..${host.dir}`, `${root}/up`);
  symlinkSync(`${host.dir}/dangling`, `${root}/dangling`);
  symlinkSync('loop', `${root}/loop`);
  using spawner = new Spawner();
  const ops = container(scratch, {
    root, inside: [
      target('up/made', 0), target('dangling/made', 0), target('dangling-file', 1),
      child('mknod', { root: SLOT.ROOT, path: 'up/zero', mode: 0o20666, dev: 0x105, uid: 0, gid: 0 }),
      child('symlink', { root: SLOT.ROOT, path: 'up/link', to: '/x' }),
    ],
  });
  // /dev is that symlink: its target inside the image must be made, and takes the tmpfs.
  const at = ops.findIndex((o) => o.name === 'attach' && (o.args as { path: string }).path === 'dev');
  ops.splice(at, 0, target('dev', 0));
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    ...ops, exec(['/bin/sh', '-c', `ls -R ${host.dir}; echo x >/dev/null && ls -d /up/made`]),
  ]);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0, logText(scratch.read('log'), 2));
  assert.match(logText(scratch.read('log')), /dangling[^]*link[^]*made[^]*null[^]*zero[^]*\/up\/made\n/);
  assert.deepEqual(readdirSync(host.dir), [], 'the host was not touched');
  assert.equal(await fails(scratch, root, [target('loop/x', 0)]), 40);
});

test('mask: directories become empty, files become null, what is missing does not matter', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  for (const dir of ['secret', 'other']) {
    mkdirSync(`${root}/${dir}`);
    writeFileSync(`${root}/${dir}/key`, 'k');
  }
  writeFileSync(`${root}/etc/shadow`, 's');
  const mask = (path: string): PlanOp => child('mask', { root: SLOT.ROOT, path, devnull: SLOT.NULL });
  const { out, code } = await inside(scratch, root, [devnull, ...['secret', 'other', 'etc/shadow', 'proc/version', 'no/such'].map(mask)],
    'ls /secret /other; cat /etc/shadow; ls -l /proc/version; echo x >/secret/new; exit 0');
  assert.equal(code, 0);
  assert.doesNotMatch(out, /key/);
  assert.match(out, /1, *3 .*\/proc\/version/);
  assert.match(out, /can't create \/secret\/new: Read-only/);
});

test('mask refuses a null device that is none (CVE-2025-31133)', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  writeFileSync(`${root}/etc/shadow`, 's');
  const fake = child('open', { slot: SLOT.NULL, at: SLOT.ROOT, path: 'bin/busybox', flags: O_PATH, mode: 0, resolve: 16 });
  assert.equal(await fails(scratch, root, [fake, child('mask', { root: SLOT.ROOT, path: 'etc/shadow', devnull: SLOT.NULL })]), EINVAL);
});

test('readonly: a directory, below a mount, and nothing for a missing path', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  const { out } = await inside(scratch, root, [
    child('readonly', { root: SLOT.ROOT, path: 'proc/sys', recursive: 1 }), child('readonly', { root: SLOT.ROOT, path: 'etc', recursive: 0 }),
    child('readonly', { root: SLOT.ROOT, path: 'no/such', recursive: 0 }),
  ], 'echo x >/proc/sys/kernel/hostname; echo x >/etc/new; echo x >/tmp/ok && echo fine');
  assert.match(out, /hostname: Read-only/);
  assert.match(out, /\/etc\/new: Read-only/);
  assert.match(out, /fine/);
});

test('a bind mount of the host by open_tree, onto a file and a directory', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  mkdirSync(scratch.path('volume'));
  writeFileSync(scratch.path('volume/data'), 'from the host');
  const bind = (path: string, to: string, like = true): PlanOp[] => [
    child('open_tree', { slot: SLOT.MOUNT, at: -1, path, flags: 1 }),
    child('target', { root: SLOT.ROOT, path: to, kind: like ? 2 : 0, like: SLOT.MOUNT, mode: 0o755 }),
    child('mount_setattr', { slot: SLOT.MOUNT, flags: 0, set: 1, clear: 0, propagation: 0, userns: -1 }),
    child('attach', { slot: SLOT.MOUNT, root: SLOT.ROOT, path: to }),
  ];
  const { out } = await inside(scratch, root, [...bind(scratch.path('volume'), 'mnt/v'), ...bind(scratch.path('volume/data'), 'etc/data')],
    'cat /mnt/v/data /etc/data; echo x >/mnt/v/data; exit 0');
  assert.match(out, /^from the hostfrom the host.*Read-only/s);
});

test('copy_up and copy_mode fill a tmpfs from what it hides', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  mkdirSync(`${root}/data/sub/deep`, { recursive: true, mode: 0o711 });
  writeFileSync(`${root}/data/sub/file`, 'content\n', { mode: 0o4750 });
  symlinkSync('sub/file', `${root}/data/link`);
  const { out } = await inside(scratch, root, [
    child('fs_mount', { slot: SLOT.MOUNT, type: 'tmpfs', options: [], attr: 0 }),
    child('copy_up', { slot: SLOT.MOUNT, root: SLOT.ROOT, path: 'data' }),
    child('copy_mode', { slot: SLOT.MOUNT, root: SLOT.ROOT, path: 'data' }),
    child('attach', { slot: SLOT.MOUNT, root: SLOT.ROOT, path: 'data' }),
  ], 'cat /data/link; ls -ld /data /data/sub/file /data/sub/deep; echo x >/data/new');
  assert.match(out, /^content/);
  assert.match(out, /^drwx--x--x .* \/data$/m);
  assert.match(out, /^-rwsr-x--- .* \/data\/sub\/file$/m);
  assert.throws(() => statSync(scratch.path('up/data/new')));
});

test('an idmapped mount through a user namespace', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  mkdirSync(scratch.path('volume'));
  writeFileSync(scratch.path('volume/file'), '');
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    prepare('userns', { slot: 30, uidMap: '0 1000 1\n', gidMap: '0 1000 1\n' }),
    prepare('open_tree', { slot: SLOT.MOUNT, at: -1, path: scratch.path('volume'), flags: 1 }),
    prepare('mount_setattr', { slot: SLOT.MOUNT, flags: 0, set: 0x100000, clear: 0, propagation: 0, userns: 30 }),
    ...container(scratch, { root, inside: [target('v', 0), child('attach', { slot: SLOT.MOUNT, root: SLOT.ROOT, path: 'v' })] })
      .filter((o) => !(o.name === 'open' && (o.args as { slot: number }).slot === SLOT.MOUNT))
      .map((o) => (o.name === 'attach' && (o.args as { slot: number }).slot === SLOT.ROOT
        ? child('attach', { slot: SLOT.ROOT, root: -1, path: scratch.path('mnt') }) : o)),
    exec(['/bin/ls', '-ln', '/v']),
  ]);
  assert.equal(exit(await shim.expect(MSG.EXITED)).code, 0);
  assert.match(logText(scratch.read('log')), / 1000 +1000 .* file$/m);
});

test('chdir refuses a directory outside the root (CVE-2024-21626)', async () => {
  using scratch = new Scratch();
  const root = scratch.busyboxRoot();
  mkdirSync(scratch.path('host'));
  writeFileSync(scratch.path('host/secret'), '');
  using spawner = new Spawner();
  let refused = 0;
  for (let fd = 3; fd < 16; fd++) {
    const shim = await spawner.spawn([
      prepare('open', { slot: 30, at: -1, path: scratch.path('host'), flags: O_PATH, mode: 0, resolve: 0 }),
      ...container(scratch, { root }), child('chdir', { path: `/proc/self/fd/${fd}`, create: 0 }),
      exec(['/bin/sh', '-c', 'if [ -e secret ]; then exit 66; fi']),
    ]);
    const message = await shim.expectAny([MSG.FAILED, MSG.EXITED]);
    // A descriptor of the container's own root may well be entered.
    if (message.type === MSG.FAILED && failure(message).errno === ENOENT) refused++;
    else if (message.type === MSG.EXITED) assert.equal(exit(message).code, 0);
  }
  assert.ok(refused > 0);
});

test('the program cannot reach our binary through /proc (CVE-2019-5736)', async () => {
  using scratch = new Scratch();
  using spawner = new Spawner();
  const shim = await spawner.spawn([
    prepare('stdio', { mode: 1, stdin: 0 }), prepare('log', { path: scratch.path('log'), maxSize: 0, maxFiles: 1 }),
    ...container(scratch), child('init', { argv: ['/sbin/reaper', '--', 'sh'] }),
    exec(['/bin/sh', '-c', 'ls -l /proc/1/exe; echo pwned >>/proc/1/exe || echo refused; busybox tr "\\0" " " </proc/1/environ; exit 0']),
  ]);
  await shim.expect(MSG.EXITED);
  const out = logText(scratch.read('log'));
  assert.match(out, /memfd:naru-helper/);
  assert.match(out, /refused\n$/);
  assert.ok(readFileSync('/proc/self/exe').length > 0);
});
