import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import type { TaskRequest } from '#core/tasks/port.ts';
import { testEngine, type TestEngine } from '#test/support/engine-parts.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  for (const made of open.splice(0)) await made.close();
});

/** What the driver would be given for this request. */
async function requestOf(request: ContainerCreateRequest): Promise<TaskRequest> {
  const t = await testEngine();
  open.push(t);
  const { Id } = await t.engine.containers.create(undefined, { Image: 'busybox', ...request }, undefined);
  await t.engine.containers.start(Id, { detachKeys: '' });
  return t.driver.requests.at(-1)!;
}
const refused = (request: ContainerCreateRequest, expected: object | RegExp): Promise<void> => assert.rejects(requestOf(request), expected);

test('nothing asked for: Docker’s defaults', async () => {
  const { spec, io, log, network, durable } = await requestOf({});
  assert.deepEqual(spec.process?.args, ['sh']);
  assert.deepEqual(spec.process?.user, { uid: 0, gid: 0, additionalGids: [0] });
  assert.equal(spec.process?.capabilities?.bounding?.length, 14);
  assert.equal(spec.process?.capabilities?.inheritable, undefined);
  assert.deepEqual(spec.process?.env?.slice(0, 2), ['PATH=/bin', `HOSTNAME=${spec.hostname}`]);
  assert.ok(spec.process?.env?.includes('HOME=/root') && spec.process.env.includes('FROM=image'));
  assert.deepEqual(spec.linux?.namespaces?.map(({ type }) => type), ['mount', 'network', 'uts', 'pid', 'ipc', 'cgroup']);
  assert.ok(spec.linux?.seccomp !== undefined && spec.linux.maskedPaths!.includes('/proc/kcore'));
  assert.equal(spec.linux?.sysctl?.['net.ipv6.conf.all.disable_ipv6'], '1', 'the network’s own');
  assert.deepEqual(spec.mounts?.slice(-3).map(({ destination }) => destination), ['/etc/resolv.conf', '/etc/hostname', '/etc/hosts']);
  assert.deepEqual([io.mode, io.stdin, log?.maxFiles, network, durable], ['pipes', 'none', 5, [], true]);
});

test('limits, each with its flag', async () => {
  const { spec, sources } = await requestOf({ HostConfig: { Memory: 64 << 20, NanoCpus: 1.5e9, PidsLimit: 33, CpusetCpus: '0', BlkioWeight: 300, OomScoreAdj: 5, Ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }] } });
  const { resources } = spec.linux!;
  assert.deepEqual(resources?.memory, { limit: 64 << 20, swap: 128 << 20 });
  assert.deepEqual(resources?.cpu, { period: 100_000, quota: 150_000, cpus: '0' });
  assert.deepEqual([resources?.pids?.limit, resources?.blockIO?.weight, spec.process?.oomScoreAdj], [33, 300, 5]);
  assert.deepEqual(spec.process?.rlimits, [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 }]);
  assert.equal(sources?.get('/linux/resources/cpu/quota'), '--cpus 1.5');
  assert.equal(sources?.get('/process/rlimits/0'), '--ulimit nofile=10:20');
});

test('mounts: precedence, options, order, flags', async () => {
  const { spec, sources } = await requestOf({
    HostConfig: {
      Binds: ['/tmp:/deep/er:ro,rslave', 'vol:/deep'], Tmpfs: { '/t': 'size=1m,exec' }, ShmSize: 1 << 20,
      Mounts: [{ Type: 'volume', Source: 'vol2', Target: '/s', VolumeOptions: { Subpath: 'a/b' } }],
    }, Volumes: { '/deep': {}, '/anon': {} },
  });
  const at = (destination: string) => spec.mounts!.find((mount) => mount.destination === destination)!;
  const index = (destination: string): number => spec.mounts!.findIndex((mount) => mount.destination === destination);
  assert.deepEqual(at('/deep/er').options, ['rbind', 'rslave', 'rro']);
  assert.ok(index('/deep') < index('/deep/er'), 'parents first');
  assert.match(at('/deep').source!, /volumes\/vol\/_data$/);
  assert.deepEqual(at('/t').options, ['nosuid', 'nodev', 'size=1m', 'rprivate']);
  assert.ok(at('/s').options!.includes('x-naru.subpath=a/b'));
  assert.ok(at('/dev/shm').options!.includes('size=1048576'));
  assert.equal(sources!.get(`/mounts/${index('/deep/er')}`), '--volume /tmp:/deep/er:ro,rslave');
  assert.equal(spec.linux?.rootfsPropagation, 'rslave');
  assert.ok(index('/anon') > 0);
});

test('privileged, security options, capabilities, users', async () => {
  const privileged = await requestOf({ HostConfig: { Privileged: true } });
  assert.equal(privileged.spec.linux?.seccomp, undefined);
  assert.deepEqual([privileged.spec.linux?.maskedPaths, privileged.spec.linux?.resources?.devices], [[], [{ allow: true, access: 'rwm' }]]);
  assert.ok(privileged.spec.mounts!.find(({ type }) => type === 'sysfs')!.options!.includes('rw'));
  const strict = await requestOf({ User: 'alice', HostConfig: { CapDrop: ['ALL'], CapAdd: ['net_admin'], SecurityOpt: ['no-new-privileges', 'seccomp=unconfined', 'systempaths=unconfined'], GroupAdd: ['777'] } });
  assert.deepEqual(strict.spec.process?.capabilities, { bounding: ['CAP_NET_ADMIN'] }, 'another user than root gets no effective ones');
  assert.deepEqual(strict.spec.process?.user, { uid: 1000, gid: 1000, additionalGids: [1000, 50, 777] });
  assert.deepEqual([strict.spec.process?.noNewPrivileges, strict.spec.linux?.seccomp, strict.spec.linux?.readonlyPaths], [true, undefined, []]);
  await refused({ User: 'nobodyhere' }, /unable to find user nobodyhere: no matching entries in passwd file/);
  await refused({ HostConfig: { CapAdd: ['NOPE'] } }, /invalid CapAdd: unknown capability: "CAP_NOPE"/);
});

test('modes', async () => {
  const { spec, init } = await requestOf({ HostConfig: { NetworkMode: 'host', PidMode: 'host', IpcMode: 'host', UTSMode: 'host', CgroupnsMode: 'host', Init: true } });
  assert.equal(init, false);
  assert.deepEqual(spec.linux?.namespaces, [{ type: 'mount' }]);
  assert.equal(spec.mounts!.find(({ destination }) => destination === '/dev/shm')!.source, '/dev/shm');
  assert.equal(spec.hostname, undefined);
  const tty = await requestOf({ Tty: true, OpenStdin: true, HostConfig: { ConsoleSize: [20, 80], Init: true, ReadonlyRootfs: true, AutoRemove: true } });
  assert.deepEqual([tty.io, tty.init, tty.durable, tty.spec.root?.readonly], [{ mode: 'pty', stdin: 'open', rows: 20, columns: 80 }, ['/sbin/docker-init', '--', ...(tty.spec.process?.args ?? [])], false, true]);
  assert.ok(tty.spec.process!.env!.includes('TERM=xterm'));
});

test('another container’s namespaces', async () => {
  const t = await testEngine();
  open.push(t);
  const donor = await t.engine.containers.create('donor', { Image: 'busybox', HostConfig: { IpcMode: 'shareable' } }, undefined);
  const joined = await t.engine.containers.create('joined', { Image: 'busybox', HostConfig: { NetworkMode: 'container:donor', PidMode: 'container:donor', IpcMode: 'container:donor' } }, undefined);
  await assert.rejects(t.engine.containers.start(joined.Id, { detachKeys: '' }), new RegExp(`container ${donor.Id} is not running`));
  await t.engine.containers.start(donor.Id, { detachKeys: '' });
  await t.engine.containers.start(joined.Id, { detachKeys: '' });
  const { spec } = t.driver.requests.at(-1)!;
  assert.deepEqual(spec.linux?.namespaces, [
    { type: 'mount' }, { type: 'network', path: '/proc/1000/ns/net' }, { type: 'uts' }, { type: 'pid', path: '/proc/1000/ns/pid' }, { type: 'ipc', path: '/proc/1000/ns/ipc' }, { type: 'cgroup' },
  ]);
  assert.match(spec.mounts!.find(({ destination }) => destination === '/dev/shm')!.source!, /\/shm$/);
  const plain = await t.engine.containers.create('plain', { Image: 'busybox' }, undefined);
  await assert.rejects(t.engine.containers.create('x1', { Image: 'busybox', HostConfig: { IpcMode: `container:${plain.Id}` } }, undefined), /non-shareable IPC/);
});

test('refusals in Docker’s words', async () => {
  const cases: [ContainerCreateRequest, string | RegExp][] = [
    [{ Cmd: [], Entrypoint: [''] }, 'no command specified'],
    [{ WorkingDir: 'rel' }, "the working directory 'rel' is invalid, it needs to be an absolute path"],
    [{ HostConfig: { Memory: 8 << 20, MemorySwap: 7 << 20 } }, 'Minimum memoryswap limit should be larger than memory limit, see usage'],
    [{ HostConfig: { MemorySwap: 8 << 20 } }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
    [{ HostConfig: { NanoCpus: 1e15 } }, /range of CPUs is from 0.01 to \d+.00, as there are only \d+ CPUs available/],
    [{ HostConfig: { CpusetCpus: 'x' } }, 'Invalid value x for cpuset cpus'],
    [{ HostConfig: { CpusetCpus: '8000' } }, /Requested CPUs are not available - requested 8000, available: /],
    [{ HostConfig: { AutoRemove: true, RestartPolicy: { Name: 'always' } } }, "can't create 'AutoRemove' container with restart policy"],
    [{ HostConfig: { RestartPolicy: { Name: 'sometimes' as never } } }, "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"],
    [{ HostConfig: { Binds: ['a:b'] } }, "invalid volume specification: 'a:b': invalid mount config for type \"volume\": invalid mount path: 'b' mount path must be absolute"],
    [{ HostConfig: { Binds: ['/a:/'] } }, "invalid volume specification: '/a:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'"],
    [{ HostConfig: { CgroupnsMode: 'sometimes' as never } }, 'invalid cgroup namespace mode: sometimes'],
    [{ HostConfig: { Mounts: [{ Type: 'floppy' as never, Source: 'v1', Target: '/x' }] } }, 'invalid mount config for type "floppy": mount type unknown'],
    [{ HostConfig: { Tmpfs: { x: '' } } }, "invalid mount path: 'x' mount path must be absolute"],
    [{ HostConfig: { NanoCpus: 1e9, CpuQuota: 100_000 } }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
    [{ HostConfig: { Binds: ['/a:/b', '/c:/b'] } }, 'Duplicate mount point: /b'],
    [{ HostConfig: { Binds: ['/a:/b:wat'] } }, 'invalid mode: wat'],
    [{ HostConfig: { Binds: ['../x:/b'] } }, /includes invalid characters for a local volume name/],
    [{ HostConfig: { Mounts: [{ Type: 'bind', Source: '/nonesuch', Target: '/x' }] } }, 'invalid mount config for type "bind": bind source path does not exist: /nonesuch'],
    [{ HostConfig: { Mounts: [{ Type: 'volume', Source: 'v1', Target: '/x', VolumeOptions: { Subpath: '../up' } }] } }, /subpath must be a relative path within the volume/],
    [{ HostConfig: { Tmpfs: { '/t': 'wat' } } }, 'invalid tmpfs option ["wat"]'],
    [{ HostConfig: { Sysctls: { 'kernel.core_pattern': 'x' } } }, 'sysctl "kernel.core_pattern" is not in a separate kernel namespace'],
    [{ HostConfig: { Sysctls: { 'net/../kernel/core_pattern': 'x' } } }, /invalid sysctl name/],
    [{ HostConfig: { Sysctls: { 'kernel.shm_rmid_forced': '1+kernel.core_pattern=\n' } } }, /invalid value for sysctl/],
    [{ HostConfig: { NetworkMode: 'host', Sysctls: { 'net.ipv4.ip_forward': '1' } } }, 'sysctl "net.ipv4.ip_forward" not allowed in host network namespace'],
    [{ HostConfig: { DeviceRequests: [{ Driver: '', Count: -1, Capabilities: [['gpu']] }] } }, 'could not select device driver "" with capabilities: [[gpu]]'],
    [{ HostConfig: { LogConfig: { Type: 'nope', Config: {} } } }, "logger: no log driver named 'nope' is registered"],
    [{ HostConfig: { LogConfig: { Type: 'json-file', Config: { x: 'y' } } } }, "unknown log opt 'x' for json-file log driver"],
    [{ HostConfig: { Devices: [{ PathOnHost: '/nonesuch', PathInContainer: '', CgroupPermissions: 'rwm' }] } }, /error gathering device information while adding custom device "\/nonesuch": no such file or directory/],
    [{ HostConfig: { PortBindings: { '99999/tcp': [] } } }, 'invalid port specification: "99999"'],
    [{ HostConfig: { NetworkMode: 'nope' } }, 'failed to set up container networking: network nope not found'],
    [{ HostConfig: { UTSMode: 'host' }, Hostname: 'h' }, 'conflicting options: hostname and the UTS mode'],
    [{ HostConfig: { SecurityOpt: ['nope=1'] } }, 'invalid --security-opt 2: "nope=1"'],
    [{ HostConfig: { ExtraHosts: ['x:y'] } }, 'invalid IP address in add-host: "y"'],
    [{ StopSignal: 'NOPE' }, 'invalid signal: NOPE'],
    [{ Env: ['=x'] }, 'invalid environment variable: =x'],
    [{ Volumes: { '/proc': {} } }, /a volume cannot be mounted over \/proc/],
    [{ HostConfig: { CgroupParent: '/a/../../b' } }, /invalid cgroup parent/],
  ];
  for (const [request, expected] of cases) {
    await assert.rejects(requestOf(request), typeof expected === 'string' ? { message: expected } : expected, JSON.stringify(request));
    await open.pop()!.close();
  }
});

test('a plan makes nothing', async () => {
  const t = await testEngine();
  open.push(t);
  const before = t.store.snapshotsMade.size;
  assert.equal(await t.engine.containers.plan('web', { Image: 'busybox', Cmd: ['x', 'y'], HostConfig: { Binds: ['not-there:/v', `${t.root}/nonesuch:/b`] }, Volumes: { '/anon': {} } }), 'plan of x y');
  assert.deepEqual([t.store.snapshotsMade.size, t.network.live.size, (await t.engine.volumes.list(new Map())).Volumes.length], [before, 0, 0]);
  assert.equal((await import('node:fs')).existsSync(`${t.root}/nonesuch`), false);
});

test('hello is told the chain that it came by', async () => {
  const { spec } = await requestOf({ Labels: { 'naru.chain': '1' } });
  assert.match(spec.process!.env!.find((variable) => variable.startsWith('NARU_CHAIN='))!, /^NARU_CHAIN=engine create=\d+:\d+,engine start=\d+:\d+,runtime start=\d+:0$/);
});
