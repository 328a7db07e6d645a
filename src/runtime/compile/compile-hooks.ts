import type { OciHook, OciSpec } from '#spec/oci-runtime.ts';
import type { Section } from '#runtime/plan/ops.ts';
import type { PlanBuilder } from './plan-builder.ts';

export type HookPoint = keyof NonNullable<OciSpec['hooks']>;
/** In the order of a container's life. */
export const HOOK_POINTS: readonly HookPoint[] = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];

/** Where the helper writes the child's pid into a hook's stdin. */
export const HOOK_PID = '\0PID\0';

export interface HookState {
  readonly id: string;
  readonly bundle: string;
  readonly status: 'creating' | 'created' | 'running' | 'stopped';
  /** HOOK_PID, or a number; undefined: the process is gone. */
  readonly pid: string | number | undefined;
}

/** The state that a hook reads from its stdin: https://github.com/opencontainers/runtime-spec, runtime.md "State". */
export function hookState(spec: OciSpec, state: HookState): string {
  const body = JSON.stringify({
    ociVersion: spec.ociVersion, id: state.id, status: state.status, pid: 0, bundle: state.bundle, annotations: spec.annotations ?? {},
  });
  // The placeholder is no JSON; a `"pid":0` can only stand before the bundle and the annotations, which come later.
  return body.replace('"pid":0', state.pid === undefined ? '"pid":0' : `"pid":${state.pid}`);
}

/** All hooks of one point, in order, in `section`. */
export function addHooks(plan: PlanBuilder, spec: OciSpec, at: { point: HookPoint; section: Section; state: HookState }): void {
  spec.hooks?.[at.point]?.forEach((hook, index) => {
    plan.add(at.section, 'hook', {
      argv: hookArgv(hook), env: hook.env ?? [], stdin: hookState(spec, at.state), timeoutMs: (hook.timeout ?? 0) * 1000, path: hook.path,
    }, { why: `${at.point} hook ${hook.path}`, pointer: `/hooks/${at.point}/${index}` });
  });
}

/** As execve has it: the first is the name that the program is told (Docker's own hook is one of many in one executable). */
const hookArgv = ({ path, args = [] }: OciHook): readonly string[] => (args.length === 0 ? [path] : args);
