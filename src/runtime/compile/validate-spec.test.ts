import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { NaruError } from '#spec/errors.ts';
import { fakeRequest } from './fake-host.ts';
import { validateSpec } from './validate-spec.ts';

/** A field set wrongly (by pointer) -> the pointer that the message begins with. */
const CASES: readonly (readonly [pointer: string, value: unknown, expected?: string])[] = [
  ['/ociVersion', '2.0.0'], ['/ociVersion', undefined], ['/ociVersion', '1.02.0'], ['/ociVersion', 'invalid'], ['/ociVersion', '1.0'], ['/process', 'x'], ['/process/user', undefined], ['/windows', {}], ['/annotations', { '': 'x' }, '/annotations/'], ['/annotations', { a: 1 }, '/annotations/a'],
  ['/process/terminal', 'yes'], ['/process/consoleSize', { height: 1 }, '/process/consoleSize/width'], ['/process/scheduler', { policy: 'SCHED_NONE' }, '/process/scheduler/policy'],
  ['/process/scheduler', { policy: 'SCHED_OTHER', priority: 5 }, '/process/scheduler/priority'], ['/process/scheduler', { policy: 'SCHED_BATCH', deadline: 5 }, '/process/scheduler/deadline'], ['/process/scheduler', { policy: 'SCHED_FIFO' }, '/process/scheduler/priority'],
  ['/process/ioPriority', { class: 'IOPRIO_CLASS_BE', priority: 8 }, '/process/ioPriority/priority'], ['/process/execCPUAffinity', { initial: 'a' }, '/process/execCPUAffinity/initial'], ['/process/capabilities', { bounding: 'CAP_CHOWN' }, '/process/capabilities/bounding'],
  ['/mounts', [null], '/mounts/0'], ['/mounts', [{ destination: '/x', type: 'tmpfs', options: ['ro', 'remount'] }], '/mounts/0/options/1'], ['/mounts', [{ destination: '/x', source: '/y', options: ['bind', 'tmpcopyup'] }], '/mounts/0/options/1'],
  ['/mounts', [{ destination: '/x', options: ['bind'] }], '/mounts/0/source'], ['/mounts', [{ destination: '/x', type: 'tmpfs', options: ['idmap'] }], '/mounts/0/options/0'],
  ['/mounts', [{ destination: '/x', source: '/y', options: ['bind'], uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] }], '/mounts/0/gidMappings'],
  ['/linux/uidMappings', [{ containerID: 0, hostID: 5, size: 10 }]], ['/linux/rootfsPropagation', 'upwards'], ['/linux/netDevices', { eth0: {} }], ['/linux/seccomp', { defaultAction: 'SCMP_ACT_ALLOW', listenerMetadata: 'x' }, '/linux/seccomp/listenerMetadata'],
  ['/linux/resources', { memory: { limit: '5' } }, '/linux/resources/memory/limit'], ['/linux/resources', { blockIO: { weight: 5 } }, '/linux/resources/blockIO/weight'], ['/linux/resources', { devices: [{ allow: true, access: 'rx' }] }, '/linux/resources/devices/0/access'],
  ['/linux/timeOffsets', { realtime: { secs: 1 } }], ['/process/cwd', 'relative'], ['/process/args', []],
  ['/process/args/0', ''], ['/process/args/0', 'a\0b'], ['/process/env', 'x'], ['/process/user/uid', 2 ** 31], ['/process/user/uid', -1], ['/process/user/gid', 1.5],
  ['/process/user/additionalGids', [0, 2 ** 32], '/process/user/additionalGids/1'], ['/process/oomScoreAdj', 1001], ['/process/user/umask', 0o1000],
  ['/process/rlimits', [{ type: 'RLIMIT_X', soft: 1, hard: 1 }], '/process/rlimits/0/type'], ['/process/rlimits', [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }], '/process/rlimits/0/soft'],
  ['/process/rlimits', [{ type: 'RLIMIT_CPU', soft: 1, hard: 1 }, { type: 'RLIMIT_CPU', soft: 1, hard: 1 }], '/process/rlimits/1/type'],
  ['/mounts', [{ destination: '' }], '/mounts/0/destination'], ['/mounts', [{ destination: '/a/../b' }], '/mounts/0/destination'], ['/mounts', [{ destination: '/' }], '/mounts/0/destination'],
  ['/mounts', {}], ['/mounts', [{ destination: '/proc', source: '/tmp', options: ['bind'] }], '/mounts/0/destination'], ['/mounts', [{ destination: '/proc//./self', type: 'tmpfs' }], '/mounts/0/destination'], ['/linux/namespaces', [{ type: 'pid' }, { type: 'user' }]], ['/linux/namespaces', [{ type: 'mount' }, { type: 'x' }], '/linux/namespaces/1/type'],
  ['/linux/namespaces', [{ type: 'mount' }, { type: 'mount' }], '/linux/namespaces/1/type'], ['/linux/namespaces', [{ type: 'mount' }, { type: 'user' }], '/linux/uidMappings'],
  ['/hostname', 'x'], ['/linux/sysctl', { 'net.ipv4.ip_forward': '1' }, '/linux/sysctl/net.ipv4.ip_forward'], ['/linux/sysctl', { 'kernel.core_pattern': 'x' }, '/linux/sysctl/kernel.core_pattern'],
  ['/linux/sysctl', { 'net/../kernel/core_pattern': 'x' }, '/linux/sysctl/net~1..~1kernel~1core_pattern'], ['/linux/cgroupsPath', '/naru/../../x'], ['/linux/maskedPaths', ['x'], '/linux/maskedPaths/0'],
  ['/linux/devices', [{ path: '/dev/x', type: 'q' }], '/linux/devices/0/type'], ['/linux/devices', [{ path: '/dev/../x', type: 'c' }], '/linux/devices/0/path'],
  ['/linux/uidMappings', [{ containerID: 0, hostID: 0, size: 10 }, { containerID: 5, hostID: 100, size: 1 }], '/linux/uidMappings/1/containerID'],
  ['/linux/uidMappings', [{ containerID: 0, hostID: 0, size: 0 }], '/linux/uidMappings/0/size'], ['/linux/timeOffsets', { boottime: { secs: 1 } }],
  ['/hooks', { poststop: [{ path: 'x' }] }, '/hooks/poststop/0/path'], ['/hooks', { poststop: [{ path: '/x', timeout: 0 }] }, '/hooks/poststop/0/timeout'],
];

test('each wrong field is named by its pointer', () => {
  validateSpec(fakeRequest().spec);
  for (const [pointer, value, expected] of CASES) {
    const spec = structuredClone(fakeRequest().spec) as unknown as Record<string, unknown>;
    const keys = pointer.slice(1).split('/');
    const last = keys.pop()!;
    let at = spec;
    for (const key of keys) at = at[key] as Record<string, unknown>;
    if (value === undefined) delete at[last];
    else at[last] = value;
    assert.throws(() => validateSpec(spec as unknown as OciSpec), (error: unknown) => {
      assert.ok(error instanceof NaruError);
      assert.ok(error.kind === 'invalid' || error.kind === 'unsupported');
      assert.equal(error.message.slice(0, error.message.indexOf(': ')), expected ?? pointer, error.message);
      return true;
    }, `${pointer} = ${JSON.stringify(value)}`);
  }
});
