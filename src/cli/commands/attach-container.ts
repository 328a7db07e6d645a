import type { ContainerInspect } from '#spec/engine-api.ts';
import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { withoutSigpipe } from '../io.ts';
import { attachStreams, checkTerminal } from '../session/attached-streams.ts';
import { forwardSignals } from '../session/forward-signals.ts';
import { watchSize } from '../session/watch-size.ts';

/** `attach`. */
export const attachContainer: CommandRunner = async (context) => {
  const { flags, args, io } = context;
  const client = context.client();
  const name = args[0] as string;
  const container = await client.containers.inspect(name);
  checkState(container);
  const tty = container.Config.Tty === true;
  checkTerminal(io, !flags.bool('no-stdin'), tty);
  const stdin = !flags.bool('no-stdin') && container.Config.OpenStdin === true;
  const detachKeys = flags.string('detach-keys') || (context.config().detachKeys ?? '');
  const wait = await client.containers.wait(container.Id);
  const stream = await client.containers.attach(container.Id, { stream: true, stdin, stdout: true, stderr: true, detachKeys });
  const streams = await attachStreams(stream, io, { tty, stdin, stdout: true, stderr: true, detachKeys });
  const stopSignals = flags.bool('sig-proxy') && !tty ? forwardSignals((signal) => client.containers.kill(container.Id, signal), () => process.exit(1)) : undefined;
  let stopSize: (() => void) | undefined;
  try {
    // It may have stopped in between: then nothing would ever come.
    checkState(await client.containers.inspect(container.Id));
    if (tty && io.isTerminal(1)) {
      const size = await io.size();
      // A change of size makes the program inside draw itself again.
      if (size !== undefined) await client.containers.resize(container.Id, size.rows + 1, size.columns + 1).catch(() => {});
      stopSize = watchSize(io, (rows, columns) => client.containers.resize(container.Id, rows, columns));
    }
    if ((await streams.ended) === 'detached') throw new NaruError('canceled', 'read escape sequence', { exitCode: 1 });
    const response = await wait.done;
    if (response.Error !== undefined && response.Error !== null && response.Error.Message !== '') throw new NaruError('internal', response.Error.Message);
    return response.StatusCode;
  } catch (error) {
    throw stopSignals === undefined ? error : withoutSigpipe(error);
  } finally {
    stopSize?.();
    stopSignals?.();
    streams.close();
  }
};

function checkState({ State }: ContainerInspect): void {
  if (!State.Running) throw new NaruError('conflict', 'You cannot attach to a stopped container, start it first');
  if (State.Paused) throw new NaruError('conflict', 'You cannot attach to a paused container, unpause it first');
  if (State.Restarting) throw new NaruError('conflict', 'You cannot attach to a restarting container, wait until it is running');
}
