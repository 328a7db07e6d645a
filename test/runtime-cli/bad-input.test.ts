import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { RuntimeBundles } from '../support/runtime-bundles.ts';

/** Bundles that cannot become a container: one sentence that begins with the JSON pointer of the field, status 1, no trace. */
const bundles = new RuntimeBundles();
after(() => bundles.destroy());

type Change = (spec: OciSpec & Record<string, any>) => void;
const at = (path: string, value: unknown): Change => (spec) => {
  const keys = path.split('/').slice(1);
  const last = keys.pop()!;
  let node = spec as Record<string, any>;
  for (const key of keys) node = node[key] ??= {};
  node[last] = value;
};
const also = (...changes: Change[]): Change => (spec) => changes.forEach((change) => change(spec));
const userNamespace = at('/linux/namespaces', [{ type: 'mount' }, { type: 'user' }]);
const noMounts = at('/linux/namespaces', [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }]);
const bare = also(at('/linux/maskedPaths', []), at('/linux/readonlyPaths', []));
const range = (containerID: number, hostID: number, size: number): object => ({ containerID, hostID, size });
const sleeps = [{ path: '/bin/sh', args: ['sh', '-c', 'sleep 300; true'], timeout: 1 }];
const missing = [{ path: '/nonexistent/hook' }];
const fails = [{ path: '/bin/sh', args: ['sh', '-c', 'exit 9'] }];

/** [what it is, the change, the pointer]. */
const CASES: readonly (readonly [name: string, change: Change, pointer: string])[] = [
  ['no version', at('/ociVersion', undefined), '/ociVersion'],
  ['an unknown version', at('/ociVersion', '2.0.0'), '/ociVersion'],
  ['a malformed version', at('/ociVersion', '1.2'), '/ociVersion'],
  ['a process that is a string', at('/process', 'sh'), '/process'],
  ['arguments that are a string', at('/process/args', 'sh'), '/process/args'],
  ['no arguments', at('/process/args', []), '/process/args'],
  ['a NUL byte', at('/process/args', ['sh', 'a\0b']), '/process/args/1'],
  ['a relative working directory', at('/process/cwd', 'tmp'), '/process/cwd'],
  ['a user beyond all users', at('/process/user/uid', 2 ** 31), '/process/user/uid'],
  ['a soft limit above the hard one', at('/process/rlimits', [{ type: 'RLIMIT_NOFILE', soft: 20, hard: 10 }]), '/process/rlimits/0/soft'],
  ['a limit twice', at('/process/rlimits', [{ type: 'RLIMIT_CPU', soft: 1, hard: 1 }, { type: 'RLIMIT_CPU', soft: 1, hard: 1 }]), '/process/rlimits/1/type'],
  ['a real-time policy without priority', at('/process/scheduler', { policy: 'SCHED_RR' }), '/process/scheduler/priority'],
  ['a rootfs that is not there', at('/root/path', 'nowhere'), '/root/path'],
  ['the host as rootfs', at('/root/path', '/'), '/root/path'],
  ['no rootfs', at('/root', undefined), '/root'],
  ['a mount above the rootfs', at('/mounts/0', { destination: '/../../etc', type: 'tmpfs' }), '/mounts/0/destination'],
  ['a mount over the rootfs', at('/mounts/0', { destination: '/./', type: 'tmpfs' }), '/mounts/0/destination'],
  ['a mount inside /proc', at('/mounts/7', { destination: '/proc/self', type: 'tmpfs' }), '/mounts/7/destination'],
  ['a file system that does not exist', at('/mounts/7', { destination: '/x', type: 'nofs' }), '/mounts/7'],
  ['an option that the file system refuses', at('/mounts/7', { destination: '/x', type: 'tmpfs', options: ['frobnicate'] }), '/mounts/7'],
  ['a bind of what is not there', at('/mounts/7', { destination: '/x', source: '/nonexistent/source', options: ['bind'] }), '/mounts/7'],
  ['a bind of nothing', at('/mounts/7', { destination: '/x', options: ['bind'] }), '/mounts/7/source'],
  ['mapped ids on a tmpfs', at('/mounts/7', { destination: '/x', type: 'tmpfs', uidMappings: [range(0, 1, 1)], gidMappings: [range(0, 1, 1)] }), '/mounts/7/uidMappings'],
  ['users mapped, groups not', at('/mounts/7', { destination: '/x', source: '/tmp', options: ['bind'], uidMappings: [range(0, 1, 1)] }), '/mounts/7/gidMappings'],
  ['an unknown namespace', at('/linux/namespaces', [{ type: 'mount' }, { type: 'galaxy' }]), '/linux/namespaces/1/type'],
  ['a namespace twice', at('/linux/namespaces', [{ type: 'mount' }, { type: 'mount' }]), '/linux/namespaces/1/type'],
  ['a namespace that is not there', at('/linux/namespaces/1', { type: 'network', path: '/proc/1/ns/nothing' }), '/linux/namespaces/1'],
  ['a namespace of another kind', at('/linux/namespaces/1', { type: 'network', path: '/proc/self/ns/uts' }), '/linux/namespaces/1'],
  ['hidden paths without a mount namespace', noMounts, '/linux/maskedPaths'],
  ['read-only paths without a mount namespace', also(noMounts, at('/linux/maskedPaths', [])), '/linux/readonlyPaths'],
  ['propagation without a mount namespace', also(noMounts, bare, at('/linux/rootfsPropagation', 'slave')), '/linux/rootfsPropagation'],
  ['a mount that would be shared with the host\'s', also(noMounts, bare, at('/mounts/7', { destination: '/x', source: '/tmp', options: ['bind', 'ro', 'rshared'] })), '/mounts/7/options/2'],
  ['a user namespace without a mount namespace', also(userNamespace, at('/linux/namespaces', [{ type: 'user' }]), at('/linux/uidMappings', [range(0, 1, 1)]), at('/linux/gidMappings', [range(0, 1, 1)])), '/linux/namespaces'],
  ['a user namespace without mappings', userNamespace, '/linux/uidMappings'],
  ['mappings without a user namespace', at('/linux/uidMappings', [range(0, 1, 1)]), '/linux/uidMappings'],
  ['mappings that overlap inside', also(userNamespace, at('/linux/uidMappings', [range(0, 1000, 10), range(9, 5000, 10)])), '/linux/uidMappings/1/containerID'],
  ['mappings that overlap outside', also(userNamespace, at('/linux/uidMappings', [range(0, 1000, 10)]), at('/linux/gidMappings', [range(0, 1000, 10), range(10, 1009, 10)])), '/linux/gidMappings/1/hostID'],
  ['mappings of nobody', also(userNamespace, at('/linux/uidMappings', [range(0, 1000, 0)])), '/linux/uidMappings/0/size'],
  ['a hostname without a uts namespace', also(at('/linux/namespaces', [{ type: 'mount' }]), at('/hostname', 'x')), '/hostname'],
  ['clock offsets without a time namespace', at('/linux/timeOffsets', { boottime: { secs: 1 } }), '/linux/timeOffsets'],
  ['a sysctl of the whole machine', at('/linux/sysctl', { 'kernel.core_pattern': '|/x' }), '/linux/sysctl/kernel.core_pattern'],
  ['a sysctl of a namespace that is shared', also(at('/linux/namespaces', [{ type: 'mount' }]), at('/linux/sysctl', { 'net.ipv4.ip_forward': '1' })), '/linux/sysctl/net.ipv4.ip_forward'],
  ['a sysctl that the kernel refuses', at('/linux/sysctl', { 'net.ipv4.ip_forward': 'perhaps' }), '/linux/sysctl/net.ipv4.ip_forward'],
  ['a sysctl that climbs', at('/linux/sysctl', { 'net/../kernel/core_pattern': 'x' }), '/linux/sysctl/net~1..~1kernel~1core_pattern'],
  ['a device that climbs', at('/linux/devices', [{ path: '/dev/../../etc/x', type: 'c', major: 1, minor: 3 }]), '/linux/devices/0/path'],
  ['a device without numbers', at('/linux/devices', [{ path: '/dev/x', type: 'c' }]), '/linux/devices/0/major'],
  ['a cgroup that climbs', at('/linux/cgroupsPath', '/a/../../b'), '/linux/cgroupsPath'],
  ['a memory limit that is a string', at('/linux/resources/memory', { limit: '64m' }), '/linux/resources/memory/limit'],
  ['a memory limit that nothing can live in', at('/linux/resources/memory', { limit: 4096 }), '/linux/resources/memory/limit'],
  ['less memory with swap than without', at('/linux/resources/memory', { limit: 200_000_000, swap: 100_000_000 }), '/linux/resources/memory/swap'],
  ['processors that are not there', at('/linux/resources/cpu', { cpus: '4000' }), '/linux/resources/cpu/cpus'],
  ['huge pages of a size that is not there', at('/linux/resources/hugepageLimits', [{ pageSize: '3MB', limit: 1 }]), '/linux/resources/hugepageLimits/0'],
  ['an RDMA device that is not there', at('/linux/resources/rdma', { 'a/b': { hcaHandles: 1 } }), '/linux/resources/rdma/a~1b'],
  ['a v2 file that is no limit', at('/linux/resources/unified', { 'cgroup.procs': '1' }), '/linux/resources/unified/cgroup.procs'],
  ['an unknown propagation', at('/linux/rootfsPropagation', 'sideways'), '/linux/rootfsPropagation'],
  ['a masked path that is relative', at('/linux/maskedPaths', ['proc']), '/linux/maskedPaths/0'],
  ['an unknown seccomp action', at('/linux/seccomp', { defaultAction: 'SCMP_ACT_SHRUG' }), '/linux/seccomp/defaultAction'],
  ['an unknown comparator', at('/linux/seccomp', { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action: 'SCMP_ACT_ERRNO', args: [{ index: 0, value: 1, op: 'LIKE' }] }] }), '/linux/seccomp/syscalls/0/args/0/op'],
  ['an errno for an action that has none', at('/linux/seccomp', { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['read'], action: 'SCMP_ACT_KILL', errnoRet: 5 }] }), '/linux/seccomp/syscalls/0/errnoRet'],
  ['a seccomp agent that is not there', at('/linux/seccomp', { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/nonexistent/agent', syscalls: [{ names: ['getcwd'], action: 'SCMP_ACT_NOTIFY' }] }), '/linux/seccomp/listenerPath'],
  ['a notification to nobody', at('/linux/seccomp', { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['getcwd'], action: 'SCMP_ACT_NOTIFY' }] }), '/linux/seccomp/listenerPath'],
  ['Intel RDT', at('/linux/intelRdt', { closID: 'x' }), '/linux/intelRdt'],
  ['an interface that is not there', at('/linux/netDevices', { none0: {} }), '/linux/netDevices/none0'],
  ['an unknown memory policy', at('/linux/memoryPolicy', { mode: 'MPOL_HOPE' }), '/linux/memoryPolicy/mode'],
  ['memory nodes that are not there', at('/linux/memoryPolicy', { mode: 'MPOL_BIND', nodes: '900' }), '/linux/memoryPolicy'],
  ['an unknown personality', at('/linux/personality', { domain: 'XENIX' }), '/linux/personality/domain'],
  ['an AppArmor profile that cannot be applied', at('/process/apparmorProfile', 'no-such-profile'), '/process/apparmorProfile'],
  ['a SELinux label that cannot be applied', at('/process/selinuxLabel', 'x'), '/process/selinuxLabel'],
  ['a SELinux label of mounts that cannot be applied', at('/linux/mountLabel', 'x'), '/linux/mountLabel'],
  ['a configuration for another platform', at('/windows', {}), '/windows'],
  ['a hook that is relative', at('/hooks/prestart', [{ path: 'x' }]), '/hooks/prestart/0/path'],
  ['a hook without time', at('/hooks/prestart', [{ path: '/x', timeout: 0 }]), '/hooks/prestart/0/timeout'],
  ['a hook that is not there', at('/hooks/createRuntime', missing), '/hooks/createRuntime/0'],
  ['a hook that fails', at('/hooks/createContainer', fails), '/hooks/createContainer/0'],
  ['a hook that hangs, in our namespaces', at('/hooks/createRuntime', sleeps), '/hooks/createRuntime/0'],
  ['a hook that hangs, in the container\'s', at('/hooks/createContainer', sleeps), '/hooks/createContainer/0'],
  ['a hook that hangs, at the start', at('/hooks/startContainer', sleeps), '/hooks/startContainer/0'],
  ['a program that is not there', at('/process/args', ['/bin/nosuch']), '/process/args'],
];

for (const [name, change, pointer] of CASES) {
  test(`${name}: ${pointer}, status 1, no trace`, () => {
    const { id, path } = bundles.bundle('true', change as (spec: OciSpec) => void);
    const ran = bundles.run(['run', '-b', path, id]);
    assert.equal(ran.status, 1, ran.err);
    assert.equal(ran.out, '');
    const sentence = ran.err.trimEnd();
    assert.ok(sentence.startsWith(`runtime run failed: ${pointer}: `), ran.err);
    assert.ok(!sentence.includes('\n') && sentence.length < 1000, sentence);
    assert.deepEqual(bundles.left(), []);
  });
}

test('what is no configuration at all', () => {
  for (const [text, said] of [['', /config\.json/], ['{', /config\.json/], ['[]', /config\.json: must be an object/], ['null', /config\.json: must be an object/], ['"x"', /config\.json: must be an object/], ['{"ociVersion":"1.0.0"', /config\.json/], ['\u0000\u0001', /config\.json/], [`{"ociVersion":${'['.repeat(100_000)}`, /config\.json/]] as const) {
    const { id, path, config } = bundles.bundle('true');
    writeFileSync(config, text);
    const ran = bundles.run(['create', '-b', path, id]);
    assert.equal(ran.status, 1, text.slice(0, 20));
    assert.match(ran.err, said, text.slice(0, 20));
    assert.deepEqual(bundles.left(), []);
  }
});

test('no bundle, no config.json, one that is a directory, a device, too large', () => {
  const { id, path, config } = bundles.bundle('true');
  rmSync(config);
  assert.match(bundles.run(['create', '-b', path, id]).err, /JSON specification file config\.json not found/);
  mkdirSync(config);
  assert.equal(bundles.run(['create', '-b', path, id]).status, 1);
  rmSync(config, { recursive: true });
  symlinkSync('/dev/zero', config);
  assert.match(bundles.run(['create', '-b', path, id]).err, /config\.json is no regular file/);
  rmSync(config);
  writeFileSync(config, Buffer.alloc(17 * 1024 * 1024, 0x20));
  assert.match(bundles.run(['create', '-b', path, id]).err, /more than 16777216/);
  assert.match(bundles.run(['create', '-b', join(path, 'none'), id]).err, /not found in/);
  assert.deepEqual(bundles.left(), []);
});

test('null says the same as nothing; unknown fields are nobody\'s business; what is only unusual is told, not refused', () => {
  const { id, path } = bundles.bundle('echo ran', (spec) => {
    Object.assign(spec, { hooks: null, annotations: null, unknown: { a: 1 } });
    Object.assign(spec.process!, { rlimits: null, scheduler: null, unknown: 1 });
    Object.assign(spec.linux!, { devices: null, timeOffsets: null, intelRdt: null });
    spec.process!.capabilities!.bounding!.push('CAP_TO_FLY');
    spec.mounts!.push({ destination: '/b', source: '/tmp', options: ['bind', 'ro', 'mode=755'] });
  });
  const ran = bundles.run(['run', '-b', path, id]);
  assert.equal(ran.out, 'ran\n', ran.err);
  assert.match(ran.err, /^\/process\/capabilities\/bounding\/14: unknown capability "CAP_TO_FLY" is left out$/m);
  assert.match(ran.err, /^\/mounts\/7\/options\/2: "mode=755" means nothing to a bind mount$/m);
});

test('a container without a process can be created; it is the start that fails', () => {
  const { id, path } = bundles.bundle('true', (spec) => delete spec.process);
  assert.equal(bundles.background('create', '-b', path, id), 0);
  assert.equal(bundles.state(id).status, 'created');
  const started = bundles.run(['start', id]);
  assert.equal(started.status, 1);
  assert.match(started.err, /\/process: missing/);
  assert.equal(bundles.state(id).status, 'stopped');
  assert.equal(bundles.run(['delete', id]).status, 0);
  assert.match(bundles.run(['run', '-b', path, 'other']).err, /\/process: missing/);
  assert.deepEqual(bundles.left(), []);
});
