import type { ExecConfig } from '#spec/engine-api.ts';
import type { CommandRunner } from '../command.ts';
import { environment } from '../create/create-request.ts';
import { attachStreams, checkTerminal } from '../session/attached-streams.ts';
import { watchSize } from '../session/watch-size.ts';

/** `exec`. */
export const exec: CommandRunner = async (context) => {
  const { flags, args, io, env } = context;
  const [container = '', ...command] = args;
  const detach = flags.bool('detach');
  const tty = flags.bool('tty');
  const stdin = !detach && flags.bool('interactive');
  const detachKeys = flags.string('detach-keys') || (context.config().detachKeys ?? '');
  const environmentOfExec = environment(flags, env);
  if (!detach) checkTerminal(io, stdin, tty);
  const size = tty ? await io.size() : undefined;
  const consoleSize: [number, number] | undefined = tty ? [size?.rows ?? 0, size?.columns ?? 0] : undefined;
  const config: ExecConfig = {
    User: flags.string('user'), Privileged: flags.bool('privileged'), Tty: tty, ...(consoleSize === undefined ? {} : { ConsoleSize: consoleSize }),
    AttachStdin: stdin, AttachStdout: !detach, AttachStderr: !detach, DetachKeys: detachKeys, Env: environmentOfExec.length === 0 ? null : environmentOfExec,
    WorkingDir: flags.string('workdir'), Cmd: command, Detach: detach,
  };
  const client = context.client();
  // One connection becomes the stream; the other asks for the exit status.
  if (!detach) void client.warm();
  const { Id } = await client.exec.create(container, config);
  const start = { Tty: tty, ...(consoleSize === undefined ? {} : { ConsoleSize: consoleSize }) };
  if (detach) {
    await client.exec.startDetached(Id, start);
    return 0;
  }
  const stream = await client.exec.startAttached(Id, start);
  const streams = await attachStreams(stream, io, { tty, stdin, stdout: true, stderr: true, detachKeys });
  const stopSize = tty && io.isTerminal(0) ? watchSize(io, (rows, columns) => client.exec.resize(Id, rows, columns)) : undefined;
  try {
    if ((await streams.ended) === 'detached') return 0;
    return (await client.exec.inspect(Id)).ExitCode ?? 0;
  } finally {
    stopSize?.();
    streams.close();
  }
};
