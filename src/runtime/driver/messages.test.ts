import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, PlanOp } from '#runtime/plan/plan.ts';
import { decodeExitRecord } from './exit-record.ts';
import { decodeMessage, encodeMessage } from './messages.ts';
import { startError } from './start-errors.ts';
import { transition } from './task-states.ts';

const message = (type: number, ...words: number[]): Uint8Array => encodeMessage(type, 7, words);

test('messages of a shim', () => {
  assert.deepEqual(decodeMessage(message(101, 4242, 0, 5, 1)), { type: 'started', pid: 4242, at: (1n << 32n) + 5n });
  assert.deepEqual(decodeMessage(message(102, 2, 17, 2, 9)), { type: 'failed', section: 2, op: 17, errno: 2, extra: 9 });
  assert.deepEqual(decodeMessage(message(103, 1, 9, 3, 1, 0, 0)), { type: 'exited', code: 1, signal: 9, oomKills: 3, coreDumped: true, at: 0n });
  assert.deepEqual(decodeMessage(message(104, 1)), { type: 'attachEnd', seq: 7, reason: 1 });
  assert.deepEqual(decodeMessage(message(108)), { type: 'attached', seq: 7 });
  assert.deepEqual(decodeMessage(message(106, 1, 0, 3, 0, 10, 0, 20, 0)), { type: 'trace', stamps: [{ op: 3, start: 10n, end: 20n }] });
});

test('what is short, unknown or lies about its length is no message', () => {
  for (const type of [101, 102, 103, 104, 105, 106, 107]) assert.equal(decodeMessage(message(type)), undefined, String(type));
  assert.equal(decodeMessage(message(106, 1000, 0, 1)), undefined);
  assert.equal(decodeMessage(message(999, 1, 2, 3, 4)), undefined);
  assert.equal(decodeMessage(new Uint8Array(3)), undefined);
});

test('the exit record', () => {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x5458454e, true);
  view.setInt32(4, 3, true);
  view.setBigUint64(24, 99n, true);
  assert.deepEqual(decodeExitRecord(bytes), { code: 3, signal: 0, oomKills: 0, at: 99n });
  view.setInt32(8, 15, true);
  assert.equal(decodeExitRecord(bytes)?.code, 143);
  assert.equal(decodeExitRecord(bytes.subarray(0, 31)), undefined);
  view.setUint32(0, 1, true);
  assert.equal(decodeExitRecord(bytes), undefined);
});

test('states: late messages mean nothing', () => {
  assert.equal(transition('prepared', 'spawn'), 'starting');
  assert.equal(transition('exited', 'started'), undefined);
  assert.equal(transition('failed', 'lost'), undefined);
  assert.equal(transition('running', 'abandon'), undefined);
});

const plan = (op: { name: string; args: object; pointer?: string; source?: string }): Plan => ({ ops: [{ section: 'child', why: 'why', ...op } as unknown as PlanOp] });
const spec = { ociVersion: '1.2.0', mounts: [{ destination: '/dst', source: '/src', options: ['bind'] }] };
const PREFIX = 'OCI runtime exec failed: exec failed: unable to start container process: ';

test('failures in Docker\'s words, with their exit codes', () => {
  const exec = (name: string) => ({ name: 'exec', args: { argv: [name], candidates: ['/bin/x'], env: [] } });
  const cases: readonly (readonly [Parameters<typeof plan>[0], number, string, number])[] = [
    [exec('x'), 2, 'exec: "x": executable file not found in $PATH: unknown', 127],
    [exec('/x'), 2, 'exec: "/x": stat /x: no such file or directory: unknown', 127],
    [exec('/x'), 13, 'exec: "/x": permission denied: unknown', 126],
    [exec('/x'), 21, 'exec: "/x": is a directory: unknown: permission denied', 126],
    [exec('/x'), 8, 'exec /x: exec format error: unknown', 126],
    [{ name: 'keyring', args: { name: 'x' } }, 122, 'error during container init: unable to join session keyring: unable to create session key: disk quota exceeded: unknown: the kernel gives this user no more keys (/proc/key-users): stop what holds them, or raise kernel.keys.maxkeys (root: root_maxkeys) and maxbytes', 125],
    [{ name: 'chdir', args: { path: '/w', create: 0 } }, 20, 'chdir to cwd ("/w") set in config.json failed: not a directory: unknown', 127],
    [{ name: 'attach', args: {}, pointer: '/mounts/0' }, 20, 'error during container init: error mounting "/src" to rootfs at "/dst": attach: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type', 127],
    [{ name: 'rlimit', args: { resource: 7 } }, 1, 'error setting rlimits for ready process: error setting rlimit type 7: operation not permitted: unknown', 125],
  ];
  for (const [op, errno, text, exitCode] of cases) {
    const error = startError(plan(op), { op: 0, errno, extra: 0 }, { spec, verb: 'exec' });
    assert.equal(error.message, PREFIX + text);
    assert.equal(error.exitCode, exitCode);
  }
  const hint = startError(plan({ ...exec('x'), source: '--entrypoint x' }), { op: 0, errno: 2, extra: 0 }, { spec, verb: 'exec' }).hint;
  assert.equal(hint, 'operation 0 of the plan (child: exec, "why"), from --entrypoint x failed with ENOENT');
});
