import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fixture } from '../fixtures/make-images.ts';
import { NARU, run } from '../support/daemon.ts';
import { sleep, suite, until } from '../support/two-clients.ts';

/** The daemon dies at a chosen system call of an operation: strace counts its calls and kills it at the n-th. */
const s = suite();

/** Calls that change something on disk or tell somebody something: between two of them nothing can be half done. */
const CALLS = 'fdatasync,fsync,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,sendmsg,ftruncate';

/** strace on the daemon, ready to kill it at its n-th call of the list. */
async function armed(n: number): Promise<ChildProcess> {
  const tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-p', String(s.d.scope.daemonPid), '-e', `trace=${CALLS}`, '-e', `inject=${CALLS}:signal=SIGKILL:when=${n}`], { stdio: 'ignore' });
  await until('strace holds the daemon', () => tracer.exitCode !== null || /TracerPid:\s+[1-9]/.test(readFileSync(`/proc/${s.d.scope.daemonPid}/status`, 'utf8')));
  // What a daemon that came back has to clear away may be its n-th call.
  assert.ok(tracer.exitCode === null || daemonDied(), 'strace runs');
  return tracer;
}

/** A daemon that is being killed is a zombie of the tracer's for a moment. */
function daemonDied(): boolean {
  const process = s.d.process!;
  return process.exitCode !== null || process.signalCode !== null || /^State:\s+Z/m.test(status(process.pid!));
}

/** Waits for the end of a program, which must come: nothing here takes longer than a stop's grace. */
async function ended(what: string, child: ChildProcess): Promise<void> {
  const signal = AbortSignal.timeout(30_000);
  while (child.exitCode === null && child.signalCode === null) {
    if (signal.aborted) {
      child.kill('SIGKILL');
      assert.fail(`${what} does not end; the daemon: ${s.d.log()}`);
    }
    await sleep(10);
  }
}

/** Runs the operation with a kill at its n-th call. True: the daemon died (and was started again). */
async function killedAt(n: number, operation: readonly string[]): Promise<boolean> {
  const tracer = await armed(n);
  const client = spawn(NARU, ['-H', `unix://${s.d.socket}`, ...operation], { stdio: 'ignore' });
  await ended(operation.join(' '), client);
  await sleep(20);
  tracer.kill('SIGINT');
  await ended('strace', tracer);
  if (!daemonDied()) return false;
  await s.d.down();
  await s.d.up();
  return true;
}

const status = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return 'State:\tZ';
  }
};

/** What holds after every death: what is listed can be used and removed. */
function sound(name: string): void {
  const answer = s.d.docker('inspect', '-f', '{{.State.Status}}', name);
  if (answer.code !== 0) return;
  assert.match(answer.out, /^(created|running|exited)\n$/);
  if (answer.out === 'running\n') assert.equal(s.d.docker('exec', name, 'true').code, 0, 'a running one takes an exec');
  assert.equal(s.d.docker('rm', '-f', '-v', name).code, 0);
}

const STEPS = [1, 2, 3, 4, 6, 9];

describe('kill -9 of the daemon at the n-th call', () => {
  const operations: readonly { readonly name: string; readonly before?: readonly (readonly string[])[]; readonly words: readonly string[]; readonly after?: () => void }[] = [
    { name: 'create', words: ['create', '--name', 'cc', '-v', '/anon', 'busybox', 'sleep', '60'] },
    { name: 'start', before: [['create', '--name', 'cc', 'busybox', 'sleep', '60']], words: ['start', 'cc'] },
    { name: 'stop', before: [['run', '-d', '--init', '--name', 'cc', '-v', '/anon', 'busybox', 'sleep', '60']], words: ['stop', 'cc'] },
    { name: 'restart', before: [['run', '-d', '--init', '--name', 'cc', '-p', '127.0.0.1::80', 'busybox', 'sleep', '60']], words: ['restart', 'cc'] },
    { name: 'exec', before: [['run', '-d', '--name', 'cc', 'busybox', 'sleep', '60']], words: ['exec', 'cc', 'sleep', '0.2'] },
    { name: 'rm', before: [['run', '-d', '--name', 'cc', '-v', '/anon', 'busybox', 'sleep', '60']], words: ['rm', '-f', '-v', 'cc'] },
    { name: 'commit', before: [['create', '--name', 'cc', 'busybox']], words: ['commit', 'cc', 'stepped'], after: () => {
      if (s.d.docker('image', 'inspect', 'stepped').code === 0) assert.equal(s.d.ok('run', '--rm', 'stepped', 'echo', 'whole'), 'whole');
      s.d.docker('rmi', '-f', 'stepped');
    } },
    { name: 'load', words: ['load', '-q', '-i', fixture('busybox.tar')], after: () => assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'whole'), 'whole') },
  ];
  for (const { name, before = [], words, after } of operations) {
    test(name, async () => {
      let deaths = 0;
      for (const n of STEPS) {
        for (const each of before) s.d.ok(...each);
        const died = await killedAt(n, words);
        if (died) deaths++;
        sound('cc');
        after?.();
        if (!died) break;
      }
      assert.ok(deaths > 0, 'no call of it was hit');
      const volumes = s.d.ok('volume', 'ls', '-q');
      assert.equal(volumes, '', 'anonymous volumes go with their containers');
    });
  }
});

describe('other deaths and races', () => {
  test('the spawner is killed: the next start has another', async () => {
    s.d.ok('run', '-d', '--name', 'cc', 'busybox', 'sleep', '60');
    const spawner = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).find((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('naru-spawner') && Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) === s.d.scope.daemonPid;
      } catch {
        return false;
      }
    });
    assert.ok(spawner !== undefined);
    process.kill(Number(spawner), 'SIGKILL');
    assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'started'), 'started');
    assert.equal(s.d.ok('exec', 'cc', 'echo', 'alive'), 'alive');
  });

  test('a hundred containers, sixty of them running, then kill -9: the next daemon knows each, and takes little memory for them', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `m${i}`);
    const inLanes = async (list: readonly string[], work: (name: string) => Promise<void>): Promise<void> => {
      await Promise.all([0, 1, 2, 3].map(async (lane) => {
        for (let i = lane; i < list.length; i += 4) await work(list[i]!);
      }));
    };
    await inLanes(names, async (name) => {
      const made = await s.d.ask('POST', `/containers/create?name=${name}`, { Image: 'busybox', Cmd: ['sleep', '600'], HostConfig: { NetworkMode: 'none' } });
      assert.equal(made.status, 201, made.text);
    });
    await inLanes(names.slice(0, 60), async (name) => assert.equal((await s.d.ask('POST', `/containers/${name}/start`)).status, 204));
    const pids = ['m1', 'm2'].map((name) => Number(s.inspect(name, '{{.State.Pid}}')));
    await s.d.down('SIGKILL');
    // Two end while nobody watches.
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await s.d.up();
    const wanted = names.map((_, i) => (i === 1 || i === 2 ? 'Exited (137)' : i < 60 ? 'running' : 'created'));
    for (let i = 0; ; i++) {
      const listed = JSON.parse((await s.d.ask('GET', '/containers/json?all=1')).text) as { Names: string[]; State: string; Status: string }[];
      const states = new Map(listed.map(({ Names, State, Status }) => [Names[0]!.slice(1), State === 'exited' ? Status.split(' ').slice(0, 2).join(' ') : State]));
      // The shims of those two may be about to record their ends.
      if (states.get('m1') === 'running' || states.get('m2') === 'running') assert.ok(i < 200, 'the ends are not noticed');
      else {
        assert.deepEqual(names.map((name) => states.get(name)), wanted);
        break;
      }
      await sleep(50);
    }
    assert.equal(s.d.ok('exec', 'm0', 'echo', 'alive'), 'alive');
    const pss = Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${s.d.scope.daemonPid}/smaps_rollup`, 'utf8'))?.[1]);
    assert.ok(pss > 0 && pss < 150_000, `the daemon takes ${pss} kB`);
    await s.d.removeAll();
  });

  test('the group above the containers is removed by somebody else: the next start makes it again', () => {
    s.d.ok('run', '--rm', 'busybox', 'true');
    run('sh', ['-c', `for d in /sys/fs/cgroup/*${s.d.scope.cgroupParent} /sys/fs/cgroup${s.d.scope.cgroupParent}; do [ -d "$d" ] && rmdir "$d"; done`]);
    assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'started'), 'started');
  });

  test('the monotonic clock of the daemon jumps by a day: what runs is known, health checks and restarts go on', async () => {
    s.d.ok('run', '-d', '--name', 'cc', '--restart', 'always', '--health-cmd', 'true', '--health-interval', '200ms', 'busybox', 'sh', '-c', 'sleep 600');
    await s.d.down('SIGKILL');
    const jumped = spawn('unshare', ['-T', '--monotonic', '86400', '--boottime', '86400', '--', NARU, 'daemon', '--data-root', s.d.scope.dataRoot, '--state-dir', s.d.scope.stateDir, '--host', `unix://${s.d.socket}`], { stdio: 'ignore' });
    try {
      await until('the daemon of another clock answers', () => s.d.docker('ps').code === 0, 20);
      assert.match(s.d.ok('ps', '--format', '{{.Status}}'), /^Up (Less than a second|1 second|\d+ seconds|About a minute)/);
      await until('a check after the jump', () => s.d.ok('inspect', '-f', '{{.State.Health.Status}}', 'cc') === 'healthy');
      s.d.ok('kill', 'cc');
      await until('the restart', () => s.d.ok('inspect', '-f', '{{.State.Status}} {{.RestartCount}}', 'cc') === 'exited 0' || /^running/.test(s.d.ok('inspect', '-f', '{{.State.Status}}', 'cc')), 10);
      assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'on'), 'on');
    } finally {
      const ended = new Promise((resolve) => jumped.once('exit', resolve));
      jumped.kill('SIGTERM');
      await ended;
      await s.d.up();
    }
  });

  test('a consumer of attach that was stopped holds up nobody but the program it listens to', async () => {
    s.d.ok('run', '-d', '--name', 'talk', 'busybox', 'sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i talk talk talk talk talk talk talk talk; done');
    const stuck = spawn(NARU, ['-H', `unix://${s.d.socket}`, 'attach', '--no-stdin', 'talk'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await sleep(300);
    stuck.kill('SIGSTOP');
    const began = Date.now();
    assert.equal(s.d.ok('run', '--rm', 'busybox', 'echo', 'fine'), 'fine');
    s.d.ok('exec', 'talk', 'true');
    s.d.ok('rm', '-f', 'talk');
    assert.ok(Date.now() - began < 15_000);
    stuck.kill('SIGKILL');
  });
});

describe('a disk that fails under the running daemon', () => {
  for (const [error, calls, words] of [['EIO', 'pwrite64,fsync,fdatasync', /i\/o error|disk|EIO/i], ['EROFS', 'pwrite64,mkdir,mkdirat,rename,renameat2,unlink,unlinkat,rmdir,ftruncate', /read-only|disk|EROFS/i]] as const) {
    test(`${error}: what must be written is refused with a sentence, what runs goes on, and all is well when the disk is`, async () => {
      s.d.ok('run', '-d', '--name', 'runs', 'busybox', 'sleep', '600');
      s.d.ok('create', '--name', 'made', '-v', '/anon', 'busybox', 'echo', 'later');
      const tracer = spawn('strace', ['-f', '-qq', '-o', '/dev/null', '-p', String(s.d.scope.daemonPid), '-e', `trace=${calls}`, '-e', `inject=${calls}:error=${error}`], { stdio: 'ignore' });
      await until('strace holds the daemon', () => tracer.exitCode !== null || /TracerPid:\s+[1-9]/.test(status(s.d.scope.daemonPid)));
      try {
        for (const operation of [['create', '--name', 'new', 'busybox'], ['volume', 'create', 'new'], ['tag', 'busybox', 'new'], ['network', 'create', 'new']]) {
          const ran = s.d.docker(...operation);
          assert.notEqual(ran.code, 0, `${operation.join(' ')} was not written`);
          assert.match(ran.err, words, operation.join(' '));
        }
        assert.equal(s.d.ok('ps', '-q').length, 12);
        assert.equal(s.d.ok('inspect', '-f', '{{.State.Running}}', 'runs'), 'true');
      } finally {
        tracer.kill('SIGINT');
        await ended('strace', tracer);
      }
      assert.equal(s.d.ok('exec', 'runs', 'echo', 'alive'), 'alive');
      assert.equal(s.d.ok('start', '-a', 'made'), 'later');
      await s.d.restart('SIGKILL');
      assert.equal(s.d.ok('ps', '-aq').split('\n').length, 2, 'nothing half made');
      assert.doesNotMatch(s.d.ok('images') + s.d.ok('network', 'ls') + s.d.ok('volume', 'ls'), /\bnew\b/);
      await s.d.removeAll();
    });
  }
});
