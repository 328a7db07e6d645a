import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Bench, failure, readAll } from './harness.ts';
import { socketpair } from '#sys/descriptors.ts';

let bench: Bench;
before(async () => {
  bench = await Bench.open();
});
after(async () => {
  await bench[Symbol.asyncDispose]();
});

test('a program runs, its output and exit code come back', async () => {
  const { out, status } = await bench.run('echo out; echo err >&2; exit 7');
  assert.deepEqual(out.split('\n').sort(), ['', 'err', 'out']);
  assert.deepEqual([status.code, status.signal], [7, 0]);
  assert.deepEqual(bench.leftCgroups(), []);
});

test('namespaces, hostname, capabilities, seccomp and descriptors are Docker\'s', async () => {
  const { out } = await bench.run('hostname; echo pid $$; grep -E "^(CapInh|CapEff|CapBnd|CapAmb|Seccomp):" /proc/self/status; ls /proc/self/fd | wc -l; cat /proc/self/oom_score_adj; umask; pwd');
  assert.equal(out, [
    'box', 'pid 1', 'CapInh:\t0000000000000000', 'CapEff:\t00000000a80425fb', 'CapBnd:\t00000000a80425fb', 'CapAmb:\t0000000000000000',
    'Seccomp:\t2', '4', '0', '0022', '/', '',
  ].join('\n'));
});

test('the default mounts and devices', async () => {
  const { out } = await bench.run('mount; stat -c "%n %t:%T %a" /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; for l in ptmx fd stdin core; do readlink /dev/$l; done; cat /proc/interrupts | wc -c; ls /sys/firmware | wc -l');
  for (const line of [
    /^overlay on \/ type overlay \(rw,/m, /^proc on \/proc type proc \(rw,nosuid,nodev,noexec,relatime\)$/m, /^tmpfs on \/dev type tmpfs \(rw,nosuid,size=65536k,mode=755/m,
    /^devpts on \/dev\/pts type devpts \(rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666\)$/m, /^sysfs on \/sys type sysfs \(ro,nosuid,nodev,noexec,relatime\)$/m,
    /^mqueue on \/dev\/mqueue type mqueue/m, /^shm on \/dev\/shm type tmpfs \(rw,nosuid,nodev,noexec,relatime,size=65536k/m, /^proc on \/proc\/sys type proc \(ro,/m,
    /^\/dev\/null 1:3 666$/m, /^\/dev\/zero 1:5 666$/m, /^\/dev\/full 1:7 666$/m, /^\/dev\/random 1:8 666$/m, /^\/dev\/urandom 1:9 666$/m, /^\/dev\/tty 5:0 666$/m,
    /^pts\/ptmx\n\/proc\/self\/fd\n\/proc\/self\/fd\/0\n\/proc\/kcore\n0\n0\n$/m,
  ]) assert.match(out, line);
});

test('a user: ids, groups, no capabilities, streams that it may reopen', async () => {
  const { out, status } = await bench.run('id; grep CapEff /proc/self/status; echo x > /dev/stdout; echo y > /dev/stderr; touch /new', (r) => {
    r.spec.process!.user = { uid: 1000, gid: 1000, additionalGids: [1000, 7] };
    r.spec.process!.capabilities = { bounding: r.spec.process!.capabilities!.bounding! };
  });
  assert.match(out, /^uid=1000(\(user\))? gid=1000 groups=7,1000$/m);
  assert.match(out, /CapEff:\t0000000000000000/);
  assert.match(out, /^x$/m);
  assert.match(out, /^y$/m);
  assert.match(out, /touch: \/new: Permission denied/);
  assert.equal(status.code, 1);
});

test('a program that is not there, is no program, is a directory: Docker\'s words and exit codes', async () => {
  for (const [args, message, exitCode] of [
    [['nosuch'], /exec: "nosuch": executable file not found in \$PATH: unknown$/, 127],
    [['/no/such'], /exec: "\/no\/such": stat \/no\/such: no such file or directory: unknown$/, 127],
    [['dir'], /exec: "dir": executable file not found in \$PATH: unknown$/, 127],
    [['/etc/passwd'], /exec: "\/etc\/passwd": permission denied: unknown$/, 126],
    [['/etc'], /exec: "\/etc": is a directory: unknown: permission denied$/, 126],
  ] as const) {
    const error = await failure(bench.run([...args], (r) => {
      if (r.rootfs.kind === 'overlay') mkdirSync(join(r.rootfs.upper, 'usr/bin/dir'), { recursive: true });
    }));
    assert.match(error.message, message);
    assert.match(error.message, /^failed to create task for container: failed to create shim task: OCI runtime create failed: /);
    assert.deepEqual([error.kind, error.exitCode], ['invalid', exitCode]);
  }
  assert.deepEqual(bench.leftCgroups(), [], 'a failed start leaves nothing');
});

test('bind mounts: read-only, files, a missing source, a wrong type', async () => {
  const directory = join(bench.root, 'volume');
  mkdirSync(directory);
  writeFileSync(join(directory, 'file'), 'from the host\n');
  const { out } = await bench.run('cat /v/file; touch /v/new; cat /etc/one; echo changed > /w/file; mount | grep -E " /(v|w|etc/one) "', (r) => {
    r.spec.mounts!.push(
      { destination: '/v', source: directory, options: ['rbind', 'ro', 'rprivate'] },
      { destination: '/w', source: directory, options: ['rbind', 'rprivate', 'noexec'] },
      { destination: '/etc/one', source: join(directory, 'file'), options: ['bind'] },
    );
  });
  assert.match(out, /^from the host\nfrom the host\n|^from the host\ntouch: \/v\/new: Read-only file system\nfrom the host$/m);
  assert.match(out, /touch: \/v\/new: Read-only file system/);
  assert.match(out, / on \/v type \w+ \(ro,/);
  assert.match(out, / on \/w type \w+ \(rw,[^)]*noexec/);
  assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'changed\n');

  const missing = await failure(bench.run('true', (r) => r.spec.mounts!.push({ destination: '/v', source: `${directory}/nosuch`, options: ['rbind'] })));
  assert.match(missing.message, /error mounting ".*\/nosuch" to rootfs at "\/v": .*no such file or directory/);
  const wrong = await failure(bench.run('true', (r) => r.spec.mounts!.push({ destination: '/etc/passwd', source: directory, options: ['rbind'] })));
  assert.match(wrong.message, /not a directory: unknown: Are you trying to mount a directory onto a file/);
  assert.equal(wrong.exitCode, 127);
});

test('a read-only rootfs, a working directory that is made, a tmpfs', async () => {
  const { out } = await bench.run('pwd; touch /x 2>&1; touch /run/y && echo written; stat -c %a /tmp /run; umask', (r) => {
    r.spec.root = { path: '', readonly: true };
    r.spec.process!.cwd = '/made/for/me';
    r.spec.process!.user.umask = 0o27;
    r.spec.mounts!.push({ destination: '/run', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=1m'] }, { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' });
  });
  assert.equal(out, '/made/for/me\ntouch: /x: Read-only file system\nwritten\n1777\n755\n0027\n');
});

test('a signal ends it; limits, sysctls and labels apply', async () => {
  const killed = await bench.run('kill -KILL $$; sleep 5', (r) => {
    r.init = ['/sbin/docker-init', '--', 'sh']; // the shell is no PID 1 then
  });
  assert.deepEqual([killed.status.code, killed.status.signal], [137, 0]);
  const { out } = await bench.run('ulimit -n; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni', (r) => {
    // Where limits may be raised, the kernel's own maximum is 2 ** 20.
    r.spec.process!.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 123, hard: bench.driver.facts.hardLimits === undefined ? 2 ** 20 : 2 ** 30 }];
    r.spec.linux!.sysctl = { 'net.ipv4.ip_unprivileged_port_start': '42', 'kernel.shmmni': '99' };
  });
  assert.equal(out, '123\n42\n99\n');
});

test('a task can be signalled, and says how it ended', async () => {
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  assert.ok(task.pid > 1);
  assert.equal(task.signal(9), true);
  const status = await task.exited;
  assert.deepEqual([status.code, status.signal], [137, 9]);
  assert.equal(task.signal(9), false);
  assert.deepEqual(await bench.driver.recover({ id: request.id, stateDir: request.stateDir, exitFile: request.exitFile, cgroupPath: request.spec.linux!.cgroupsPath! }), { exited: status });
  await bench.cleanUp(request);
});

test('a terminal: the program has one, of the right size, and /dev/console is it', async () => {
  const { out } = await bench.run('tty; stty size; ls -la /dev/console; echo x > /dev/console; test -t 0 && test -t 1 && echo terminal', (r) => {
    r.io = { mode: 'pty', stdin: 'open', rows: 31, columns: 97 };
    r.spec.process!.terminal = true;
  });
  assert.match(out, /^\/dev\/(pts\/0|console)\r\n31 97\r\n/);
  assert.match(out, /crw--w---- +1 (root|0) +5 +136, +0 .*\/dev\/console\r\nx\r\nterminal\r\n$/);
});

test('exec: inside everything, with its own streams and exit code', async () => {
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  const exec = async (args: string[], change: (process: NonNullable<typeof request.spec.process>) => void = () => {}) => {
    const process = { ...structuredClone(request.spec.process!), args };
    change(process);
    const prepared = task.exec({ execId: `e${Math.random()}`, process, spec: request.spec, io: { mode: 'pipes', stdin: 'none' } });
    const [ours, theirs] = socketpair('stream');
    await prepared.attach({ fd: theirs, stdin: false, stdout: true, stderr: true, framed: false, closeStdin: false, detachKeys: new Uint8Array() });
    const started = await prepared.start();
    assert.ok(started.pid > 1 && started.pid !== task.pid);
    const status = await started.exited;
    return { out: readAll(ours), status };
  };
  const { out, status } = await exec(['sh', '-c', 'hostname; cat /proc/1/comm; grep -E "Cap(Eff|Bnd)|Seccomp:" /proc/self/status; cut -d: -f2- /proc/self/cgroup | grep -xE "(pids|):/" | sort | tail -1; ls /proc/self/fd | wc -l; exit 3']);
  const group = bench.driver.facts.cgroups.version === 1 ? 'pids:/' : ':/';
  assert.equal(out, `box\nsleep\nCapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n${group}\n4\n`);
  assert.equal(status.code, 3);
  assert.match((await exec(['id'], (p) => { p.user = { uid: 1000, gid: 5 }; })).out, /^uid=1000(\(user\))? gid=5/);
  const [ours, theirs] = socketpair('stream');
  const short = task.exec({ execId: 'short', process: { ...request.spec.process!, args: ['sh', '-c', 'sleep 0.1; echo over; exit 3'] }, spec: request.spec, io: { mode: 'pipes', stdin: 'none' } });
  await short.attach({ fd: theirs, stdin: false, stdout: true, stderr: true, framed: false, closeStdin: false, detachKeys: new Uint8Array() });
  const running = await short.start();
  let told: number | undefined;
  void running.exited.then(({ code }) => (told = code));
  assert.equal(readAll(ours), 'over\n', 'the stream ends before anybody here has listened');
  await running.caughtUp();
  assert.equal(told, 3);
  const missing = await failure(exec(['nosuch']));
  assert.equal(missing.message, 'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown');
  assert.equal(missing.exitCode, 127);
  assert.match((await failure(exec(['id'], (p) => { p.cwd = '/nosuch'; }))).message, /chdir to cwd \("\/nosuch"\)/);
  task.signal(9);
  await task.exited;
  assert.match((await failure(exec(['id']))).message, /is not running/);
  await bench.cleanUp(request);
});

test('a new daemon finds a running task and its end', async () => {
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  await using other = await Bench.open();
  const where = { id: request.id, stateDir: request.stateDir, exitFile: request.exitFile, cgroupPath: request.spec.linux!.cgroupsPath! };
  const found = await other.driver.recover(where);
  assert.ok(found !== undefined && 'task' in found);
  assert.equal(found.task.pid, task.pid);
  assert.ok(found.task.signal(15) && found.task.signal(9));
  const [here, there] = await Promise.all([task.exited, found.task.exited]);
  assert.deepEqual(here, there);
  await bench.cleanUp(request);
  assert.deepEqual(bench.leftCgroups(), []);
});

test('a task whose shim is of another version has its execs by shims of ours', async () => {
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  await using other = await Bench.open();
  const where = { id: request.id, stateDir: request.stateDir, exitFile: request.exitFile, cgroupPath: request.spec.linux!.cgroupsPath! };
  const parentOf = (pid: string | number): string => /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!;
  const shim = parentOf(task.pid);
  /** Who forked the shim of an exec by a daemon that finds the socket under this name. */
  const forkedBy = async (socket: string | undefined): Promise<string> => {
    if (socket !== undefined) renameSync(join(request.stateDir, readdirSync(request.stateDir).find((name) => name.endsWith('.sock'))!), join(request.stateDir, socket));
    const found = await other.driver.recover(where);
    assert.ok(found !== undefined && 'task' in found);
    const exec = (args: string[]) => found.task.exec({ execId: 'e', process: { ...request.spec.process!, args }, spec: request.spec, io: { mode: 'null', stdin: 'none' } });
    await exec(['true']).makeAhead();
    const inside = await exec(['sleep', '50']).start();
    assert.ok(readFileSync(`/proc/${inside.pid}/cgroup`, 'utf8').includes(where.cgroupPath), 'it is in the container\'s groups');
    const by = parentOf(parentOf(inside.pid));
    inside.signal(9);
    assert.equal((await inside.exited).signal, 9);
    assert.equal((await failure(exec(['nosuch']).start())).exitCode, 127);
    return by;
  };
  assert.equal(await forkedBy(undefined), shim);
  assert.notEqual(await forkedBy('shim-00000000.sock'), shim, 'of another build');
  assert.notEqual(await forkedBy('shim.sock'), shim, 'of one that did not say which');
  task.signal(9);
  await task.exited;
  await bench.cleanUp(request);
  assert.deepEqual(readdirSync(request.stateDir).filter((name) => name.endsWith('.sock')), []);
  assert.deepEqual(bench.leftCgroups(), []);
});

test('prepared and given up: nothing is left, the client is let go', async () => {
  const prepared = bench.driver.prepare(bench.request('true'));
  const [ours, theirs] = socketpair('stream');
  const { ended } = await prepared.attach({ fd: theirs, stdin: false, stdout: true, stderr: true, framed: false, closeStdin: false, detachKeys: new Uint8Array() });
  prepared.abandon();
  assert.equal(readAll(ours), '');
  assert.equal(await ended, 'error');
});
