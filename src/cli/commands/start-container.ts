import { NaruError } from '#spec/errors.ts';
import type { CommandContext, CommandRunner } from '../command.ts';
import { withoutSigpipe } from '../io.ts';
import { attachStreams } from '../session/attached-streams.ts';
import { exitStatus } from '../session/exit-wait.ts';
import { forwardSignals } from '../session/forward-signals.ts';
import { watchSize } from '../session/watch-size.ts';

/** `start`. */
export const start: CommandRunner = async (context) => {
  const { flags, args, io } = context;
  const checkpoint = flags.string('checkpoint');
  if (flags.bool('attach') || flags.bool('interactive')) {
    if (args.length > 1) throw new NaruError('invalid', 'you cannot start and attach multiple containers at once');
    return startAttached(context, args[0] as string);
  }
  if (checkpoint !== '' && args.length > 1) throw new NaruError('invalid', 'you cannot restore multiple containers at once');
  const failed: string[] = [];
  for (const name of args) {
    try {
      await context.client().containers.start(name, checkpoint === '' ? {} : { checkpoint, checkpointDir: flags.string('checkpoint-dir') });
    } catch (error) {
      io.err(`${(error as Error).message}\n`);
      failed.push(name);
      continue;
    }
    io.out(`${name}\n`);
  }
  if (failed.length > 0) throw new NaruError('internal', `Error: failed to start containers: ${failed.join(', ')}`);
  return 0;
};

async function startAttached(context: CommandContext, name: string): Promise<number> {
  const { flags, io } = context;
  const client = context.client();
  const container = await client.containers.inspect(name);
  const id = container.Id;
  const tty = container.Config.Tty === true;
  const stdin = flags.bool('interactive') && container.Config.OpenStdin === true;
  const detachKeys = flags.string('detach-keys') || (context.config().detachKeys ?? '');
  const stopSignals = tty ? undefined : forwardSignals((signal) => client.containers.kill(id, signal), () => process.exit(1));
  const stream = await client.containers.attach(id, { stream: true, stdin, stdout: true, stderr: true, detachKeys });
  const streams = await attachStreams(stream, io, { tty, stdin, stdout: true, stderr: true, detachKeys });
  let stopSize: (() => void) | undefined;
  try {
    const wait = await client.containers.wait(id, container.HostConfig.AutoRemove === true ? 'removed' : 'next-exit');
    await client.containers.start(id, flags.string('checkpoint') === '' ? {} : { checkpoint: flags.string('checkpoint'), checkpointDir: flags.string('checkpoint-dir') }).catch((error: unknown) => {
      // `run` tells the program's failure by its code, `start` only that it failed.
      throw error instanceof NaruError ? new NaruError(error.kind, error.message, { exitCode: 1, cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) }) : error;
    });
    if (tty && io.isTerminal(1)) stopSize = watchSize(io, (rows, columns) => client.containers.resize(id, rows, columns));
    if ((await streams.ended) === 'detached') return 0;
    return await exitStatus(wait.done, io);
  } catch (error) {
    throw stopSignals === undefined ? error : withoutSigpipe(error);
  } finally {
    stopSize?.();
    stopSignals?.();
    streams.close();
  }
}
