import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMessage, encodeCall } from './dbus-message.ts';
import { decodeValues, encodeValues, splitSignature } from './dbus-value.ts';
import { limitProperties, scopeProperties } from './scope-properties.ts';
import { systemdUnit } from './unit-name.ts';

test('values come back as they went, whatever stands before them', () => {
  const body = [['a', [['b', { signature: 'a(ss)', value: [['x', 'y']] }]]], 7, { signature: 't', value: 2n ** 64n - 1n }, [1, 2], true, -5n, ''];
  const signature = '(sa(sv))yvauyxs';
  assert.deepEqual(splitSignature(signature), ['(sa(sv))', 'y', 'v', 'au', 'y', 'x', 's']);
  assert.deepEqual(decodeValues('(sa(sv))yvaubxs', encodeValues('(sa(sv))yvaubxs', body)), body);
});

test('the bytes are those of the specification: alignment, lengths, NULs', () => {
  assert.equal(encodeValues('ys', [1, 'ab']).toString('hex'), `01000000${'02000000'}616200`);
  assert.equal(encodeValues('a(sv)', [[['k', { signature: 'u', value: 5 }]]]).toString('hex'), '10000000' + '00000000' + '010000006b00' + '017500' + '000000' + '05000000');
});

test('a message is only read once it is whole', () => {
  const bytes = encodeCall({ path: '/a', interface: 'b.c', member: 'D', destination: 'e.f', signature: 's', body: ['text'] }, 3);
  for (let n = 0; n < bytes.length; n++) assert.equal(decodeMessage(bytes.subarray(0, n)), undefined, String(n));
  assert.deepEqual(decodeMessage(Buffer.concat([bytes, bytes]))!.message.body, ['text']);
  assert.equal(decodeMessage(bytes)!.length, bytes.length);
});

test('bytes of any kind are refused or read, never more than that', () => {
  const bytes = encodeCall({ path: '/a', interface: 'b.c', member: 'D', signature: 'a(sv)as', body: [[['k', { signature: 'as', value: ['x'] }]], ['y']] }, 3);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 6 }), (changes) => {
    const broken = Buffer.from(bytes);
    for (const [at, value] of changes) broken[at] = value;
    try {
      decodeMessage(broken);
    } catch (error) {
      assert.ok(['NaruError'].includes((error as Error).name), String(error));
    }
  }), { numRuns: 2000 });
});

test('slice:prefix:name becomes a unit, and the group that systemd gives it', () => {
  assert.deepEqual(systemdUnit('x', 'a-b.slice:p:n', { user: false }), { name: 'p-n.scope', slice: 'a-b.slice', path: '/a.slice/a-b.slice/p-n.scope' });
  assert.deepEqual(systemdUnit('x', '', { user: true }), { name: 'naru-x.scope', slice: 'user.slice', path: '/user.slice/naru-x.scope' });
  assert.equal(systemdUnit('x', '-.slice::n', { user: false }).path, '/n.scope');
  assert.equal(systemdUnit('x', 'a.slice:p:n.slice', { user: false }).name, 'n.slice');
  for (const wrong of ['a', 'a:b', 'a:b:', 'x/y:b:c', 'a--b.slice:p:n', 'a:p:n']) assert.throws(() => systemdUnit('x', wrong, { user: false }), /\/linux\/cgroupsPath/, wrong);
});

test('limits in systemd’s words, and annotations', () => {
  const found = Object.fromEntries(limitProperties({ memory: { limit: -1, swap: -1 }, cpu: { shares: 1024, quota: 12_345 }, pids: { limit: -1 } }, 2).map(([name, { value }]) => [name, value]));
  assert.deepEqual(found, { CPUWeight: 100n, CPUQuotaPerSecUSec: 130_000n, MemoryMax: 2n ** 64n - 1n, MemorySwapMax: 2n ** 64n - 1n, TasksMax: 2n ** 64n - 1n });
  const annotated = (annotations: Record<string, string>) => scopeProperties({ ociVersion: '1.2.0', annotations }, { id: 'x', slice: 'a.slice', isSlice: false, pid: 1, version: 2 }).slice(-Object.keys(annotations).length);
  assert.deepEqual(annotated({ 'org.systemd.property.TimeoutStopSec': '1.5', 'org.systemd.property.After': '[\'a.service\', \'b.service\']', 'org.systemd.property.SendSIGHUP': 'true' }), [
    ['TimeoutStopUSec', { signature: 't', value: 1_500_000n }], ['After', { signature: 'as', value: ['a.service', 'b.service'] }], ['SendSIGHUP', { signature: 'b', value: true }],
  ]);
  assert.throws(() => annotated({ 'org.systemd.property.x/y': '1' }), /\/annotations\/org\.systemd\.property\.x~1y: /);
  assert.throws(() => annotated({ 'org.systemd.property.After': '[a]' }), /is no value that naru reads/);
});
