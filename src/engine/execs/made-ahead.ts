import { currentTrace } from '#sys/trace.ts';
import type { PreparedExec, TaskIo } from '#core/tasks/port.ts';
import type { OciProcess, OciSpec } from '#spec/oci-runtime.ts';
import type { EngineContext } from '../engine-context.ts';
import { execProcess } from '../containers/to-spec/exec-process.ts';
import type { Exec } from './exec.ts';

/** How long one waits for its start, milliseconds; clients ask for it at once. */
const KEEP_MS = 3000;
/** Of one container at a time, and of all. Others are made when they are started. */
const LIMIT = 8;

interface Waiting { readonly exec: Exec; readonly prepared: PreparedExec; readonly spec: OciSpec; readonly io: TaskIo; readonly process: OciProcess; /** Its user is looked up in the container, which may change. */ readonly named: boolean; readonly timer: ReturnType<typeof setTimeout> }

/**
 * Execs that were made while their client read the answer to its creation. Whoever starts one finds all done but the last steps; whoever
 * starts it otherwise than was guessed, or too late, loses nothing.
 */
export class MadeAhead {
  readonly #waiting = new Map<string, Waiting>();

  /** `io`: what is to be expected. */
  make(engine: EngineContext, exec: Exec, io: TaskIo): void {
    const container = engine.containers.get(exec.containerId);
    const { task, request } = container ?? {};
    if (exec.state !== 'created' || task === undefined || request === undefined || container!.state.status !== 'running' || currentTrace() !== undefined) return;
    if (this.#waiting.size >= LIMIT || this.#waiting.has(exec.containerId)) return;
    let process: OciProcess;
    try {
      process = execProcess(engine, container!, { config: exec.config, spec: request.spec });
    } catch {
      return; // said at its start
    }
    const prepared = task.exec({ execId: exec.id, process, spec: request.spec, io });
    const timer = setTimeout(() => this.drop(exec.containerId), KEEP_MS);
    timer.unref();
    this.#waiting.set(exec.containerId, { exec, prepared, spec: request.spec, io, process, named: (exec.config.User || container!.doc.config.User || '') !== '', timer });
    void prepared.makeAhead();
  }

  /** The one that was made for `exec`, if that is how it is to be. `process`: asked for where a name of the container's decides. */
  take(exec: Exec, { spec, process, io }: { spec: OciSpec; process: () => OciProcess; io: TaskIo }): PreparedExec | undefined {
    const waiting = this.#waiting.get(exec.containerId);
    if (waiting?.exec !== exec) return undefined;
    this.#waiting.delete(exec.containerId);
    clearTimeout(waiting.timer);
    const { prepared } = waiting;
    if (waiting.spec === spec && currentTrace() === undefined && same(waiting.io, io) && (!waiting.named || same(waiting.process, process())) && prepared.ahead) return prepared;
    prepared.abandon();
    return undefined;
  }

  /** What waits in the container: it ended, or is forgotten. */
  drop(containerId: string): void {
    const waiting = this.#waiting.get(containerId);
    if (waiting === undefined) return;
    this.#waiting.delete(containerId);
    clearTimeout(waiting.timer);
    waiting.prepared.abandon();
  }
}

const same = (a: object, b: object): boolean => JSON.stringify(a) === JSON.stringify(b);
