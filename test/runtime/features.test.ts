import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Bench, failure, readAll } from './harness.ts';
import { socketpair } from '#sys/descriptors.ts';
import { adoptSocket } from '#sys/fd-socket.ts';
import { Trace, withTrace } from '#sys/trace.ts';

let bench: Bench;
before(async () => {
  bench = await Bench.open();
});
after(async () => {
  await bench[Symbol.asyncDispose]();
});

/** The host's mounts that are ours: others may come and go beside us. */
const mountCount = (): number => readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => line.includes(bench.root)).length;

test('the host\'s mount table never sees a container', async () => {
  const before_ = mountCount();
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  assert.equal(mountCount(), before_);
  task.signal(9);
  await task.exited;
  await bench.cleanUp(request);
});

test('a user namespace: mapped ids, devices bound, volumes that only the host\'s root can reach', async () => {
  const secret = join(bench.root, 'secret');
  mkdirSync(join(secret, 'below'), { recursive: true });
  chmodSync(secret, 0o700);
  writeFileSync(join(secret, 'below/file'), 'reached\n');
  const { out, status } = await bench.run('id -u; cat /proc/self/uid_map; echo null > /dev/null && echo device; cat /v/file; touch /mine; hostname', (r) => {
    r.spec.linux!.namespaces!.push({ type: 'user' });
    r.spec.linux!.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    r.spec.linux!.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    r.spec.mounts!.push({ destination: '/v', source: join(secret, 'below'), options: ['rbind', 'ro'] });
    if (r.rootfs.kind === 'overlay') {
      chownSync(r.rootfs.upper, 100000, 100000);
      chownSync(r.rootfs.work, 100000, 100000);
    }
  });
  assert.match(out, /^0\n +0 +100000 +65536\ndevice\nreached\nbox\n$/);
  assert.equal(status.code, 0);
});

test('namespaces joined by path: network and pid of another container', async () => {
  const first = bench.request(['sleep', '60']);
  const { task } = await bench.start(first);
  const { out } = await bench.run('readlink /proc/self/ns/net; cat /proc/1/comm; readlink /proc/self/ns/ipc', (r) => {
    r.spec.linux!.namespaces = r.spec.linux!.namespaces!.map((n) =>
      n.type === 'network' ? { type: 'network', path: `/proc/${task.pid}/ns/net` } : n.type === 'pid' ? { type: 'pid', path: `/proc/${task.pid}/ns/pid` } : n);
  });
  const [net, comm, ipc] = out.trim().split('\n');
  assert.equal(net, readlinkSync(`/proc/${task.pid}/ns/net`));
  assert.equal(comm, 'sleep');
  assert.notEqual(ipc, readlinkSync(`/proc/${task.pid}/ns/ipc`));
  task.signal(9);
  await task.exited;
  await bench.cleanUp(first);
});

test('hooks at all six points, in their order, with the state on stdin', async () => {
  const log = join(bench.root, 'hooks.log');
  const hook = (name: string) => [{ path: '/bin/sh', args: ['sh', '-c', `read -r state; echo "${name} $FOO $state" >> ${log}`], env: ['FOO=bar'] }];
  const inside = [{ path: '/bin/sh', args: ['sh', '-c', 'read -r state; echo "startContainer $state" > /hook'], env: [] }];
  const { out } = await bench.run('cat /hook', (r) => {
    r.spec.annotations = { 'org.example': 'x"pid":0' };
    r.spec.hooks = { prestart: hook('prestart'), createRuntime: hook('createRuntime'), createContainer: hook('createContainer'), startContainer: inside, poststart: hook('poststart'), poststop: hook('poststop') };
  });
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  assert.deepEqual(lines.map((l) => l.split(' ')[0]).filter((n) => n !== 'poststart'), ['prestart', 'createRuntime', 'createContainer', 'poststop']);
  const state = JSON.parse(lines[0]!.slice('prestart bar '.length)) as Record<string, unknown>;
  assert.equal(state.ociVersion, '1.2.0');
  assert.equal(state.status, 'created');
  assert.ok((state.pid as number) > 1);
  assert.deepEqual(state.annotations, { 'org.example': 'x"pid":0' });
  assert.match(out, /^startContainer \{"ociVersion"/);

  const failing = await failure(bench.run('true', (r) => {
    r.spec.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'exit 3'] }] };
  }));
  assert.match(failing.message, /error running createRuntime hook \/bin\/sh: exit status 3/);
  const hanging = await failure(bench.run('true', (r) => {
    r.spec.hooks = { prestart: [{ path: '/bin/sleep', args: ['sleep', '50'], timeout: 1 }] };
  }));
  assert.match(hanging.message, /error running prestart hook \/bin\/sleep: timed out/);
  assert.deepEqual(bench.leftCgroups(), []);
});

test('clock offsets, personality, scheduler, I/O priority, affinity, no_new_privs, domain name', async () => {
  const { out } = await bench.run('cat /proc/self/timens_offsets /proc/sys/kernel/domainname; grep -E "NoNewPrivs|Cpus_allowed_list" /proc/self/status; cut -d" " -f19 /proc/self/stat', (r) => {
    r.spec.linux!.namespaces!.push({ type: 'time' });
    r.spec.linux!.timeOffsets = { boottime: { secs: 1000 }, monotonic: { secs: 500, nanosecs: 7 } };
    r.spec.linux!.personality = { domain: 'LINUX' };
    r.spec.process!.scheduler = { policy: 'SCHED_BATCH', nice: 5 };
    r.spec.process!.ioPriority = { class: 'IOPRIO_CLASS_IDLE', priority: 0 };
    // Of processes that join, not of the first one.
    r.spec.process!.execCPUAffinity = { initial: '1', final: '0' };
    r.spec.process!.noNewPrivileges = true;
    r.spec.domainname = 'example.org';
  });
  assert.match(out, /monotonic +500 +7\nboottime +1000 +0\nexample\.org\n/);
  assert.match(out, /NoNewPrivs:\t1\n/);
  assert.match(out, /Cpus_allowed_list:\t0-\d+\n/);
});

test('an idmapped mount', async () => {
  const directory = join(bench.root, 'owned');
  mkdirSync(directory);
  writeFileSync(join(directory, 'file'), '');
  chownSync(join(directory, 'file'), 5, 6);
  const { out } = await bench.run('stat -c %u:%g /v/file', (r) => {
    r.spec.mounts!.push({ destination: '/v', source: directory, options: ['rbind', 'idmap'], uidMappings: [{ containerID: 5, hostID: 1005, size: 1 }], gidMappings: [{ containerID: 6, hostID: 1006, size: 1 }] });
  });
  assert.equal(out, '1005:1006\n');
});

test('tmpcopyup keeps files, then read-only; propagation options; recursive read-only', async () => {
  const { out } = await bench.run('cat /etc/passwd | wc -l; touch /etc/x 2>&1; grep -E " /(p|s) " /proc/self/mountinfo', (r) => {
    r.spec.mounts!.push(
      { destination: '/etc', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup', 'ro'] },
      { destination: '/p', source: bench.root, options: ['rbind', 'rprivate', 'rro'] },
      { destination: '/s', source: bench.root, options: ['rbind', 'rshared'] },
    );
  });
  assert.match(out, /^2\ntouch: \/etc\/x: Read-only file system\n/);
  assert.match(out, / \/p ro,relatime( master:\d+)? - /);
  assert.match(out, / \/s rw,relatime shared:\d+/);
});

test('a directory as rootfs, with submounts unseen by the host afterwards', async () => {
  const before_ = mountCount();
  const { out } = await bench.run('ls /; echo hi > /written', (r) => {
    r.rootfs = { kind: 'directory', path: bench.lower };
  });
  assert.match(out, /bin/);
  assert.equal(readFileSync(join(bench.lower, 'written'), 'utf8'), 'hi\n');
  assert.equal(mountCount(), before_);
});

test('rootfsPropagation shared shows the rootfs to nobody outside, and takes no shared mount away there', async () => {
  const shared = join(bench.root, 'shared');
  const below = join(shared, 'below');
  mkdirSync(below, { recursive: true });
  for (const args of [['--bind', shared, shared], ['--make-shared', shared], ['-t', 'tmpfs', 'tmpfs', below]]) assert.equal(spawnSync('mount', args).status, 0);
  using _mounts = { [Symbol.dispose]: () => { for (const path of [below, shared]) spawnSync('umount', [path]); } };
  const before_ = mountCount();
  const { out } = await bench.run('grep -E " / / " /proc/self/mountinfo', (r) => {
    r.spec.linux!.rootfsPropagation = 'shared';
  });
  assert.match(out, /shared:\d+/);
  assert.equal(mountCount(), before_);
});

test('an overlay of the old kind: a kernel without lowerdir+, paths too long for fsconfig', async () => {
  const facts = bench.driver.facts;
  await using old = await Bench.open({ host: { ...facts, overlayAppend: false } });
  const lowers = Array.from({ length: 12 }, (_, i) => {
    const directory = join(old.root, `layer-with-a-long-name-${i}`);
    mkdirSync(directory);
    writeFileSync(join(directory, `f${i}`), '');
    return directory;
  });
  const before_ = mountCount();
  const { out } = await old.run('echo /f*; touch /new', (r) => {
    if (r.rootfs.kind === 'overlay') r.rootfs = { ...r.rootfs, lowers: [...lowers, old.lower] };
  });
  assert.equal(out.trim().split(' ').length, 12);
  assert.equal(mountCount(), before_);
});

test('a shim that is killed takes its program along; the driver says so', async () => {
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  const shim = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${task.pid}/status`, 'utf8'))![1]);
  process.kill(shim, 'SIGKILL');
  const status = await task.exited;
  assert.equal(status.code, 137);
  await bench.cleanUp(request);
  assert.ok(!existsSync(`/proc/${task.pid}`) || / Z /.test(readFileSync(`/proc/${task.pid}/stat`, 'utf8')), 'dead, perhaps not yet reaped by init');
  assert.deepEqual(readdirSync(request.stateDir).filter((name) => name.endsWith('.sock')), []);
  assert.deepEqual(bench.leftCgroups(), []);
});

test('many at once, and a mount point that is a link stays in the container', async () => {
  const all = await Promise.all(Array.from({ length: 16 }, (_, i) => bench.run(`echo ${i}`)));
  assert.deepEqual(all.map((r) => r.out), Array.from({ length: 16 }, (_, i) => `${i}\n`));
  const outside = join(bench.root, 'outside');
  mkdirSync(outside);
  const { out } = await bench.run('ls -la /link; mount | grep -c " /link "', (r) => {
    if (r.rootfs.kind !== 'overlay') return;
    spawn('ln', ['-s', outside, join(r.rootfs.upper, 'link')]);
    while (!existsLink(join(r.rootfs.upper, 'link'))) Bun.sleepSync(1);
    r.spec.mounts!.push({ destination: '/link/x', type: 'tmpfs', source: 'tmpfs' });
  });
  assert.ok(out.length > 0);
  assert.equal(existsSync(join(outside, 'x')), false, 'nothing was made on the host');
  const procLink = await failure(bench.run('true', (r) => {
    if (r.rootfs.kind === 'directory') return;
    r.spec.mounts![0]!.destination = '/elsewhere';
    spawn('ln', ['-s', '/tmp', join(r.rootfs.upper, 'elsewhere')]);
    while (!existsLink(join((r.rootfs as { upper: string }).upper, 'elsewhere'))) Bun.sleepSync(1);
  }));
  assert.match(procLink.message, /elsewhere/);
});

const existsLink = (path: string): boolean => {
  try {
    readlinkSync(path);
    return true;
  } catch {
    return false;
  }
};

test('the state directory and the log are as the request says', async () => {
  const log = join(bench.root, 'log');
  await bench.run('echo hello', (r) => {
    r.log = { path: log, maxSize: 0, maxFiles: 1 };
  });
  const bytes = readFileSync(log);
  const length = bytes.readUInt32LE(0);
  assert.equal(bytes.toString('utf8', 16, 16 + length), 'hello\n');
  assert.equal(statSync(log).mode & 0o007, 0);
});

test('a spawner that is killed is started again; running tasks do not notice', async () => {
  const request = bench.request(['sleep', '60']);
  const { task } = await bench.start(request);
  const spawners = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'latin1').startsWith('naru-spawner\0') && new RegExp(`^PPid:\\s+${process.pid}$`, 'm').test(readFileSync(`/proc/${name}/status`, 'utf8'));
    } catch {
      return false;
    }
  });
  assert.ok(spawners.length >= 1);
  for (const pid of spawners) process.kill(Number(pid), 'SIGKILL');
  // A request that reaches a spawner in the instant of its death goes with it: this is about the next one.
  const dead = (pid: string): boolean => !existsSync(`/proc/${pid}/stat`) || /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  for (let waited = 0; waited < 1000 && !spawners.every(dead); waited += 5) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal((await bench.run('echo again')).out, 'again\n');
  assert.equal(task.signal(9), true);
  await task.exited;
  await bench.cleanUp(request);
});

test('stats, pids, freezing and new limits of a running task', async () => {
  const request = bench.request(['sleep', '60'], (r) => {
    r.spec.linux!.resources = { ...r.spec.linux!.resources, memory: { limit: 64 << 20 }, pids: { limit: 10 } };
  });
  const { task } = await bench.start(request);
  const path = request.spec.linux!.cgroupsPath!;
  assert.deepEqual(await bench.driver.pids(path), [task.pid]);
  const stats = await bench.driver.stats(path);
  assert.equal(stats?.memory.limit, BigInt(64 << 20));
  assert.equal(stats?.pids.current, 1n);
  await bench.driver.freeze(path, true);
  await bench.driver.freeze(path, false);
  await bench.driver.update(path, { pids: { limit: 20 } });
  assert.equal((await bench.driver.stats(path))?.pids.limit, 20n);
  task.signal(9);
  await task.exited;
  await bench.cleanUp(request);
  assert.equal(await bench.driver.stats(path), undefined);
});

test('a trace holds every operation that ran, in the clock of all processes', async () => {
  const trace = new Trace('t');
  await withTrace(trace, () => bench.run('true'));
  const native = trace.spans.filter((s) => s.link === 'native');
  assert.ok(native.some((s) => s.name === 'clone') && native.some((s) => s.name === 'pivot') && native.some((s) => s.name === 'exec'));
  const encoded = trace.spans.find((s) => s.name === 'encode the plan')!;
  assert.ok(native.every((s) => s.start >= encoded.start && s.end >= s.start));
});

test('OOM kills are counted and told', async () => {
  const request = bench.request('a=x; while :; do a=$a$a$a$a; done', (r) => {
    r.spec.linux!.resources = { ...r.spec.linux!.resources, memory: { limit: 16 << 20, swap: 16 << 20 } };
  });
  const { task } = await bench.start(request);
  const told = new Promise<number>((resolve) => task.onOom(resolve));
  const status = await task.exited;
  assert.equal(status.code, 137);
  assert.ok(status.oomKills >= 1);
  assert.ok(await told >= 1);
  await bench.cleanUp(request);
});

test('exec into a user namespace, with a terminal; a cgroup that the host shows', async () => {
  const request = bench.request(['sleep', '60'], (r) => {
    r.spec.linux!.namespaces!.push({ type: 'user' });
    r.spec.linux!.uidMappings = r.spec.linux!.gidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }];
    if (r.rootfs.kind === 'overlay') chownSync(r.rootfs.upper, 100000, 100000);
  });
  const { task } = await bench.start(request);
  const exec = task.exec({ execId: 'e', process: { ...request.spec.process!, terminal: true, args: ['sh', '-c', 'tty; id -u; stty size; readlink /proc/self/ns/user'] }, spec: request.spec, io: { mode: 'pty', stdin: 'open', rows: 10, columns: 20 } });
  const [ours, theirs] = socketpair('stream');
  await exec.attach({ fd: theirs, stdin: true, stdout: true, stderr: false, framed: false, closeStdin: false, detachKeys: new Uint8Array() });
  assert.equal((await (await exec.start()).exited).code, 0);
  assert.equal(readAll(ours), `/dev/pts/0\r\n0\r\n10 20\r\n${readlinkSync(`/proc/${task.pid}/ns/user`)}\r\n`);
  task.signal(9);
  await task.exited;
  await bench.cleanUp(request);

  const { out } = await bench.run('cat /proc/self/cgroup; ls /sys/fs/cgroup/*/cgroup.procs', (r) => {
    r.spec.linux!.namespaces = r.spec.linux!.namespaces!.filter((n) => n.type !== 'cgroup');
  });
  const groups = out.split('\n').filter((line) => /^\d+:/.test(line));
  assert.ok(groups.length >= bench.driver.facts.cgroups.hierarchies.length);
  for (const line of groups) assert.match(line, /^\d+:[^:]*:\/naru-test-/, 'in every hierarchy, v2\'s too');
});

test('stdin: from a client, closed with it', async () => {
  const request = bench.request(['cat'], (r) => {
    r.io = { mode: 'pipes', stdin: 'once' };
  });
  const [ours, theirs] = socketpair('stream');
  const prepared = bench.driver.prepare(request);
  await prepared.attach({ fd: theirs, stdin: true, stdout: true, stderr: true, framed: false, closeStdin: true, detachKeys: new Uint8Array() });
  const task = await bench.driver.start(request, prepared);
  writeSync(ours, 'to and fro\n');
  const parts: Buffer[] = [];
  const socket = await adoptSocket(ours, { data: (b) => void parts.push(Buffer.from(b)), close: () => {} });
  socket.shutdown();
  assert.equal((await task.exited).code, 0);
  await Bun.sleep(10);
  assert.equal(Buffer.concat(parts).toString(), 'to and fro\n');
  socket.close();
  await bench.cleanUp(request);
});

test('a seccomp agent gets the descriptor and the state', async () => {
  const path = join(bench.root, 'agent.sock');
  const got = Promise.withResolvers<string>();
  await using _agent = createServer((socket) => socket.on('data', (bytes) => got.resolve(bytes.toString()))).listen(path);
  const request = bench.request(['sleep', '60'], (r) => {
    r.spec.linux!.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: path, listenerMetadata: 'meta', syscalls: [{ names: ['chroot'], action: 'SCMP_ACT_NOTIFY' }] };
  });
  const { task } = await bench.start(request);
  const state = JSON.parse(await got.promise) as Record<string, unknown>;
  assert.deepEqual([state.pid, state.metadata, state.fds, (state.state as { id: string }).id], [task.pid, 'meta', ['seccompFd'], request.id]);
  task.signal(9);
  await task.exited;
  await bench.cleanUp(request);
});

test('devices: in directories, with modes and owners, pipes; a rootfs without a /dev mount', async () => {
  const { out } = await bench.run('stat -c "%n %t:%T %a %u:%g" /dev/net/tun /dev/sub/dir/x /elsewhere/null /dev/pipe', (r) => {
    r.spec.linux!.devices = [
      { path: '/dev/net/tun', type: 'c', major: 10, minor: 200, fileMode: 0o600 },
      { path: '/dev/sub/dir/x', type: 'b', major: 7, minor: 300, fileMode: 0o640, uid: 3, gid: 4 },
      { path: '/elsewhere/null', type: 'c', major: 1, minor: 3 },
      { path: '/dev/pipe', type: 'p' },
      { path: '/dev/ptmx', type: 'c', major: 5, minor: 2 },
    ];
  });
  assert.equal(out, '/dev/net/tun a:c8 600 0:0\n/dev/sub/dir/x 7:12c 640 3:4\n/elsewhere/null 1:3 666 0:0\n/dev/pipe 0:0 666 0:0\n');
  const bare = await bench.run('ls /dev | wc -l; echo x > /dev/null && cat /proc/self/mounts | wc -l', (r) => {
    r.spec.mounts = r.spec.mounts!.filter((m) => m.destination === '/proc');
    r.spec.linux!.maskedPaths = r.spec.linux!.readonlyPaths = [];
  });
  assert.equal(bare.out, '11\n2\n');
  const twice = await bench.run('test -c /dev/zero && echo there', (r) => {
    r.spec.mounts = [];
    r.spec.linux!.maskedPaths = r.spec.linux!.readonlyPaths = [];
    if (r.rootfs.kind === 'overlay') mkdirSync(join(r.rootfs.upper, 'dev'));
    if (r.rootfs.kind === 'overlay') writeFileSync(join(r.rootfs.upper, 'dev/null'), '');
  });
  assert.equal(twice.out, 'there\n');
});
