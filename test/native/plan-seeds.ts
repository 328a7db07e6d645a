import type { TaskRequest } from '#core/tasks/port.ts';
import { compileExec } from '#runtime/compile/compile-exec.ts';
import { compileTask, type RuntimeOptions } from '#runtime/compile/compile-task.ts';
import { detectHost } from '#runtime/driver/detect-host.ts';
import { encodePlan } from '#runtime/plan/encode.ts';
import { OPS, type OpDefinition, SECTIONS } from '#runtime/plan/ops.ts';
import type { PlanOp } from '#runtime/plan/plan.ts';
import { defaultSpec } from '#runtime/spec/default-spec.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';

/** In front of a seed: what says to the fuzzer that the header is as it should be. */
const AS_IT_IS = 0;

/** Encoded plans for the decoder's fuzzer: of real containers and processes, and one of every operation. */
export function planSeeds(): Uint8Array[] {
  const host = detectHost();
  const plan = (change?: (spec: OciSpec) => void, options: RuntimeOptions = {}, io: TaskRequest['io'] = { mode: 'pipes', stdin: 'none' }): readonly PlanOp[] => {
    const spec = defaultSpec();
    change?.(spec);
    return compileTask({
      id: 'seed', spec, rootfs: { kind: 'overlay', lowers: ['/l/2', '/l/1'], upper: '/u', work: '/w', volatile: true }, stateDir: '/run/seed', exitFile: '/x/exit',
      durable: true, io, network: [], init: ['/sbin/reaper', '--', 'sh'],
    }, host, options).ops;
  };
  const spec = defaultSpec();
  const plans = [
    plan(), plan(undefined, { standalone: true, inheritStreams: true, await: 3, leave: 'created' }), plan(undefined, {}, { mode: 'pty', stdin: 'open', rows: 24, columns: 80 }),
    plan((s) => {
      s.linux!.namespaces!.push({ type: 'user' }, { type: 'time' });
      s.linux!.uidMappings = s.linux!.gidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      s.linux!.timeOffsets = { boottime: { secs: 5 } };
      s.linux!.sysctl = { 'net.ipv4.ip_forward': '1' };
      s.mounts!.push({ destination: '/v', source: '/tmp', options: ['rbind', 'rro', 'ridmap', 'rslave'] }, { destination: '/t', type: 'tmpfs', options: ['tmpcopyup', 'ro'] });
      s.process!.rlimits = [{ type: 'RLIMIT_NOFILE', soft: 5, hard: 10 }];
      s.process!.noNewPrivileges = true;
      s.hooks = { prestart: [{ path: '/bin/true', args: ['true'], env: ['A=b'], timeout: 5 }], startContainer: [{ path: '/bin/true' }], poststop: [{ path: '/bin/true' }] };
    }),
    compileExec({ execId: 'e', process: spec.process!, spec, io: { mode: 'pty', stdin: 'once' } }, { containerId: 'seed' }, host).ops,
    ...Object.entries<OpDefinition>(OPS).map(([name, { args }], i) => [{
      name, section: SECTIONS[i % SECTIONS.length], why: '',
      args: Object.fromEntries(args.map(([arg, kind]) => [arg, kind === 'int' || kind === 'slot' ? 1 : kind === 'list' ? ['a', ''] : kind === 'ints' ? [7, 8] : kind === 'bytes' ? new Uint8Array([0, 255]) : 'text'])),
    } as unknown as PlanOp]),
  ];
  return plans.map((ops, i) => Buffer.concat([new Uint8Array([AS_IT_IS]), encodePlan({ ops }, { trace: i % 2 === 1 })]));
}
