import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TaskRequest } from '#core/tasks/port.ts';
import { fakeCgroups, LEGACY } from '#runtime/cgroups/fake-cgroups.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import type { NetworkStep } from '#spec/network-steps.ts';
import type { CompileHost } from './compile-host.ts';
import { compileTask } from './compile-task.ts';
import { FAKE_HOST } from './fake-host.ts';
import { taskCompiler } from './task-compiler.ts';

const OPTIONS = { cgroupParentsReady: true };
const seccomp = defaultSpec().linux!.seccomp!;

/** As the engine asks: paths and names that hold the id or its beginning. */
function request(change: (spec: OciSpec) => void = () => {}, more: Partial<TaskRequest> = {}): TaskRequest {
  const id = randomBytes(32).toString('hex');
  const spec = defaultSpec();
  spec.hostname = id.slice(0, 12);
  spec.process!.env = ['PATH=/bin', `HOSTNAME=${id.slice(0, 12)}`];
  spec.linux = { ...spec.linux!, seccomp, cgroupsPath: `/naru/${id}` };
  spec.mounts = [...spec.mounts!, { destination: '/etc/hosts', type: 'bind', source: `/run/c/${id.slice(0, 24)}/hosts`, options: ['bind'] }];
  change(spec);
  return {
    id, spec, rootfs: { kind: 'overlay', lowers: ['/l/1'], upper: `/s/${id}/upper`, work: `/s/${id}/work`, volatile: true }, stateDir: `/run/c/${id.slice(0, 24)}`,
    exitFile: `/run/c/${id.slice(0, 24)}/exit.1`, durable: false, io: { mode: 'pipes', stdin: 'none' }, network: network(id), init: false, sources: new Map([['/process/args', 'COMMAND']]), ...more,
  };
}

const network = (id: string): NetworkStep[] => [
  { kind: 'netlink', where: 'host', protocol: 0, acks: 1, batch: randomBytes(64), patches: [{ kind: 'child-netns-fd', offset: 8 }], why: `veth of ${id.slice(0, 12)}` },
  { kind: 'netlink', where: 'container', protocol: 0, acks: 1, batch: randomBytes(32), patches: [{ kind: 'ifindex', offset: 4, name: 'eth0' }], why: 'addresses' },
] as NetworkStep[];

const KINDS: readonly (() => TaskRequest)[] = [
  request,
  () => request((spec) => { spec.process!.args = ['sh', '-c', 'exit 3']; }),
  () => request((spec) => { spec.process!.user = { uid: 33, gid: 44, additionalGids: [55] }; }),
  () => request((spec) => { spec.linux!.resources = { memory: { limit: 64 << 20 }, devices: [{ allow: true, type: 'c', major: 1, minor: 3, access: 'rw' }] }; }),
  () => request((spec) => { spec.root = { path: '/', readonly: true }; spec.linux = { ...spec.linux!, seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } }; }),
  () => request(() => {}, { network: [] }),
  () => request(() => {}, { io: { mode: 'pty', stdin: 'once', rows: 24, columns: 80 }, durable: true }),
  () => request(() => {}, { rootfs: { kind: 'directory', path: '/' }, log: { path: '/log', maxSize: 1, maxFiles: 2 } }),
];

for (const name of ['v1', 'v2']) {
  test(`${name}: each container has the plan that compileTask makes, and its bytes, whatever came before`, () => {
    using fake = fakeCgroups(LEGACY);
    const host: CompileHost = name === 'v2' ? FAKE_HOST : { ...FAKE_HOST, cgroups: fake.host };
    const compile = taskCompiler(host, OPTIONS);
    let written = 0;
    for (let round = 0; round < 3; round++) {
      for (const kind of KINDS) {
        for (const asked of [kind(), KINDS[0]!(), kind(), kind(), kind()]) {
          const plan = compile(asked), expected = compileTask(asked, host, OPTIONS);
          if (plan.whole !== undefined) written++;
          for (const trace of [true, false]) assert.deepEqual(encodePlan(plan, { trace }), encodePlan(expected, { trace }));
          assert.deepEqual(plan.ops, expected.ops);
        }
      }
    }
    assert.ok(written > 60, `only ${written} were made from a template`);
  });
}

test('what is wrong with one is said of it, whatever came before', () => {
  const compile = taskCompiler(FAKE_HOST, OPTIONS);
  for (let i = 0; i < 4; i++) compile(request());
  assert.throws(() => compile(request((spec) => { spec.process!.args = ['a\0b']; })), { kind: 'invalid', message: /^\/process\/args\/0: / });
});
