import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanOp } from './plan.ts';
import { printPlan } from './print.ts';

const op = (name: string, section: string, args: object, more: object = {}): PlanOp =>
  ({ name, section, args, why: 'because', ...more }) as unknown as PlanOp;

test('one line for each operation, with its reason and its source', () => {
  const text = printPlan({
    ops: [
      op('mkdir', 'prepare', { path: '/a b', mode: 0o755 }, { tolerate: [17], skip: 2 }),
      op('clone', 'prepare', { flags: 0x20020000, cgroup: -1 }, { source: '--pid' }),
      op('open', 'child', { slot: 3, at: -1, path: '/', flags: 0o10000000, mode: 0, resolve: 24 }),
      op('write', 'child', { path: '/x', flags: 0o1101, data: 'text\n' }),
      op('seccomp', 'child', { flags: 0, program: new Uint8Array(100).fill(1), listener: -1, state: '' }),
      op('rlimit', 'child', { resource: 7, soft: 1024n, hard: -1 }),
      op('mknod', 'child', { root: 2, path: 'dev/null', mode: 0o20666, dev: 0x103, uid: 0, gid: 0 }),
      op('exec', 'child', { candidates: ['/bin/sh'], argv: ['sh'], env: Array.from({ length: 14 }, (_, i) => `V${i}=`) }),
    ],
  });
  const lines = text.split('\n');
  assert.equal(lines[0], '0 prepare mkdir("/a b", 0755) or errno 17, then skip 2  # because (always)');
  assert.equal(lines[1], '1 prepare clone(CLONE_NEWNS|CLONE_NEWPID, -)  # because (--pid)');
  assert.equal(lines[2], '2 child   open(@3, -, "/", O_PATH, 00, RESOLVE_BENEATH|RESOLVE_IN_ROOT)  # because (always)');
  assert.equal(lines[3], '3 child   write("/x", O_WRONLY|O_CREAT|O_TRUNC, "text\\n")  # because (always)');
  assert.match(lines[4]!, /seccomp\(0, <100 bytes 01{0}.*\.\.\.>, -, ""\)/);
  assert.match(lines[5]!, /rlimit\(RLIMIT_NOFILE, 1024, unlimited\)/);
  assert.match(lines[6]!, /mknod\(@2, "dev\/null", 020666, 1:3, 0, 0\)/);
  assert.match(lines[7]!, /"V11=", \.\.\. 2 more\]/);
  assert.equal(lines.length, 9);
});

test('where causes are flags, a field that no flag stands behind is a default', () => {
  const plan = { ops: [op('setsid', 'child', {}, { source: '/mounts/0', pointer: '/mounts/0' }), op('setsid', 'child', {}, { source: '--tty', pointer: '/process/terminal' })] };
  assert.equal(printPlan(plan, { flags: true }), '0 child   setsid()  # because (default)\n1 child   setsid()  # because (--tty)\n');
  assert.equal(printPlan(plan), '0 child   setsid()  # because (/mounts/0)\n1 child   setsid()  # because (--tty)\n');
});
