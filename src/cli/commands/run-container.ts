import type { ContainerCreateRequest } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { createContainer, requestOf } from '../create/create-container.ts';
import { startFailureStatus, withHelp } from '../create/start-failure.ts';
import { isBrokenPipe, isOutputFailure, withoutSigpipe } from '../io.ts';
import { attachStreams, checkTerminal, type AttachedStreams } from '../session/attached-streams.ts';
import { exitStatus } from '../session/exit-wait.ts';
import { forwardSignals } from '../session/forward-signals.ts';
import { watchSize } from '../session/watch-size.ts';
import { CliTrace } from '../trace.ts';

/** `run`: create, attach and wait, start; then carry the streams until it exits. */
export const runContainer: CommandRunner = async (context) => {
  const trace = context.traceId === undefined ? undefined : new CliTrace(context.traceId);
  try {
    return await runTraced(context, trace);
  } finally {
    await trace?.show(context);
  }
};

async function runTraced(context: CommandContext, trace: CliTrace | undefined): Promise<number> {
  const { flags, program, io } = context;
  const client = context.client();
  const detach = flags.bool('detach');
  let request: ContainerCreateRequest;
  try {
    request = requestOf(context);
  } catch (error) {
    throw withHelp(error, program, 'run');
  }
  if (detach) {
    if (flags.list('attach').length > 0) throw new NaruError('invalid', 'conflicting options: cannot specify both --attach and --detach');
    request.AttachStdin = request.AttachStdout = request.AttachStderr = request.StdinOnce = false;
  } else checkTerminal(io, request.AttachStdin === true, request.Tty === true);
  const attached = request.AttachStdin === true || request.AttachStdout === true || request.AttachStderr === true;

  let id: string;
  try {
    // The connections that attach and wait will take are opened while the container is made.
    if (attached) void client.warm().then(() => client.warm());
    id = await (trace?.span('create', () => createContainer(context, request)) ?? createContainer(context, request));
  } catch (error) {
    throw withHelp(error, program, 'run', startFailureStatus(error));
  }
  if (!attached) return startDetached(context, id, trace);

  const stopSignals = flags.bool('sig-proxy') ? forwardSignals((signal) => client.containers.kill(id, signal), () => forceExit(context)) : undefined;
  let streams: AttachedStreams | undefined;
  let stopSize: (() => void) | undefined;
  try {
    const tty = request.Tty === true;
    const detachKeys = flags.string('detach-keys') || (context.config().detachKeys ?? '');
    const [stdin, stdout, stderr] = [request.AttachStdin === true, request.AttachStdout === true, request.AttachStderr === true];
    const attach = (): ReturnType<typeof client.containers.attach> => client.containers.attach(id, { stream: true, stdin, stdout, stderr, detachKeys });
    const register = (): ReturnType<typeof client.containers.wait> => client.containers.wait(id, flags.bool('rm') ? 'removed' : 'next-exit');
    // Both must be known to the daemon before the start, or output and exit could be missed.
    const [stream, wait] = await Promise.all([trace?.span('attach', attach) ?? attach(), trace?.span('wait: register', register) ?? register()]);
    const starting = trace?.span('start', () => client.containers.start(id)) ?? client.containers.start(id);
    streams = await attachStreams(stream, io, { tty, stdin, stdout, stderr, detachKeys });
    try {
      await starting;
    } catch (error) {
      streams.close();
      if (flags.bool('rm')) await wait.done.catch(() => {});
      throw withHelp(error, program, 'run', startFailureStatus(error));
    }
    if (tty && io.isTerminal(1)) stopSize = watchSize(io, (rows, columns) => client.containers.resize(id, rows, columns));
    const running = async (): Promise<number> => {
      const first = await Promise.race([(streams as AttachedStreams).ended, wait.done.then(() => 'exited' as const, () => 'exited' as const)]);
      if (first === 'detached') return 0;
      // Its output may still be on the way when its status is here.
      if (first === 'exited' && (stdout || stderr)) await (streams as AttachedStreams).ended.catch((error: unknown) => {
        if (isOutputFailure(error)) throw error;
      });
      return exitStatus(wait.done, io);
    };
    return await (trace?.span('container runs', running) ?? running());
  } catch (error) {
    throw stopSignals === undefined ? error : withoutSigpipe(error);
  } finally {
    stopSize?.();
    stopSignals?.();
    streams?.close();
  }
}

async function startDetached(context: CommandContext, id: string, trace: CliTrace | undefined): Promise<number> {
  const start = (): Promise<boolean> => context.client().containers.start(id);
  const starting = trace?.span('start', start) ?? start();
  starting.catch(() => {});
  try {
    context.io.out(`${id}\n`);
  } catch (error) {
    if (!isBrokenPipe(error)) throw error; // nobody wants to know: it runs all the same
  }
  try {
    await starting;
  } catch (error) {
    throw withHelp(error, context.program, 'run', startFailureStatus(error));
  }
  return 0;
}

function forceExit(context: CommandContext): void {
  context.io.err('\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n');
  process.exit(1);
}
