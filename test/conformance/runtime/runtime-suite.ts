import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, lchownSync, existsSync, mkdirSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test as register } from 'node:test';
import { detectCgroups } from '#runtime/cgroups/detect-cgroups.ts';
import { CAPABILITIES } from '#runtime/capabilities/capabilities.ts';
import type { OciMount, OciSpec } from '#spec/oci-runtime.ts';
import { mountsOf } from '../../support/host-mounts.ts';
import { until } from '../../support/runtime-bundles.ts';
import { APPARMOR, profilePolicy } from './apparmor-profile.ts';
import { type Seen, type Stat, Subject } from './probe.ts';

const EROFS = 30, EPERM = 1, ENOSYS = 38;
const capabilities = (seen: Seen, set: string): string[] => {
  const mask = BigInt(`0x${new RegExp(`^Cap${set}:\\s*([0-9a-f]+)`, 'm').exec(seen.status)![1]}`);
  return CAPABILITIES.filter((_, i) => ((mask >> BigInt(i)) & 1n) === 1n);
};
/** The fields of the last mount at a path: `options`, `super` and what propagates. */
function mountAt(seen: Seen, path: string): { options: string[]; type: string; superOptions: string[]; optional: string } {
  const line = seen.mounts.trim().split('\n').findLast((l) => l.split(' ')[4] === path);
  assert.ok(line, `nothing is mounted at ${path}:\n${seen.mounts}`);
  const [front, back] = line.split(' - ') as [string, string];
  return { options: front.split(' ')[5]!.split(','), optional: front.split(' ').slice(6).join(' '), type: back.split(' ')[0]!, superOptions: back.split(' ')[2]!.split(',') };
}

/** On emulated processors only what depends on the kernel and its cgroups. */
const IN_GUEST = /^(namespaces|a user namespace|cgroup limits|devices that|hooks|AppArmor)/;
function test(name: string, work: () => void | Promise<void>): void {
  if (process.env['NARU_TEST_SLOW'] === undefined || IN_GUEST.test(name)) register(name, work);
}

/** What runtime-spec 1.2 and 1.3 promise of a Linux container, looked at from inside it. A function over any runtime with
 *  runc's command line. */
export function runtimeSuite(name: string, command?: readonly string[]): void {
  describe(`${name}: a bundle`, () => {
    let subject: Subject;
    before(() => { subject = new Subject(command); });
    after(() => subject.dispose());
    const see = (questions: string[], change?: (spec: OciSpec) => void): Seen => subject.see(questions, change);
    const mounted = (...mounts: OciMount[]) => (spec: OciSpec): void => void spec.mounts!.push(...mounts);

    test('process: arguments, environment, directory, user, groups, umask, streams', () => {
      const seen = see([], (s) => {
        Object.assign(s.process!, { cwd: '/tmp', env: ['A=b c', 'EMPTY=', 'PATH=/bin'], user: { uid: 5, gid: 6, additionalGids: [7, 8], umask: 0o27 } });
        s.process!.args!.push('x y', '');
      });
      assert.deepEqual([seen.args, seen.env, seen.cwd], [['/probe', 'x y', ''], ['A=b c', 'EMPTY=', 'PATH=/bin'], '/tmp']);
      assert.deepEqual([seen.uid, seen.gid, seen.umask, seen.pid], [5, 6, 0o27, 1]);
      assert.deepEqual(seen.groups.filter((g) => g !== 6), [7, 8]);
      assert.deepEqual(seen.fds, [0, 1, 2]);
    });

    test('process: five sets of capabilities, each as it is asked for', () => {
      const sets = { bounding: ['CAP_KILL', 'CAP_CHOWN', 'CAP_SETUID'], permitted: ['CAP_KILL', 'CAP_CHOWN'], effective: ['CAP_KILL'], inheritable: ['CAP_KILL'], ambient: ['CAP_KILL'] };
      const seen = see([], (s) => Object.assign(s.process!, { capabilities: sets, user: { uid: 9, gid: 9 } }));
      assert.deepEqual(['Bnd', 'Inh', 'Amb'].map((set) => capabilities(seen, set).sort()), [[...sets.bounding].sort(), ['CAP_KILL'], ['CAP_KILL']]);
      // After an exec by somebody who is not root, what is ambient is what is permitted and effective.
      assert.deepEqual(['Prm', 'Eff'].map((set) => capabilities(seen, set)), [['CAP_KILL'], ['CAP_KILL']]);
    });

    test('process: limits, oomScoreAdj, noNewPrivileges', () => {
      const seen = see([], (s) => Object.assign(s.process!, { rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }, { type: 'RLIMIT_CORE', soft: 0, hard: 0 }, { type: 'RLIMIT_STACK', soft: 1 << 20, hard: 1 << 21 }], oomScoreAdj: 321, noNewPrivileges: true }));
      assert.deepEqual([seen.limits[7], seen.limits[4], seen.limits[3]], [[100, 200], [0, 0], [1 << 20, 1 << 21]]);
      assert.deepEqual([seen.oomScoreAdj, seen.noNewPrivileges, see([]).noNewPrivileges], ['321\n', 1, 0]);
    });

    test('process: scheduler, ioPriority; linux: personality', () => {
      const seen = see([], (s) => {
        Object.assign(s.process!, { scheduler: { policy: 'SCHED_BATCH', nice: 7, flags: ['SCHED_FLAG_RESET_ON_FORK'] }, ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 6 } });
        s.linux!.personality = { domain: 'LINUX32' };
        delete s.linux!.seccomp;
      });
      assert.deepEqual([seen.policy, seen.nice, seen.schedulerFlags & 1, seen.ioPriority, seen.personality, seen.machine], [3, 7, 1, (2 << 13) | 6, 8, 'i686']);
    });

    test('process: a terminal of its own, in the foreground of the size of the caller\'s', () => {
      const { id, path } = subject.bundle([], (s) => Object.assign(s.process!, { terminal: true, consoleSize: { height: 33, width: 99 } }));
      const run = subject.bundles.command('run', '-b', path, id).map((w) => `'${w}'`).join(' ');
      const ran = spawnSync('script', ['-qec', `stty rows 17 cols 71; ${run}`, '/dev/null'], { encoding: 'utf8', timeout: 20_000 });
      // What script sends at the end of its own input may be echoed anywhere.
      const out = ran.stdout.replaceAll(/\^[@D][\b]*/g, '');
      const seen = JSON.parse(out.slice(out.indexOf('{'))) as Seen;
      assert.deepEqual([seen.terminal, seen.session, seen.rows, seen.columns], [1, 1, 17, 71]);
    });

    test('root and uts: a read-only rootfs, names', () => {
      const seen = see(['write', '/x', 'write', '/dev/shm/x'], (s) => Object.assign(s, { hostname: 'some-host', domainname: 'example.org', root: { path: 'rootfs', readonly: true } }));
      assert.deepEqual([seen['write /x'], seen['write /dev/shm/x'], seen.hostname, seen.domainname], [EROFS, 0, 'some-host', 'example.org']);
    });

    test('namespaces: new, inherited, joined', () => {
      const own = (ns: string): string => readlinkSync(`/proc/self/ns/${ns}`);
      const seen = see([], (s) => { s.linux!.namespaces = [{ type: 'mount' }, { type: 'pid' }, { type: 'uts', path: '/proc/self/ns/uts' }, { type: 'ipc' }, { type: 'cgroup' }, { type: 'time' }]; });
      for (const ns of ['mnt', 'pid', 'ipc', 'cgroup', 'time']) assert.notEqual(seen[`/proc/self/ns/${ns}`], own(ns), ns);
      for (const ns of ['net', 'user', 'uts']) assert.equal(seen[`/proc/self/ns/${ns}`], own(ns), ns);
    });

    test('net, ipc and uts namespaces that somebody else holds; hooks of the runtime stay in its own', async () => {
      const kinds = { network: 'net', ipc: 'ipc', uts: 'uts' } as const;
      const holder = spawn('unshare', ['-n', '-i', '-u', 'sleep', '100'], { stdio: 'ignore' });
      try {
        const link = (who: string | number, ns: string): string => readlinkSync(`/proc/${who}/ns/${ns}`);
        assert.ok(await until(() => Object.values(kinds).every((ns) => link(holder.pid!, ns) !== link('self', ns)) && readFileSync(`/proc/${holder.pid}/cmdline`, 'utf8').startsWith('sleep')));
        const noted = join(subject.bundles.top, 'where-hooks-ran');
        const seen = see([], (s) => {
          s.linux!.namespaces = [...s.linux!.namespaces!.filter(({ type }) => !(type in kinds)), ...Object.entries(kinds).map(([type, ns]) => ({ type, path: `/proc/${holder.pid}/ns/${ns}` }))] as never;
          delete s.hostname;
          s.hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', `for ns in net ipc uts; do readlink /proc/self/ns/$ns; done > ${noted}`] }] };
        });
        for (const ns of Object.values(kinds)) assert.equal(seen[`/proc/self/ns/${ns}`], link(holder.pid!, ns), ns);
        assert.deepEqual(readFileSync(noted, 'utf8').trim().split('\n'), Object.values(kinds).map((ns) => link('self', ns)));
      } finally {
        holder.kill('SIGKILL');
      }
    });

    test('user and mount namespaces that somebody else holds', async () => {
      const map = '0 100000 1000';
      const holder = spawn('unshare', ['-U', '-m', '--propagation', 'private', 'sleep', '100'], { stdio: 'ignore' });
      try {
        const at = `/proc/${holder.pid}`;
        assert.ok(await until(() => readlinkSync(`${at}/ns/user`) !== readlinkSync('/proc/self/ns/user') && readFileSync(`${at}/cmdline`, 'utf8').startsWith('sleep')));
        for (const file of ['uid_map', 'gid_map']) writeFileSync(`${at}/${file}`, map);
        const bundleOf = (questions: string[], paths: Readonly<Record<string, string>>): { id: string; path: string } => {
          const bundle = subject.bundle(questions, (s) => { s.linux!.namespaces = [...s.linux!.namespaces!.filter(({ type }) => paths[type] === undefined), ...Object.entries(paths).map(([type, path]) => ({ type, path }))] as never; });
          for (const file of [bundle.rootfs, ...(readdirSync(bundle.rootfs, { recursive: true }) as string[]).map((f) => join(bundle.rootfs, f))]) lchownSync(file, 100_000, 100_000);
          return bundle;
        };
        const user = bundleOf([], { user: `${at}/ns/user` });
        const seen = JSON.parse(subject.bundles.run(['run', '-b', user.path, user.id]).out) as Seen;
        assert.deepEqual([seen['/proc/self/ns/user'], seen.uidMap.trim().split(/\s+/).join(' '), seen.uid], [readlinkSync(`${at}/ns/user`), map, 0]);
      } finally {
        holder.kill('SIGKILL');
      }
      const mounts = spawn('unshare', ['-m', '--propagation', 'private', 'sleep', '100'], { stdio: 'ignore' });
      try {
        const at = `/proc/${mounts.pid}/ns/mnt`;
        assert.ok(await until(() => readlinkSync(at) !== readlinkSync('/proc/self/ns/mnt') && readFileSync(`/proc/${mounts.pid}/cmdline`, 'utf8').startsWith('sleep')));
        const before = mountsOf('self', subject.bundles.top);
        const seen = see([], (s) => { s.linux!.namespaces!.find(({ type }) => type === 'mount')!.path = at; });
        assert.equal(seen['/proc/self/ns/mnt'], readlinkSync(at));
        assert.deepEqual(mountsOf('self', subject.bundles.top), before);
      } finally {
        mounts.kill('SIGKILL');
      }
    });

    test('a user namespace: mappings, devices, the owner of what is made', () => {
      const owner = 100_000;
      const { id, path, rootfs } = subject.bundle(['write', '/tmp/x', 'stat', '/dev/null', 'write', '/dev/null'], (s) => {
        s.linux!.namespaces!.push({ type: 'user' });
        s.linux!.uidMappings = s.linux!.gidMappings = [{ containerID: 0, hostID: owner, size: 1000 }];
      });
      for (const file of [rootfs, ...(readdirSync(rootfs, { recursive: true }) as string[]).map((f) => join(rootfs, f))]) lchownSync(file, owner, owner);
      chownSync(path, 0, 0);
      spawnSync('chmod', ['711', subject.bundles.top]);
      const ran = subject.bundles.run(['run', '-b', path, id]);
      assert.equal(ran.status, 0, ran.err);
      const seen = JSON.parse(ran.out) as Seen;
      assert.match(seen.uidMap, /^\s+0\s+100000\s+1000\n$/);
      assert.match(seen.gidMap, /^\s+0\s+100000\s+1000\n$/);
      assert.deepEqual([seen.uid, seen['write /tmp/x'], seen['write /dev/null'], (seen['stat /dev/null'] as Stat).type], [0, 0, 0, 'c']);
    });

    test('time offsets', () => {
      const seen = see([], (s) => {
        s.linux!.namespaces!.push({ type: 'time' });
        s.linux!.timeOffsets = { boottime: { secs: 5000, nanosecs: 3 }, monotonic: { secs: 77 } };
      });
      assert.match(seen.timeOffsets, /^monotonic\s+77\s+0\nboottime\s+5000\s+3\n$/);
    });

    test('devices: the default ones, and those that are listed', () => {
      const seen = see(['stat', '/dev/full', 'stat', '/dev/mine', 'stat', '/dev/sub/fifo', 'stat', '/dev/ptmx', 'stat', '/dev/stdin', 'write', '/dev/null'], (s) => {
        s.linux!.devices = [{ path: '/dev/mine', type: 'c', major: 10, minor: 200, fileMode: 0o640, uid: 3, gid: 4 }, { path: '/dev/sub/fifo', type: 'p', fileMode: 0o600 }];
      });
      const stat = (path: string): Stat => seen[`stat ${path}`] as Stat;
      assert.deepEqual([stat('/dev/full').type, stat('/dev/full').major, stat('/dev/full').minor, stat('/dev/full').mode], ['c', 1, 7, 0o666]);
      const mine = stat('/dev/mine');
      assert.deepEqual([mine.type, mine.major, mine.minor, mine.mode, mine.uid, mine.gid], ['c', 10, 200, 0o640, 3, 4]);
      assert.deepEqual([stat('/dev/sub/fifo').type, stat('/dev/sub/fifo').mode, stat('/dev/ptmx').type, stat('/dev/stdin').type], ['p', 0o600, 'l', 'l']);
    });

    test('mounts: attributes, their recursive forms, order, propagation', () => {
      const host = join(subject.bundles.top, 'host');
      mkdirSync(join(host, 'below'), { recursive: true });
      assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'probe', join(host, 'below')]).status, 0);
      try {
        const seen = see(['write', '/ro/x', 'write', '/ro/below/x', 'write', '/rro/below/x'], mounted(
          { destination: '/ro', source: host, options: ['rbind', 'ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime', 'rprivate'] },
          { destination: '/rro', source: host, options: ['rbind', 'rro', 'rnosuid', 'rnodev', 'rnoexec', 'rstrictatime', 'rslave'] },
          { destination: '/shared', type: 'tmpfs', source: 'tmpfs', options: ['size=1m', 'mode=1700', 'shared'] },
          { destination: '/shared/deep', type: 'tmpfs', source: 'tmpfs', options: ['nosymfollow', 'relatime'] },
        ));
        assert.deepEqual([seen['write /ro/x'], seen['write /ro/below/x'], seen['write /rro/below/x']], [EROFS, 0, EROFS]);
        for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime']) assert.ok(mountAt(seen, '/ro').options.includes(option), option);
        assert.ok(!mountAt(seen, '/ro/below').options.includes('ro'));
        for (const option of ['ro', 'nosuid', 'nodev', 'noexec']) assert.ok(mountAt(seen, '/rro/below').options.includes(option), option);
        assert.ok(!mountAt(seen, '/rro/below').options.includes('relatime'));
        assert.equal(mountAt(seen, '/ro').optional, '');
        assert.match(mountAt(seen, '/shared').optional, /shared:/);
        assert.ok(mountAt(seen, '/shared').superOptions.includes('size=1024k') && mountAt(seen, '/shared').superOptions.includes('mode=1700'));
        assert.ok(mountAt(seen, '/shared/deep').options.includes('nosymfollow'));
      } finally {
        spawnSync('umount', [join(host, 'below')]);
      }
    });

    test('mounts: ids of their own, also for what is mounted below; tmpcopyup', () => {
      const host = join(subject.bundles.top, 'ids');
      mkdirSync(join(host, 'below'), { recursive: true });
      assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'probe', join(host, 'below')]).status, 0);
      try {
        for (const file of [join(host, 'a'), join(host, 'below/b')]) {
          writeFileSync(file, '');
          chownSync(file, 11, 12);
        }
        const maps = { uidMappings: [{ containerID: 11, hostID: 2011, size: 1 }], gidMappings: [{ containerID: 12, hostID: 2012, size: 1 }] };
        const seen = see(['stat', '/one/a', 'stat', '/one/below/b', 'stat', '/all/below/b', 'stat', '/bin/busybox', 'write', '/bin/new'], (s) => {
          mounted({ destination: '/one', source: host, options: ['rbind', 'idmap'], ...maps }, { destination: '/all', source: host, options: ['rbind', 'ridmap'], ...maps }, { destination: '/bin', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] })(s);
        });
        const ids = (path: string): number[] => [(seen[`stat ${path}`] as Stat).uid, (seen[`stat ${path}`] as Stat).gid];
        assert.deepEqual([ids('/one/a'), ids('/one/below/b'), ids('/all/below/b')], [[2011, 2012], [11, 12], [2011, 2012]]);
        assert.deepEqual([mountAt(seen, '/bin').type, (seen['stat /bin/busybox'] as Stat).type, seen['write /bin/new']], ['tmpfs', 'f', 0]);
      } finally {
        spawnSync('umount', [join(host, 'below')]);
      }
    });

    for (const [propagation, optional] of [['shared', /shared:/], ['rshared', /shared:/], ['slave', /^(?!.*shared)/], ['private', /^$/], ['unbindable', /unbindable/], ['rprivate', /^$/]] as const) {
      test(`rootfsPropagation ${propagation}: the rootfs has it, the host sees nothing`, () => {
        const before = readFileSync('/proc/self/mountinfo', 'utf8');
        const seen = see([], (s) => {
          s.linux!.rootfsPropagation = propagation;
          mounted({ destination: '/v', source: '/tmp', options: ['bind'] })(s);
        });
        assert.match(mountAt(seen, '/').optional, optional);
        assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(subject.bundles.top), before);
      });
    }

    test('masked and read-only paths, sysctls', () => {
      const seen = see(['read', '/proc/sys/net/ipv4/ip_forward', 'write', '/proc/sys/net/ipv4/ip_forward', 'stat', '/masked', 'read', '/masked', 'stat', '/hidden/x', 'write', '/ro/x'], (s) => {
        mounted({ destination: '/masked', source: '/etc/hostname', options: ['bind'] }, { destination: '/hidden', source: '/etc', options: ['bind'] }, { destination: '/ro', type: 'tmpfs', source: 'tmpfs' })(s);
        s.linux!.sysctl = { 'net.ipv4.ip_forward': '1', 'kernel.shm_rmid_forced': '1' };
        s.linux!.maskedPaths = ['/masked', '/hidden', '/not/there'];
        s.linux!.readonlyPaths!.push('/ro', '/not/there');
      });
      assert.deepEqual([seen['read /proc/sys/net/ipv4/ip_forward'], seen['write /proc/sys/net/ipv4/ip_forward'], seen['read /masked'], (seen['stat /masked'] as Stat).type, (seen['stat /hidden/x'] as Stat).errno, seen['write /ro/x']], ['1\n', EROFS, '', 'c', 2, EROFS]);
    });

    test('seccomp: an errno, comparators, flags; without one there is none', () => {
      const seen = see([], (s) => {
        s.linux!.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', flags: ['SECCOMP_FILTER_FLAG_LOG'], syscalls: [
          { names: ['get_mempolicy'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
          { names: ['ioprio_get'], action: 'SCMP_ACT_ERRNO', errnoRet: 7, args: [{ index: 0, value: 1, op: 'SCMP_CMP_EQ' }] },
          { names: ['getppid'], action: 'SCMP_ACT_LOG' },
        ] };
      });
      assert.deepEqual([seen.seccomp, seen.memoryPolicy, seen.ioPriority, see([], (s) => delete s.linux!.seccomp).seccomp], [2, -1, -1, 0]);
    });

    for (const [action, code] of [['SCMP_ACT_KILL_PROCESS', 159], ['SCMP_ACT_KILL', 159], ['SCMP_ACT_TRAP', 159], ['SCMP_ACT_TRACE', 0]] as const) {
      test(`seccomp: ${action}`, () => {
        const { id, path } = subject.bundle([], (s) => { s.linux!.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['get_mempolicy'], action }] }; });
        assert.equal(subject.bundles.run(['run', '-b', path, id]).status, code);
      });
    }

    test('seccomp: an agent answers in the kernel\'s place, and knows for whom', async () => {
      const [agent, socket] = ['agent', 'agent.sock'].map((file) => join(subject.bundles.top, file)) as [string, string];
      const built = spawnSync('cc', ['-O1', '-w', '-o', agent, join(import.meta.dirname, 'seccomp-agent.c')], { encoding: 'utf8' });
      assert.equal(built.status, 0, built.stderr);
      const answering = spawn(agent, [socket, '24579'], { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      answering.stdout.on('data', (bytes: Buffer) => { said += bytes.toString(); });
      const ended = new Promise<number | null>((resolve) => answering.once('exit', resolve));
      assert.ok(await until(() => said.startsWith('ready')), 'the agent does not listen');
      const { id, path } = subject.bundle([], (s) => {
        s.linux!.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: socket, listenerMetadata: 'for the agent', syscalls: [{ names: ['ioprio_get'], action: 'SCMP_ACT_NOTIFY' }] };
      });
      const ran = subject.bundles.run(['run', '-b', path, id]);
      assert.equal(ran.status, 0, ran.err);
      assert.equal((JSON.parse(ran.out) as Seen).ioPriority, 24579);
      assert.equal(await ended, 0);
      const [, state, call] = said.split('\n') as [string, string, string];
      const told = JSON.parse(state) as { fds: string[]; pid: number; metadata: string; ociVersion: string; state: { id: string; status: string; bundle: string } };
      assert.deepEqual([told.fds, told.metadata, told.state.id, told.state.status, told.state.bundle], [['seccompFd'], 'for the agent', id, 'creating', path]);
      assert.ok(told.pid > 1 && /^call \d+$/.test(call));
    });

    test('cgroup limits are the kernel\'s: memory, processes, processors, files of v2 by name', () => {
      const host = detectCgroups();
      const { id, path } = subject.bundles.bundle(['sleep', '60'], (s) => {
        s.linux!.resources = { ...s.linux!.resources, memory: { limit: 64 << 20, reservation: 32 << 20 }, pids: { limit: 33 }, cpu: { quota: 50_000, period: 100_000, shares: 512, cpus: '0' }, ...(host.version === 2 && { unified: { 'memory.high': String(48 << 20) } }) };
      });
      assert.equal(subject.bundles.background('run', '-d', '-b', path, id), 0);
      const read = (controller: string, v1: string, v2: string): string => {
        const hierarchy = host.hierarchies.find((h) => h.controllers.includes(controller))!;
        return readFileSync(`${hierarchy.mountPoint}${subject.bundles.parent}/${id}/${hierarchy.unified ? v2 : v1}`, 'utf8').trim();
      };
      assert.equal(read('memory', 'memory.limit_in_bytes', 'memory.max'), String(64 << 20));
      assert.equal(read('memory', 'memory.soft_limit_in_bytes', 'memory.low'), String(32 << 20));
      assert.equal(read('pids', 'pids.max', 'pids.max'), '33');
      assert.equal(read('cpuset', 'cpuset.cpus', 'cpuset.cpus'), '0');
      assert.equal(read('cpu', 'cpu.cfs_quota_us', 'cpu.max').split(' ')[0], '50000');
      assert.match(read('cpu', 'cpu.shares', 'cpu.weight'), host.version === 2 ? /^(20|59)$/ : /^512$/);
      if (host.version === 2) assert.equal(read('memory', '', 'memory.high'), String(48 << 20));
      subject.bundles.run(['delete', '--force', id]);
    });

    test('cgroup limits of RDMA devices: one that is not there is the kernel\'s to refuse, where it has the controller', () => {
      const { id, path } = subject.bundles.bundle('true', (s) => { s.linux!.resources!.rdma = { none0: { hcaHandles: 3, hcaObjects: 10 } }; });
      const refused = subject.bundles.run(['run', '-b', path, id]);
      assert.equal(refused.status, 1);
      const has = detectCgroups().hierarchies.some((h) => h.controllers.includes('rdma'));
      assert.match(refused.err, has ? /^runtime run failed: \/linux\/resources\/rdma\/none0: .*rdma\.max: no such device/ : /^runtime run failed: \/linux\/resources\/rdma.*: .*rdma/);
      assert.deepEqual(subject.bundles.left(), []);
    });

    // Where the kernel has groups of real-time processes (v1 alone); below a group without such time none can have any, so this one lies at the top.
    const realTime = detectCgroups().hierarchies.find((h) => !h.unified && h.controllers.includes('cpu') && existsSync(`${h.mountPoint}/cpu.rt_runtime_us`));
    if (realTime !== undefined) {
      test('cgroup limits: real-time processes have the time that is asked for, without it there are none', () => {
        const fifo = (runtime?: number) => (s: OciSpec): void => {
          s.process!.scheduler = { policy: 'SCHED_FIFO', priority: 7 };
          s.linux!.cgroupsPath = `/naru-real-time-${process.pid}`;
          if (runtime !== undefined) s.linux!.resources = { ...s.linux!.resources, cpu: { realtimeRuntime: runtime, realtimePeriod: 500_000 } };
        };
        const { id, path } = subject.bundles.bundle(['sleep', '60'], fifo(4000));
        assert.equal(subject.bundles.background('run', '-d', '-b', path, id), 0);
        const read = (file: string): string => readFileSync(`${realTime.mountPoint}/naru-real-time-${process.pid}/${file}`, 'utf8').trim();
        assert.deepEqual([read('cpu.rt_runtime_us'), read('cpu.rt_period_us')], ['4000', '500000']);
        assert.match(readFileSync(`/proc/${subject.bundles.state(id).pid}/sched`, 'utf8'), /^policy\s*:\s*1$/m);
        subject.bundles.ok('update', '--cpu-rt-runtime', '3000', id);
        assert.equal(read('cpu.rt_runtime_us'), '3000');
        subject.bundles.ok('delete', '--force', id);
        const without = subject.bundles.bundle(['true'], fifo());
        const refused = subject.bundles.run(['run', '-b', without.path, without.id]);
        assert.equal(refused.status, 1);
        assert.match(refused.err, /scheduler/);
        assert.equal(existsSync(`${realTime.mountPoint}/naru-real-time-${process.pid}`), false);
      });
    }

    test('devices that no rule allows cannot be opened, though their node is there', () => {
      const seen = see(['read', '/dev/kmsg2'], (s) => {
        s.linux!.devices = [{ path: '/dev/kmsg2', type: 'c', major: 1, minor: 11, fileMode: 0o666 }];
        s.process!.capabilities!.bounding!.push('CAP_SYSLOG');
      });
      assert.deepEqual(seen['read /dev/kmsg2'], { errno: EPERM });
    });

    test('hooks: six points in order, each in its namespaces, with the state; annotations arrive', async () => {
      const log = join(subject.bundles.top, 'hooks');
      const hook = (point: string) => [{ path: '/bin/sh', args: ['sh', '-c', `read -r state; echo "${point} $(readlink /proc/self/ns/mnt) $X $state" >> ${log}`], env: ['X=y', 'PATH=/bin:/usr/bin'], timeout: 10 }];
      const { id, path, rootfs } = subject.bundles.bundle(['sh', '-c', 'readlink /proc/self/ns/mnt > /ns'], (s) => {
        s.annotations = { 'org.example.key': 'value' };
        s.hooks = {
          prestart: hook('prestart'), createRuntime: hook('createRuntime'), createContainer: hook('createContainer'), poststart: hook('poststart'), poststop: hook('poststop'),
          startContainer: [{ path: '/bin/sh', args: ['sh', '-c', 'read -r state; echo "$state" > /start'] }],
        };
      });
      assert.equal(subject.bundles.background('create', '-b', path, id), 0);
      assert.ok(!existsSync(join(rootfs, 'start')), 'startContainer ran at create');
      assert.equal(subject.bundles.run(['start', id]).status, 0);
      assert.ok(await until(() => subject.bundles.state(id).status === 'stopped'));
      assert.equal(subject.bundles.run(['delete', id]).status, 0);
      const lines = readFileSync(log, 'utf8').trim().split('\n').map((l) => /^(\S+) (\S+) y (.*)$/.exec(l)!);
      assert.deepEqual(lines.map((l) => l[1]), ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop']);
      const [host, inside] = [readlinkSync('/proc/self/ns/mnt'), readFileSync(join(rootfs, 'ns'), 'utf8').trim()];
      assert.deepEqual(lines.map((l) => l[2]), [host, host, inside, host, host]);
      const states = [...lines.map((l) => l[3]!), readFileSync(join(rootfs, 'start'), 'utf8')].map((text) => JSON.parse(text) as { id: string; status: string; pid?: number; bundle: string; annotations: object; ociVersion: string });
      for (const state of states) assert.deepEqual([state.id, state.bundle, state.annotations], [id, path, { 'org.example.key': 'value' }]);
      assert.deepEqual([states[3]!.status, states[4]!.status], ['running', 'stopped']);
      assert.ok(states[0]!.pid! > 1);
    });

    test('a memory policy, and the CPUs of processes that join', () => {
      const { id, path } = subject.bundles.bundle(['sleep', '60'], (s) => {
        s.linux!.memoryPolicy = { mode: 'MPOL_BIND', nodes: '0' };
        s.process!.execCPUAffinity = { initial: '0', final: String(availableParallelism() - 1) };
      });
      assert.equal(subject.bundles.background('run', '-d', '-b', path, id), 0);
      const { pid } = subject.bundles.state(id);
      assert.match(readFileSync(`/proc/${pid}/numa_maps`, 'utf8'), /bind:0/);
      assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`Cpus_allowed_list:\\t0-${availableParallelism() - 1}\\n`));
      assert.equal(subject.bundles.run(['exec', id, 'grep', 'Cpus_allowed_list', '/proc/self/status']).out, `Cpus_allowed_list:\t${availableParallelism() - 1}\n`);
      subject.bundles.run(['delete', '--force', id]);
    });

    test('interfaces that move in, with their addresses and another name; the loopback is up', () => {
      const device = `nd${process.pid % 100_000}`;
      assert.equal(spawnSync('ip', ['link', 'add', device, 'type', 'veth', 'peer', 'name', `${device}p`]).status, 0);
      try {
        spawnSync('ip', ['addr', 'add', '198.51.100.7/24', 'dev', device]);
        const { id, path } = subject.bundles.bundle('ip -o addr', (s) => { s.linux!.netDevices = { [device]: { name: 'eth5' } }; });
        const { out, err } = subject.bundles.run(['run', '-b', path, id]);
        assert.match(out, /eth5\s+inet 198\.51\.100\.7\/24/, err);
        assert.match(out, /lo\s+inet 127\.0\.0\.1\/8/);
      } finally {
        spawnSync('ip', ['link', 'del', device]);
      }
    });

    // In the guest of test/vm; where the kernel has none, profiles are refused (bad-input).
    if (existsSync(APPARMOR)) {
      test('AppArmor: the program is in the profile that is asked for, exec in its own or another; one that is not loaded is named', () => {
        const profiles = ['naru-test-one', 'naru-test-two'] as const;
        for (const name of profiles) writeFileSync(`${APPARMOR}/.load`, profilePolicy(name));
        try {
          const { bundles } = subject;
          const { id, path } = bundles.bundle('cat /proc/self/attr/current > /tmp/seen; exec sleep 60', (s) => { s.process!.apparmorProfile = profiles[0]; });
          assert.equal(bundles.background('run', '-d', '-b', path, id), 0);
          const inside = (...words: string[]): string => bundles.run(['exec', ...words, id, 'cat', '/proc/self/attr/current']).out;
          assert.deepEqual([readFileSync(`/proc/${bundles.state(id).pid}/attr/current`, 'utf8'), inside(), inside('--apparmor', profiles[1])], [`${profiles[0]} (unconfined)\n`, `${profiles[0]} (unconfined)\n`, `${profiles[1]} (unconfined)\n`]);
          bundles.ok('delete', '--force', id);
          const missing = bundles.bundle('true', (s) => { s.process!.apparmorProfile = 'naru-test-none'; });
          const refused = bundles.run(['run', '-b', missing.path, missing.id]);
          assert.equal(refused.status, 1);
          assert.match(refused.err, /^runtime run failed: \/process\/apparmorProfile: .*attr\/apparmor\/exec: no such file or directory/);
          assert.deepEqual(bundles.left(), []);
        } finally {
          for (const name of profiles) writeFileSync(`${APPARMOR}/.remove`, name);
        }
      });
    }

    test('life cycle: states, and what each forbids', async () => {
      const { id, path } = subject.bundles.bundle(['sleep', '60']);
      const { bundles } = subject;
      assert.notEqual(bundles.run(['state', id]).status, 0);
      assert.equal(bundles.background('create', '-b', path, id), 0);
      assert.notEqual(bundles.background('create', '-b', path, id), 0, 'an id twice');
      assert.equal(bundles.state(id).status, 'created');
      writeFileSync(join(path, 'config.json'), '{}');
      assert.equal(bundles.run(['start', id]).status, 0, 'config.json counts as it was at create');
      assert.equal(bundles.state(id).status, 'running');
      for (const verb of ['start', 'delete']) assert.notEqual(bundles.run([verb, id]).status, 0, verb);
      assert.equal(bundles.state(id).status, 'running');
      assert.equal(bundles.run(['kill', id, 'KILL']).status, 0);
      assert.ok(await until(() => bundles.state(id).status === 'stopped'));
      for (const words of [['start', id], ['kill', id, 'TERM']]) assert.notEqual(bundles.run([...words]).status, 0, words.join(' '));
      assert.equal(bundles.run(['delete', id]).status, 0);
      assert.notEqual(bundles.run(['state', id]).status, 0);
      assert.deepEqual(bundles.left(), []);
    });
  });
}
