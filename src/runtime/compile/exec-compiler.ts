import type { ExecRequest } from '#core/tasks/port.ts';
import { encodeOps } from '#runtime/plan/encode.ts';
import type { Plan, PlanOp } from '#runtime/plan/plan.ts';
import type { OciSpec } from '#spec/oci-runtime.ts';
import { canBeMadeAhead, compileExec, type ExecContext } from './compile-exec.ts';
import type { CompileHost } from './compile-host.ts';
import { programOf } from './compile-process.ts';
import { validateProcess } from './validate-spec.ts';

export interface ExecCompiler {
  /** What `start` executes; Errors: those of compileExec. */
  compile(request: ExecRequest): Plan;
  /** The same, for an exec that waits for its start; undefined when that could be seen. */
  compileAhead(request: ExecRequest): Plan | undefined;
}

/**
 * compileExec for one container, with the same plans. Execs of a container mostly differ in their command alone, which is the plan's last
 * operation: what stands before it is kept, compiled and encoded, from the time before, and used again when nothing else differs.
 */
export function execCompiler(context: ExecContext, host: CompileHost): ExecCompiler {
  const atOnce = remembering((request) => compileExec(request, context, host));
  const ahead = remembering((request) => compileExec(request, context, host, { ahead: true }));
  return { compile: atOnce, compileAhead: (request) => (canBeMadeAhead(request.spec, request.process) ? ahead(request) : undefined) };
}

function remembering(compile: (request: ExecRequest) => Plan): (request: ExecRequest) => Plan {
  let last: { readonly spec: OciSpec; readonly key: string; readonly ops: readonly PlanOp[]; bytes: Uint8Array | undefined } | undefined;
  return (request) => {
    const { process, spec, io, exitFile } = request;
    const key = JSON.stringify([{ ...process, args: undefined }, io, exitFile]);
    if (last === undefined || last.spec !== spec || last.key !== key) {
      const { ops } = compile(request);
      last = { spec, key, ops, bytes: undefined };
      return { ops };
    }
    validateProcess(process);
    const ops = last.ops.slice();
    const program = ops.pop()!;
    last.bytes ??= encodeOps(ops); // not the first time: many containers see one exec
    const encoded = { count: ops.length, bytes: last.bytes };
    ops.push({ ...program, args: programOf(process) } as PlanOp);
    return { ops, encoded };
  };
}
