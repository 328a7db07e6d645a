import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NR } from '#sys/numbers.ts';
import { SYSCALL_ABIS, X32_BIT, syscallNumbers } from './syscall-numbers.ts';

test('known numbers', () => {
  const of = (name: string) => SYSCALL_ABIS.map((abi) => syscallNumbers(abi).get(name));
  assert.deepEqual(of('read'), [0, 3, X32_BIT, 63, 3]);
  assert.deepEqual(of('execve'), [59, 11, X32_BIT + 520, 221, 11]);
  assert.deepEqual(of('clone3'), [435, 435, X32_BIT + 435, 435, 435]);
  assert.deepEqual(of('socketcall'), [undefined, 102, undefined, undefined, undefined]);
});

test('numbers agree with those that naru itself calls', () => {
  const native = syscallNumbers(process.arch === 'arm64' ? 'aarch64' : 'x86_64');
  for (const [name, number] of Object.entries(NR)) assert.equal(native.get(name), number, name);
});

test('no number twice, but for aliases', () => {
  for (const abi of SYSCALL_ABIS) {
    const numbers = [...syscallNumbers(abi).values()];
    assert.ok(numbers.length > 300);
    assert.ok(new Set(numbers).size >= numbers.length - 1, abi);
  }
});
