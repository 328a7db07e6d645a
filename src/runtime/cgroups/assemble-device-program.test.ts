import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { ptr } from 'bun:ffi';
import type { DeviceRule } from '#spec/oci-runtime.ts';
import { NR } from '#sys/numbers.ts';
import { check, cstring, syscall } from '#sys/syscalls.ts';
import { assembleDeviceProgram } from './assemble-device-program.ts';
import { detectCgroups } from './detect-cgroups.ts';
import { DEFAULT_DEVICE_RULES, normalizeDeviceRules } from './device-rules.ts';

const BPF_PROG_LOAD = 5, BPF_PROG_ATTACH = 8, BPF_PROG_TYPE_CGROUP_DEVICE = 15, BPF_CGROUP_DEVICE = 6;
const host = detectCgroups();
const skip = process.getuid?.() === 0 && host.unifiedRoot !== undefined ? false : 'needs root and a cgroup2 mount';

/** bpf(2): load and attach; both descriptors are closed again. */
function attach(program: Uint8Array, directory: string): void {
  const license = cstring('GPL');
  const log = new Uint8Array(65536);
  const load = new DataView(new ArrayBuffer(128));
  load.setUint32(0, BPF_PROG_TYPE_CGROUP_DEVICE, true);
  load.setUint32(4, program.length / 8, true);
  load.setBigUint64(8, BigInt(ptr(program)), true);
  load.setBigUint64(16, BigInt(ptr(license)), true);
  load.setUint32(24, 1, true);
  load.setUint32(28, log.length, true);
  load.setBigUint64(32, BigInt(ptr(log)), true);
  const fd = syscall(NR.bpf, BPF_PROG_LOAD, new Uint8Array(load.buffer), 128);
  assert.ok(fd >= 0, new TextDecoder().decode(log).replace(/\0+$/, ''));
  const group = openSync(directory, 'r');
  const args = new Uint32Array(32);
  args.set([group, fd, BPF_CGROUP_DEVICE, 2]);
  check(syscall(NR.bpf, BPF_PROG_ATTACH, args, 128), `attach to ${directory}`);
  closeSync(fd);
  closeSync(group);
}

test('the kernel takes the program and lives by it', { skip }, () => {
  const docker: DeviceRule[] = [{ allow: false, access: 'rwm' }, { allow: true, type: 'c', major: 1, minor: 5, access: 'r' }, { allow: false, type: 'c', major: 10, minor: 229 }];
  const directory = `${host.unifiedRoot}/naru-test-devices`;
  mkdirSync(directory);
  try {
    attach(assembleDeviceProgram(normalizeDeviceRules([...docker, ...DEFAULT_DEVICE_RULES, { allow: false, type: 'c', major: 1, minor: 5, access: 'w' }])), directory);
    const run = (script: string): number | null => spawnSync('sh', ['-c', `echo 0 > ${directory}/cgroup.procs; ${script}`], { stdio: 'ignore' }).status;
    assert.equal(run('head -c 1 /dev/zero > /dev/null'), 0);
    assert.notEqual(run('echo x > /dev/zero'), 0);
    assert.notEqual(run('exec < /dev/kmsg'), 0);
    assert.notEqual(run('exec 3<> /dev/zero'), 0);
  } finally {
    rmdirSync(directory);
  }
});

test('a program of wildcards only, and an empty one, load too', { skip }, () => {
  const directory = `${host.unifiedRoot}/naru-test-devices-2`;
  mkdirSync(directory);
  try {
    attach(assembleDeviceProgram(normalizeDeviceRules([{ allow: true, access: 'rwm' }])), directory);
    execFileSync('sh', ['-c', `echo 0 > ${directory}/cgroup.procs; exec < /dev/kmsg`], { stdio: 'ignore' });
    attach(assembleDeviceProgram([]), directory);
  } finally {
    rmdirSync(directory);
  }
});
