import { readFileSync } from 'node:fs';
import { closeQuietly, pidfdOpen, pidfdSignal, socketpair } from '#sys/descriptors.ts';
import { adoptSocket } from '#sys/fd-socket.ts';
import type { EngineContext } from '../../engine-context.ts';
import { createExec, execCreated } from '../../execs/create-exec.ts';
import { startExec } from '../../execs/start-exec.ts';
import type { Container } from '../container.ts';
import { cgroupPath } from '../container-paths.ts';

/** Bytes of output that are kept. */
export const OUTPUT_LIMIT = 4096;
const SIGKILL = 9;
/** Docker's code for a probe that could not run or took too long. */
const NO_RESULT = -1;

export interface ProbeResult { readonly exitCode: number; readonly output: string }

/** Runs the check inside the container. Never throws: what fails is a result. After the timeout everything that the check started is
 *  killed, so that checks cannot pile up. */
export async function probe(engine: EngineContext, container: Container, { command, timeoutMs, signal }: { command: string[]; timeoutMs: number; signal: AbortSignal }): Promise<ProbeResult> {
  const [ours, theirs] = socketpair('stream');
  const chunks: Uint8Array[] = [];
  let size = 0;
  let truncated = false;
  let closed: () => void = () => undefined;
  const drained = new Promise<void>((resolve) => (closed = resolve));
  const socket = await adoptSocket(ours, {
    data(bytes) {
      if (size >= OUTPUT_LIMIT) truncated = true;
      else chunks.push(Uint8Array.from(bytes.subarray(0, OUTPUT_LIMIT - size)));
      size += bytes.byteLength;
    },
    end: () => closed(),
    close: () => closed(),
  });
  try {
    const exec = createExec(engine, container, { Cmd: command, AttachStdout: true, AttachStderr: true });
    execCreated(engine, container, exec);
    const task = await startExec(engine, container, { exec, client: { fd: theirs }, framed: false });
    closeQuietly(theirs);
    const outcome = await settle(task.exited, timeoutMs, signal);
    if (outcome === 'timeout' || outcome === 'aborted') {
      await killSession(engine, container, task.pid);
      task.signal(SIGKILL);
      return { exitCode: NO_RESULT, output: outcome === 'timeout' ? `Health check exceeded timeout (${seconds(timeoutMs)})` : '' };
    }
    // The output's end may come a little after the exit; children that hold the stream must not hold us.
    await settle(drained, 100, signal);
    const text = new TextDecoder().decode(Buffer.concat(chunks));
    return { exitCode: outcome.code, output: truncated ? `${text}...` : text };
  } catch (error) {
    closeQuietly(theirs);
    return { exitCode: NO_RESULT, output: (error as Error).message };
  } finally {
    socket.close();
  }
}

const seconds = (milliseconds: number): string => (milliseconds >= 1000 ? `${milliseconds / 1000}s` : `${milliseconds}ms`);

async function settle<T>(work: Promise<T>, milliseconds: number, signal: AbortSignal): Promise<T | 'timeout' | 'aborted'> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: (() => void) | undefined;
  const limit = new Promise<'timeout' | 'aborted'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), milliseconds);
    abort = () => resolve('aborted');
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort!);
  }
}

/** Everything in the session that the exec began: its own children too, which would otherwise live on as orphans. */
async function killSession(engine: EngineContext, container: Container, leader: number): Promise<void> {
  for (const pid of await engine.tasks.pids(cgroupPath(engine, container)).catch(() => [])) {
    if (sessionOf(pid) !== leader) continue;
    let pidfd = -1;
    try {
      pidfd = pidfdOpen(pid);
      // Asked again behind the descriptor: the number could have changed hands.
      if (sessionOf(pid) === leader) pidfdSignal(pidfd, SIGKILL);
    } catch {
      // gone already
    } finally {
      closeQuietly(pidfd);
    }
  }
}

/** Session id of a process, as the host counts; undefined when it is gone. */
function sessionOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
  } catch {
    return undefined;
  }
}
