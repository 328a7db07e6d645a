import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sysctlPath } from './compile-proc.ts';
import { deviceNumber } from './compile-devices.ts';
import { execCandidates } from './exec-candidates.ts';
import { parseMountOptions } from './mount-options.ts';
import { affinityMask, ioPriority, schedulerAttributes } from './process-attributes.ts';

test('attributes, the last of contradicting ones wins', () => {
  const o = parseMountOptions(['ro', 'nosuid', 'rw', 'noexec', 'rro', 'rnoatime', 'strictatime']);
  assert.deepEqual(o.attributes, { set: 2 | 8 | 0x20, clear: 1 | 0x70 });
  assert.deepEqual(o.recursive, { set: 1 | 0x10, clear: 0x70 });
  assert.deepEqual(o.data, []);
});

test('binds, propagation, data of the file system', () => {
  const o = parseMountOptions(['rbind', 'rslave', 'size=1m', 'mode=755', 'tmpcopyup', 'defaults', 'z', 'newinstance', 'idmap']);
  assert.equal(o.bind, 'rbind');
  assert.deepEqual(o.propagation, { type: 1 << 19, recursive: true });
  assert.deepEqual(o.data, ['size=1m', 'mode=755', 'newinstance']);
  assert.deepEqual([o.copyUp, o.idmap], [true, 'idmap']);
  assert.deepEqual(parseMountOptions(['constructor', '__proto__']).data, ['constructor', '__proto__']);
});

test('where a program is looked for', () => {
  assert.deepEqual(execCandidates('sh', ['PATH=/a:/b/::rel:/']), ['/a/sh', '/b/sh', '/sh']);
  assert.deepEqual(execCandidates('./sh', ['PATH=/a']), ['./sh']);
  assert.deepEqual(execCandidates('sh', []), []);
  assert.deepEqual(execCandidates('sh', ['PATH=/a', 'PATH=/b']), ['/b/sh']);
});

test('names of sysctls, numbers of devices, attributes of processes', () => {
  assert.equal(sysctlPath('net.ipv4.conf.eth0/1.forwarding'), 'net/ipv4/conf/eth0.1/forwarding');
  assert.equal(sysctlPath('net/ipv4/conf/eth0.1/forwarding'), 'net/ipv4/conf/eth0.1/forwarding');
  assert.equal(deviceNumber(1, 3), 0x103);
  assert.equal(deviceNumber(259, 300), 44 + 259 * 256 + 0x100000);
  assert.deepEqual([...affinityMask('0-2,9', '/x')], [7, 2, 0, 0, 0, 0, 0, 0]);
  assert.throws(() => affinityMask('3-1', '/x'), /^NaruError: \/x: .*no list/);
  assert.throws(() => affinityMask('0-99999999', '/x'), /no list/);
  assert.equal(ioPriority({ class: 'IOPRIO_CLASS_BE', priority: 4 }), (2 << 13) | 4);
  const attr = new DataView(schedulerAttributes({ policy: 'SCHED_DEADLINE', runtime: 1, deadline: 2, period: 3, flags: ['SCHED_FLAG_RECLAIM'] }).buffer);
  assert.deepEqual([attr.getUint32(0, true), attr.getUint32(4, true), attr.getBigUint64(8, true), attr.getBigUint64(40, true)], [48, 6, 2n, 3n]);
});
