import type { TaskRequest } from '#core/tasks/port.ts';
import { compileTask, type RuntimeOptions } from '#runtime/compile/compile-task.ts';
import type { CompileHost } from '#runtime/compile/compile-host.ts';
import { detectHost } from '#runtime/driver/detect-host.ts';
import type { Plan } from '#runtime/plan/plan.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { bundleNetwork } from './network-steps.ts';
import type { ContainerRecord } from './container-record.ts';
import { terminalIo } from './terminal-io.ts';

/** How this container's plan was compiled, beside its configuration: kept in its record. */
export type PlanLayout = Pick<RuntimeOptions, 'await' | 'leave' | 'preserve' | 'consoleSlot' | 'noPivot' | 'pidFile'>;

/** The machine as this container may use it. */
export function hostOf(record: ContainerRecord): CompileHost {
  const host = detectHost();
  return record.noCgroup === true ? { ...host, cgroups: { ...host.cgroups, hierarchies: [] } } : host;
}

/** The plan of a container: the same for `create` and, later, for whoever must say which of its operations failed (`again`). */
export function taskPlan(record: ContainerRecord, config: OciSpec, at: { readonly stateDir: string; readonly again?: boolean }): { readonly plan: Plan; readonly spec: OciSpec; readonly host: CompileHost } {
  const { stateDir } = at;
  const spec = { ...config, linux: { ...config.linux, cgroupsPath: record.cgroupPath } };
  const terminal = spec.process?.terminal === true;
  const foreground = record.layout.leave === undefined && record.layout.consoleSlot === undefined && at.again !== true;
  const request: TaskRequest = {
    id: record.id, spec, rootfs: { kind: 'directory', path: record.rootfs }, stateDir, exitFile: '/', durable: false, network: bundleNetwork(spec, { moved: at.again === true }), init: false,
    io: terminal ? terminalIo(spec.process?.consoleSize, foreground) : { mode: 'null', stdin: 'none' },
  };
  const host = hostOf(record);
  const plan = compileTask(request, host, {
    ...record.layout, ...(record.owner !== undefined && { rootless: record.owner }), standalone: true, cgroupParentsReady: true, cgroupMayExist: record.foreignCgroup || record.systemdUnit !== undefined, bundle: record.bundle,
    noNewKeyring: record.noNewKeyring, childFile: `${stateDir}/pid`, inheritStreams: !terminal,
  });
  return { plan, spec, host };
}
