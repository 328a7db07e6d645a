import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExecRequest } from '#core/tasks/port.ts';
import { CLONE_NEWCGROUP } from '#sys/numbers.ts';
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
  const { compile, compileAhead } = execCompiler(context, FAKE_HOST);
  for (const change of changes) {
    for (const request of [base, base, base, { ...base, ...change }, { ...base, ...change }]) {
      const plan = compile(request);
      const expected = compileExec(request, context, FAKE_HOST);
      assert.deepEqual(plan.ops, expected.ops);
      for (const trace of [false, true]) assert.deepEqual(encodePlan(plan, { trace }), encodePlan(expected, { trace }));
      assert.deepEqual(encodePlan(compileAhead(request)!), encodePlan(compileExec(request, context, FAKE_HOST, { ahead: true })));
    }
  }
  assert.throws(() => compile({ ...base, process: { ...process, args: ['a\0b'] } }), { kind: 'invalid', message: /^\/process\/args\/0: / });
});

test('the second time, all but the command is written already', () => {
  const spec = defaultSpec();
  const request: ExecRequest = { execId: 'e', process: { ...spec.process!, args: ['true'] }, spec, io: { mode: 'pipes', stdin: 'none' } };
  const { compile } = execCompiler({ containerId: 'c' }, FAKE_HOST);
  assert.equal(compile(request).encoded, undefined);
  const second = compile(request);
  assert.equal(second.encoded?.count, second.ops.length - 1);
  assert.equal(compile(request).encoded?.bytes, second.encoded?.bytes);
});

test('what waits to be started is in no group and not in the pid namespace, and leaves no way to the host\'s groups', () => {
  const spec = defaultSpec();
  const process = { ...spec.process!, args: ['true'] };
  const request: ExecRequest = { execId: 'e', process, spec, io: { mode: 'pipes', stdin: 'none' } };
  const { compile, compileAhead } = execCompiler({ containerId: 'c' }, FAKE_HOST);
  const child = compileAhead(request)!.ops.filter((op) => op.section !== 'parent');
  const at = (name: string): number => child.findIndex((op) => op.name === name);
  const [waits, born] = [at('await'), at('reclone_into')];
  assert.deepEqual(child.find((op) => op.name === 'clone')?.args, { flags: 0, cgroup: -1 });
  const joins = child.map((op, i) => (op.name === 'write_slot' ? i : -1)).filter((i) => i >= 0);
  assert.equal(joins.length, compile(request).ops.filter((op) => op.name === 'write_pid').length);
  for (const i of joins) assert.ok(waits < i && i < born);
  assert.equal(child.filter((op) => op.name === 'setns')[0]?.args && (child[at('setns')]!.args as { nstype: number }).nstype & CLONE_NEWCGROUP, 0);
  const missing = (change: (spec: ExecRequest['spec']) => void, more: Partial<typeof process> = {}): void => {
    const other = defaultSpec();
    change(other);
    assert.equal(compileAhead({ ...request, spec: other, process: { ...process, ...more } }), undefined);
  };
  missing((it) => void (it.linux!.namespaces = it.linux!.namespaces!.filter((n) => n.type !== 'pid'))); // it would be in sight
  missing((it) => void (it.linux!.namespaces = it.linux!.namespaces!.filter((n) => n.type !== 'mount')));
  missing(() => undefined, { execCPUAffinity: { initial: '0' } });
});
