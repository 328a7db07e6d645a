import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpName, Section } from '#runtime/plan/ops.ts';
import type { Plan, PlanOp } from '#runtime/plan/plan.ts';
import { compileExec } from './compile-exec.ts';
import { compileTask } from './compile-task.ts';
import { FAKE_HOST, fakeRequest } from './fake-host.ts';
import { SLOT } from './slots.ts';

const ops = (plan: Plan, section: Section): PlanOp[] => plan.ops.filter((op) => op.section === section);
const names = (plan: Plan, section: Section): string[] => ops(plan, section).map((op) => op.name);
const find = <N extends OpName>(plan: Plan, name: N, where: (op: PlanOp<N>) => boolean = () => true): PlanOp<N>[] =>
  (plan.ops as unknown as PlanOp<N>[]).filter((op) => op.name === name && where(op));
const compile = (change?: Parameters<typeof fakeRequest>[0], host = FAKE_HOST): Plan => compileTask(fakeRequest(change), host, { cgroupParentsReady: true });

test('the smallest container, operation by operation', () => {
  const plan = compile();
  assert.deepEqual(names(plan, 'prepare').filter((n) => !['mkdir', 'bpf_device'].includes(n)),
    ['shim', 'umask', 'stdio', 'exit_file', 'listen', 'oom_watch', 'fs_mount', 'open', 'clone']);
  assert.deepEqual(names(plan, 'parent'), ['child_write']);
  assert.deepEqual(names(plan, 'child'), [
    'setsid', 'keyring', 'mount', 'open', 'attach', 'target', 'mknod', 'mknod', 'mknod', 'mknod', 'mknod', 'mknod',
    'symlink', 'symlink', 'symlink', 'symlink', 'symlink', 'wait_parent', 'pivot', 'close', 'chdir', 'umask', 'cloexec_from', 'setgroups', 'setresgid', 'setresuid', 'exec',
  ]);
  assert.deepEqual(plan.ops.filter((op) => op.why === ''), [], 'every operation says why');
  assert.deepEqual(find(plan, 'exec')[0]!.args, { candidates: ['/usr/bin/sh', '/bin/sh'], argv: ['sh'], env: ['PATH=/usr/bin:/bin'] });
  assert.deepEqual(find(plan, 'fs_mount')[0]!.args, {
    slot: SLOT.root, type: 'overlay', attr: 0, options: ['lowerdir+=/l/2', 'lowerdir+=/l/1', 'source=overlay', 'upperdir=/u', 'workdir=/w', 'volatile'],
  });
});

test('rights go in the one order in which each step still may', () => {
  const process = { user: { uid: 1000, gid: 1000 }, args: ['sh'], env: [], cwd: '/', capabilities: { bounding: ['CAP_CHOWN'], permitted: ['CAP_CHOWN'], effective: ['CAP_CHOWN'] } };
  const seccomp = { defaultAction: 'SCMP_ACT_ALLOW' };
  const tail = (noNewPrivileges: boolean): string[] => {
    const all = names(compile((r) => {
      r.spec.process = { ...process, noNewPrivileges };
      r.spec.linux!.seccomp = seccomp;
      r.init = ['init', '--', 'sh'];
    }), 'child');
    return all.slice(all.indexOf('umask') + 1);
  };
  assert.deepEqual(tail(false), ['cloexec_from', 'seccomp', 'cap_bound', 'prctl', 'setgroups', 'setresgid', 'setresuid', 'prctl', 'capset', 'cap_ambient', 'init', 'exec']);
  assert.deepEqual(tail(true), ['cloexec_from', 'prctl', 'cap_bound', 'prctl', 'setgroups', 'setresgid', 'setresuid', 'prctl', 'capset', 'cap_ambient', 'init', 'seccomp', 'exec']);
});

test('capabilities: nothing inheritable or ambient unless asked, nothing that naru has not', () => {
  const capabilities = { bounding: ['CAP_CHOWN', 'CAP_SYS_RESOURCE'], permitted: ['CAP_CHOWN', 'CAP_SYS_RESOURCE'], effective: ['CAP_CHOWN'] };
  const plan = compile((r) => {
    r.spec.process!.capabilities = capabilities;
  }, { ...FAKE_HOST, capabilities: 1n });
  assert.deepEqual(find(plan, 'capset')[0]!.args, { effective: 1n, permitted: 1n, inheritable: 0n });
  assert.equal(find(plan, 'cap_ambient')[0]!.args.mask, 0n);
});

test('mounts keep their order, carry their flag, and are complete before they are seen', () => {
  const plan = compile((r) => {
    r.spec.mounts = [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] },
      { destination: '/data', type: 'bind', source: '/srv', options: ['rbind', 'ro', 'rprivate'] },
      { destination: '/data/one', source: '/one', options: ['bind', 'ro', 'noatime', 'private'] },
    ];
    r.sources = new Map([['/mounts/1', '--volume /srv:/data:ro']]);
  });
  const mounts = ops(plan, 'child').filter((op) => op.pointer?.startsWith('/mounts'));
  assert.deepEqual(mounts.map((op) => op.name), [
    'target', 'fs_mount', 'open', 'attach',
    'open_tree', 'mount_setattr', 'mount_setattr', 'target', 'attach',
    'open_tree', 'mount_setattr', 'target', 'attach',
  ]);
  assert.deepEqual(mounts[0]!.source, '/mounts/0');
  assert.deepEqual([mounts[4]!.source, mounts[5]!.source, mounts[5]!.pointer], ['--volume /srv:/data:ro', '--volume /srv:/data:ro', '/mounts/1/options']);
  const [tree, own, one] = find(plan, 'mount_setattr').map((op) => op.args);
  assert.deepEqual(tree, { slot: SLOT.mount, flags: 0x8000, set: 0, clear: 0, propagation: 1 << 18, userns: -1 });
  assert.deepEqual(own, { slot: SLOT.mount, flags: 0, set: 1, clear: 0, propagation: 0, userns: -1 });
  assert.deepEqual(one, { slot: SLOT.mount, flags: 0, set: 0x11, clear: 0x70, propagation: 1 << 18, userns: -1 });
});

test('paths that an image controls are only ever resolved inside the root', () => {
  const plan = compile((r) => {
    r.spec.mounts = [{ destination: '/a/./b//c', type: 'tmpfs' }];
    r.spec.linux!.maskedPaths = ['/proc/kcore'];
    r.spec.linux!.readonlyPaths = ['/proc/sys'];
  });
  for (const op of plan.ops) {
    if (!['target', 'attach', 'mask', 'readonly', 'mknod', 'symlink'].includes(op.name)) continue;
    const { path } = op.args as { path: string };
    assert.ok(!path.startsWith('/') && !path.includes('//'), `${op.name} ${path}`);
  }
  assert.equal(find(plan, 'target')[0]!.args.path, 'a/b/c');
  const order = names(plan, 'child');
  assert.ok(order.indexOf('readonly') < order.indexOf('mask') && order.indexOf('mask') < order.indexOf('pivot'));
});

test('sysctls go through a procfs of ours that is attached nowhere, after the interfaces have come', () => {
  const plan = compile((r) => {
    r.spec.linux!.namespaces!.push({ type: 'network' });
    r.spec.linux!.sysctl = { 'net.ipv4.ip_forward': '1', 'net/ipv4/conf/eth0.1/forwarding': '0' };
    r.spec.mounts = [{ destination: '/proc', type: 'proc', options: ['nosuid'] }];
    r.network = [{ where: 'container', protocol: 0, batch: new Uint8Array(16), acks: 1, why: 'up', patches: [] }];
  });
  assert.deepEqual(find(plan, 'write_at').map((op) => [op.args.at, op.args.path, op.args.resolve]), [
    [SLOT.proc, 'sys/net/ipv4/ip_forward', 15], [SLOT.proc, 'sys/net/ipv4/conf/eth0.1/forwarding', 15],
  ]);
  assert.equal(find(plan, 'attach', (op) => op.args.slot === SLOT.proc).length, 0);
  const child = names(plan, 'child');
  assert.deepEqual(child.slice(child.indexOf('wait_parent'), child.indexOf('pivot')), ['wait_parent', 'netlink', 'fs_mount', 'write_at', 'write_at']);
});

test('the child waits for the shim no earlier than for its network; at once where it is nobody before, or hooks look at it', () => {
  assert.equal(find(compile(), 'wait_parent').length, 1);
  const changes: Parameters<typeof fakeRequest>[0][] = [
    (r) => {
      r.spec.linux!.namespaces!.push({ type: 'user' });
      r.spec.linux!.uidMappings = r.spec.linux!.gidMappings = [{ containerID: 0, hostID: 1000, size: 2 }];
    },
    (r) => void (r.spec.hooks = { prestart: [{ path: '/hook' }] }),
    (r) => void (r.spec.linux!.namespaces!.find(({ type }) => type === 'mount')!.path = '/run/mount'),
    (r) => void (r.spec.hooks = { createRuntime: [{ path: '/hook' }] }),
  ];
  for (const change of changes) assert.equal(find(compile(change), 'wait_parent').length, 0);
});

test('namespaces: new by clone, joined by the shim and left again, mappings by the parent', () => {
  const plan = compile((r) => {
    r.spec.linux!.namespaces = [{ type: 'mount' }, { type: 'user' }, { type: 'network', path: '/run/netns/x' }, { type: 'cgroup' }];
    r.spec.linux!.uidMappings = [{ containerID: 0, hostID: 1000, size: 2 }];
    r.spec.linux!.gidMappings = [{ containerID: 0, hostID: 1000, size: 2 }];
  });
  assert.equal(find(plan, 'clone')[0]!.args.flags, 0x10020000);
  assert.deepEqual(ops(plan, 'parent').map((op) => op.name), ['setns', 'child_write', 'child_write', 'child_write']);
  assert.deepEqual(find(plan, 'child_write', (op) => op.args.name.endsWith('_map')).map((op) => op.args), [{ name: 'uid_map', data: '0 1000 2\n' }, { name: 'gid_map', data: '0 1000 2\n' }]);
  assert.equal(find(plan, 'unshare')[0]!.section, 'child', 'the cgroup namespace comes after the cgroup');
  assert.equal(find(plan, 'mknod').length, 0);
});

test('time offsets are set before anybody is in the namespace', () => {
  const plan = compile((r) => {
    r.spec.linux!.namespaces!.push({ type: 'time' });
    r.spec.linux!.timeOffsets = { boottime: { secs: 5 } };
  });
  assert.deepEqual(find(plan, 'write', (op) => op.args.path.endsWith('timens_offsets'))[0]!.args.data, 'boottime 5 0\n');
  assert.equal(Number(find(plan, 'clone')[0]!.args.flags) & 0x80, 0);
});

test('a subpath is looked up inside its volume, and what was found is bound', () => {
  const plan = compile((r) => {
    r.spec.mounts!.push({ destination: '/s', type: 'bind', source: '/volume', options: ['rbind', 'x-naru.subpath=a/b'] });
  });
  const clone = find(plan, 'open_tree', (op) => op.args.path === '' && (Number(op.args.flags) & 0x1000) !== 0 && op.args.at === op.args.slot)[0]!;
  const [source, inside] = find(plan, 'open', (op) => op.args.path === '/volume' || op.args.path === 'a/b');
  assert.equal(inside!.args.at, source!.args.slot);
  assert.equal(Number(inside!.args.resolve) & 16, 16, 'RESOLVE_IN_ROOT');
  assert.equal(clone.args.at, inside!.args.slot);
  assert.equal(find(plan, 'open_tree', (op) => op.args.path === '/volume').length, 0);
});

test('limits never go above what naru has', () => {
  const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 5000 }, { type: 'RLIMIT_CORE', soft: -1, hard: -1 }, { type: 'RLIMIT_NPROC', soft: 18446744073709551615, hard: 18446744073709551615 }];
  const plan = compile((r) => {
    r.spec.process!.rlimits = rlimits;
  }, { ...FAKE_HOST, hardLimits: new Map([[7, 1000], [4, Infinity], [6, 30]]) });
  assert.deepEqual(find(plan, 'rlimit').map((op) => op.args), [
    { resource: 7, soft: 100, hard: 1000 }, { resource: 4, soft: 2n ** 64n - 1n, hard: 2n ** 64n - 1n }, { resource: 6, soft: 30, hard: 30 },
  ]);
});

test('network steps: patches become triples, names are listed once', () => {
  const plan = compile((r) => {
    r.network = [
      { where: 'host', protocol: 0, batch: new Uint8Array(64), acks: 2, why: 'veth', patches: [{ kind: 'child-netns-fd', offset: 8 }, { kind: 'ifindex', offset: 12, name: 'br' }, { kind: 'ifindex', offset: 16, name: 'br' }] },
      { where: 'container', protocol: 0, batch: new Uint8Array(16), acks: 1, why: 'up', patches: [{ kind: 'ifindex', offset: 4, name: 'eth0' }] },
    ];
  });
  const [host, container] = find(plan, 'netlink');
  assert.deepEqual([host!.section, host!.args.patches, host!.args.names], ['parent', [1, 8, SLOT.childNet, 2, 12, 0, 2, 16, 0], ['br']]);
  assert.deepEqual([container!.section, container!.args.patches, container!.args.names], ['child', [2, 4, 0], ['eth0']]);
  assert.deepEqual(names(plan, 'parent'), ['child_write', 'child_ns', 'netlink']);
});

test('exec: joins its cgroup, then the namespaces, and is seen in there only after that', () => {
  const { spec } = fakeRequest();
  const plan = compileExec({ execId: 'e', process: { ...spec.process!, args: ['/bin/id'] }, spec, io: { mode: 'null', stdin: 'none' } }, { containerId: 'c1' }, FAKE_HOST);
  assert.deepEqual(names(plan, 'prepare'), ['stdio', 'open', 'clone']);
  assert.deepEqual(names(plan, 'child'), ['setns', 'reclone', 'setsid', 'keyring', 'chdir', 'umask', 'cloexec_from', 'setgroups', 'setresgid', 'setresuid', 'exec']);
  assert.deepEqual(find(plan, 'setns').map((op) => [op.args.slot, op.args.nstype]), [[62, 0x20020000]]);
  assert.deepEqual(find(plan, 'exec')[0]!.args.candidates, ['/bin/id']);
});

test('a plan is a function of its request', () => {
  assert.deepEqual(compile(), compile());
});
