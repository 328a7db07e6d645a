import { NaruError } from '#spec/errors.ts';
import { closeQuietly, dupDescriptor } from '#sys/descriptors.ts';
import { span } from '#sys/trace.ts';
import type { ExecStart } from '#spec/engine-api.ts';
import type { OciProcess } from '#spec/oci-runtime.ts';
import type { ClientDescriptor } from '#api/engine-port.ts';
import type { PreparedExec, Task, TaskIo } from '#core/tasks/port.ts';
import { parseDetachKeys } from '../attach/detach-keys.ts';
import type { EngineContext } from '../engine-context.ts';
import { containerEvent } from '../events/container-event.ts';
import type { Container } from '../containers/container.ts';
import { execProcess } from '../containers/to-spec/exec-process.ts';
import { currentRequest } from '../containers/to-spec/build-task-request.ts';
import { checkCanExec } from './create-exec.ts';
import { execEvent } from './exec-event.ts';
import type { Exec } from './exec.ts';

/** Checks; `start` then attaches the client and starts the process. Throws conflict when it was started before. */
export function prepareExec(engine: EngineContext, exec: Exec, options: ExecStart): { tty: boolean; start(client: ClientDescriptor | undefined): Promise<void> } {
  if (exec.state === 'running' || exec.state === 'starting') throw new NaruError('conflict', `exec command ${exec.id} is already running`);
  if (exec.state === 'exited') throw new NaruError('conflict', `exec command ${exec.id} has already run`);
  const container = engine.containers.get(exec.containerId);
  if (container === undefined) throw new NaruError('not-found', `No such exec instance: ${exec.id}`);
  checkCanExec(container);
  return {
    tty: exec.config.Tty === true,
    start: async (client) => {
      await startExec(engine, container, { exec, client, size: options.ConsoleSize ?? exec.config.ConsoleSize ?? undefined });
    },
  };
}

export interface StartExec {
  readonly exec: Exec;
  readonly client: ClientDescriptor | undefined;
  /** Docker's frames when there is no terminal; false: the bytes alone. */
  readonly framed?: boolean;
  /** Rows and columns. */
  readonly size?: [number, number] | undefined;
}

/** Resolves when the program runs. A failure leaves the exec finished, with 126, 127 or 128 as its code, and is thrown. */
export async function startExec(engine: EngineContext, container: Container, { exec, client, size, framed = true }: StartExec): Promise<Task> {
  const { config } = exec;
  const { task } = container;
  if (exec.state !== 'created') throw new NaruError('conflict', `exec command ${exec.id} is already running`);
  checkCanExec(container);
  if (task === undefined) throw new NaruError('conflict', `container ${container.id} is not running`);
  exec.state = 'starting';
  try {
    const { spec } = currentRequest(engine, container);
    const process = (): OciProcess => execProcess(engine, container, { config, spec });
    const io = execIo(exec, client !== undefined, size);
    const make = (): PreparedExec => span('runtime', 'prepare exec', () => task.exec({ execId: exec.id, process: process(), spec, io }));
    const begin = async (prepared: PreparedExec): Promise<Task> => {
      exec.task = prepared;
      if (client !== undefined) await attachClient(engine, { container, exec, client, framed }, prepared);
      return span('runtime', 'start exec', () => prepared.start());
    };
    const ahead = engine.execs.ahead.take(exec, { spec, process, io });
    const running = ahead === undefined ? await begin(make()) : await begin(ahead).catch((error: unknown) => {
      if (ahead.wasGone) return begin(make());
      throw error;
    });
    exec.task = running;
    exec.pid = running.pid;
    exec.state = 'running';
    if (exec.terminal !== undefined) running.resize(exec.terminal.rows, exec.terminal.columns);
    execEvent(engine, container, exec, `exec_start: ${config.Cmd!.join(' ')}`);
    const end = (code: number): void => {
      engine.execs.finished(exec, code);
      execEvent(engine, container, exec, 'exec_die', { exitCode: String(code) });
    };
    void running.exited.then((status) => end(status.code), () => end(137));
    return running;
  } catch (error) {
    if (exec.task !== undefined && 'abandon' in exec.task) exec.task.abandon();
    engine.execs.finished(exec, failureCode(error));
    throw error;
  }
}

/** What did not begin, as Docker tells it: what the runtime says of the program; 128: the runtime failed otherwise; 126: it was not asked. */
function failureCode(error: unknown): number {
  const code = error instanceof NaruError ? error.exitCode : undefined;
  return code === undefined ? 126 : code === 126 || code === 127 ? code : 128;
}

/** `attached`: a client is there. */
export function execIo({ config, terminal }: Exec, attached: boolean, size: [number, number] | undefined): TaskIo {
  const mode = config.Tty === true ? 'pty' : attached ? 'pipes' : 'null';
  const stdin = config.AttachStdin === true && attached ? 'once' : 'none';
  const rows = terminal?.rows ?? size?.[0] ?? 0;
  const columns = terminal?.columns ?? size?.[1] ?? 0;
  return { mode, stdin, ...(mode === 'pty' && rows > 0 ? { rows, columns } : {}) };
}

async function attachClient(engine: EngineContext, { container, exec, client, framed }: { container: Container; exec: Exec; client: ClientDescriptor; framed: boolean }, to: Pick<Task, 'attach'>): Promise<void> {
  const { config } = exec;
  const tty = config.Tty === true;
  const fd = dupDescriptor(client.fd);
  let handed = false;
  try {
    const attached = to.attach({
      fd, stdin: config.AttachStdin === true, stdout: config.AttachStdout === true || tty, stderr: config.AttachStderr === true,
      framed: framed && !tty, closeStdin: !tty, detachKeys: tty ? parseDetachKeys(config.DetachKeys ?? '') : new Uint8Array(0),
    });
    handed = true;
    const { ended } = await attached;
    void ended.then((end) => {
      if (end === 'detached') containerEvent(engine, container, 'exec_detach', { execID: exec.id });
    }, () => undefined);
  } finally {
    if (!handed) closeQuietly(fd);
  }
}
