import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bundle, RuntimeBundles, until } from '../support/runtime-bundles.ts';

/**
 * A runtime, its helper or the container's first process that is killed at a system call: `state` says what is, and
 * `delete --force` removes all of it. strace kills; it counts for each process on its own, so that `when=N` kills whoever
 * comes to its Nth such call first.
 */
const bundles = new RuntimeBundles();
after(() => bundles.destroy());

/** What the command line does, and what only its helper does. */
const OURS = 'mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,bind,listen,socketpair,memfd_create,vfork,clone,sendmsg,connect,openat2,pidfd_send_signal,kill,pwrite64,ftruncate';
const HELPERS = 'open_tree,mount_setattr,move_mount,fsmount,fsopen,clone3,openat2,mknodat,symlinkat,pivot_root,umount2,setsid,sethostname,prctl,capset,setresuid,seccomp,execve,execveat,sendto,accept4,dup3,close_range,exit_group';

interface Report { readonly status: string; readonly pid: number }

/** Runs a command that is killed at the `step`th of these calls; whether somebody was. strace goes on by itself (-D) with
 *  whatever stays. */
async function killedAt(step: number, calls: string, args: readonly string[]): Promise<boolean> {
  const log = join(bundles.top, `strace.${count++}`);
  const ran = spawnSync('strace', ['-D', '-f', '-qq', '-o', log, '-e', `trace=${calls}`, '-e', `inject=${calls}:signal=KILL:when=${step}`, ...bundles.command(...args)], { stdio: 'ignore', timeout: 15_000, killSignal: 'SIGKILL' });
  const killed = (): boolean => /killed by SIGKILL/.test(readFileSync(log, 'utf8'));
  return ran.signal !== null || until(killed, 300);
}
let count = 0;

const alive = (pid: number): boolean => existsSync(`/proc/${pid}/status`) && !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
const members = (id: string): number[] => bundles.groups(id).flatMap((group) => readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter((p) => p !== '' && p !== '0').map(Number)).filter(alive);

const frozen = (id: string): boolean => bundles.groups(id).some((group) => ['freezer.state', 'cgroup.events'].some((file) => existsSync(join(group, file)) && /^(FROZEN|frozen 1)$/m.test(readFileSync(join(group, file), 'utf8'))));

/** What `state` says is what the kernel says; then all of it goes. `lives`: what was killed was not making it, it must be there. */
async function checkTruth(id: string, where: string, lives: boolean): Promise<void> {
  const said = bundles.run(['state', id]);
  if (lives) assert.match(said.out, /"status": "(running|paused)"/, `${where}: ${said.err}`);
  if (said.status === 0) {
    const { status, pid } = JSON.parse(said.out) as Report;
    assert.ok(['created', 'running', 'paused', 'stopped'].includes(status), `${where}: ${said.out}`);
    assert.equal(status === 'paused', frozen(id), `${where}: ${said.out}`);
    assert.equal(pid === 0, status === 'stopped', `${where}: ${said.out}`);
    if (pid !== 0) assert.ok(alive(pid), `${where}: ${said.out}`);
    // A helper that lost its companion ends by itself; until then it counts as nobody's.
    else assert.ok(await until(() => members(id).length === 0, 3000) || bundles.state(id).status !== 'stopped', `${where}: ${said.out}, but ${members(id).join()} live`);
  } else {
    assert.match(said.err, /container does not exist/, where);
  }
  const removed = bundles.run(['delete', '--force', id]);
  assert.equal(removed.status, 0, `${where}: ${removed.err}`);
  assert.ok(await until(() => bundles.left().filter((l) => !l.startsWith('state .new-')).length === 0, 3000), `${where}: ${bundles.left().join('\n')}`);
}

/** At every step while there are few, at `most` of them otherwise. */
async function killEverywhere(what: string, most: number, once: (step: number) => Promise<{ readonly id: string; readonly killed: boolean; readonly lives?: boolean }>): Promise<void> {
  let kills = 0;
  for (let step = 1, stride = 1; kills < most; step += stride) {
    const { id, killed, lives } = await once(step);
    await checkTruth(id, `${what}, step ${step}`, lives === true);
    if (!killed) break;
    kills++;
    if (kills > most / 2) stride = Math.min(stride + 1, 6);
  }
  assert.ok(kills >= 2, `${what}: nobody was killed`);
  console.log(`${what}: ${kills} kills`);
}

const created = (): string => {
  const { id, path } = bundles.bundle(['sleep', '60']);
  assert.equal(bundles.background('create', '-b', path, id), 0);
  return id;
};

for (const [verb, calls, most] of [['create', OURS, 6], ['create', HELPERS, 8], ['run', OURS, 4], ['run', HELPERS, 6]] as const) {
  test(`killed during ${verb}, at calls of ${calls === OURS ? 'the command line' : 'the helper'}`, async () => {
    await killEverywhere(verb, most, async (step) => {
      const { id, path } = bundles.bundle(['sleep', '60']);
      return { id, killed: await killedAt(step, calls, [verb, ...(verb === 'run' ? ['-d'] : []), '-b', path, id]) };
    });
  });
}

test('killed during start', async () => {
  await killEverywhere('start', 4, async (step) => {
    const id = created();
    return { id, killed: await killedAt(step, 'connect,unlink,socket,close', ['start', id]) };
  });
});

test('killed during delete', async () => {
  await killEverywhere('delete', 5, async (step) => {
    const id = created();
    return { id, killed: await killedAt(step, OURS, ['delete', '--force', id]) };
  });
});

const running = (): Bundle => {
  const bundle = bundles.bundle(['sleep', '60']);
  assert.equal(bundles.background('run', '-d', '-b', bundle.path, bundle.id), 0);
  return bundle;
};

for (const [whose, calls, most] of [['the command line', OURS, 3], ['the helper', 'setns,clone3,clone,setsid,dup3,execve,sendto,sendmsg,close_range', 5]] as const) {
  test(`killed during exec, at calls of ${whose}: the container runs on`, async () => {
    await killEverywhere('exec', most, async (step) => {
      const { id } = running();
      return { id, killed: await killedAt(step, calls, ['exec', '-d', id, 'sleep', '50']), lives: true };
    });
  });
}

test('killed during update, pause and resume: the container runs or stands still, as its state says', async () => {
  for (const [verb, before] of [[['update', '--memory', '64m', '--pids-limit', '20', '--cpu-share', '300'], []], [['pause'], []], [['resume'], ['pause']]] as const) {
    await killEverywhere(verb[0], 3, async (step) => {
      const { id } = running();
      for (const word of before) bundles.ok(word, id);
      return { id, killed: await killedAt(step, 'openat,write,pwrite64', [...verb, id]), lives: true };
    });
  }
});

test('killed during checkpoint and restore', async () => {
  const criu = join(bundles.top, 'criu');
  writeFileSync(criu, `#!/bin/sh\nexec ${process.execPath} ${join(import.meta.dirname, '../support/fake-criu.ts')} ${join(bundles.top, 'asked')} "$@"\n`, { mode: 0o755 });
  await killEverywhere('checkpoint', 4, async (step) => {
    const { id, path } = running();
    return { id, killed: await killedAt(step, OURS, ['--criu', criu, 'checkpoint', '--image-path', join(path, 'image'), id]) };
  });
  await killEverywhere('restore', 6, async (step) => {
    const { id, path } = running();
    bundles.ok('--criu', criu, 'checkpoint', '--image-path', join(path, 'image'), id);
    return { id, killed: await killedAt(step, `${OURS},mount,unshare`, ['--criu', criu, 'restore', '-d', '-b', path, '--image-path', join(path, 'image'), id]) };
  });
});

test('nothing of it is left in the state directory but what the next command sweeps', () => {
  for (const name of existsSync(bundles.root) ? readdirSync(bundles.root) : []) assert.match(name, /^\.new-/);
});
