import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExecRequest } from '#core/tasks/port.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import { compileExec } from './compile-exec.ts';
import { execCompiler } from './exec-compiler.ts';
import { FAKE_HOST } from './fake-host.ts';

test('each exec has the plan that compileExec makes, and its bytes, whatever came before', () => {
  const spec = defaultSpec();
  const process = { ...spec.process!, env: ['PATH=/bin', 'A=1'], args: ['true'] };
  const io = { mode: 'pipes', stdin: 'none' } as const;
  const base: ExecRequest = { execId: 'e', process, spec, io };
  const other = defaultSpec();
  other.linux!.cgroupsPath = '/naru/other';
  const changes: Partial<ExecRequest>[] = [
    { process: { ...process, args: ['sh', '-c', `echo ${'x'.repeat(100_000)}`] } },
    { process: { ...process, args: ['/bin/true'] } },
    { process: { ...process, env: ['PATH=/usr/bin', 'A=2'] } },
    { process: { ...process, user: { uid: 1000, gid: 1000 } } },
    { process: { ...process, cwd: '/tmp', noNewPrivileges: true } },
    { process: { ...process, terminal: true }, io: { mode: 'pty', stdin: 'once', rows: 24, columns: 80 } },
    { exitFile: '/exit' },
    { spec: other },
  ];
  const context = { containerId: 'c' };
  const compile = execCompiler(context, FAKE_HOST);
  for (const change of changes) {
    for (const request of [base, base, base, { ...base, ...change }, { ...base, ...change }]) {
      const plan = compile(request);
      const expected = compileExec(request, context, FAKE_HOST);
      assert.deepEqual(plan.ops, expected.ops);
      for (const trace of [false, true]) assert.deepEqual(encodePlan(plan, { trace }), encodePlan(expected, { trace }));
    }
  }
  assert.throws(() => compile({ ...base, process: { ...process, args: ['a\0b'] } }), { kind: 'invalid', message: /^\/process\/args\/0: / });
});

test('the second time, all but the command is written already', () => {
  const spec = defaultSpec();
  const request: ExecRequest = { execId: 'e', process: { ...spec.process!, args: ['true'] }, spec, io: { mode: 'pipes', stdin: 'none' } };
  const compile = execCompiler({ containerId: 'c' }, FAKE_HOST);
  assert.equal(compile(request).encoded, undefined);
  const second = compile(request);
  assert.equal(second.encoded?.count, second.ops.length - 1);
  assert.equal(compile(request).encoded?.bytes, second.encoded?.bytes);
});
